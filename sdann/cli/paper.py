"""``sdann paper``."""

from pathlib import Path
from typing import Any

import click

from .options import IN_FILE, chip_from, chip_options
from .outcome import Outcome, command, progress

__all__ = ["paper_command"]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


@command("paper")
@click.argument("name", metavar="NAME")
@click.option("--network", "networks", multiple=True, help="Of the zoo. May be repeated. [default: digit networks]")
@click.option(
    "--data", metavar="DATA", help="digits32, cifar10:PATH, ...: see `sdann train`. [default: the networks' own]"
)
@click.option(
    "--weights",
    "files",
    type=IN_FILE,
    multiple=True,
    help="A file of `sdann train`: its network, with these weights. May be repeated.",
)
@click.option("--epochs", type=click.IntRange(1), help="Of training. [default: the networks' recipes]")
@click.option("--samples", type=click.IntRange(1), help="Samples of each part. [default: all]")
@click.option("--quick", is_flag=True, help="Fewer samples, epochs and trials: a check, not a result.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@chip_options(default=None)
@click.option(
    "--rtl-samples", type=click.IntRange(1),
    help="Of table3-rtl and table10: test samples that run on the RTL. [default: 20; quick: 2]",
)  # fmt: skip
@click.option(
    "--fpga",
    "fpga_file",
    type=IN_FILE,
    help="Of table10: what `sdann fpga --json` printed, for the clock that it reached.",
)
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("build/paper"), show_default=True,
    help="Where weights, plots and tables (JSON) go.",
)  # fmt: skip
def paper_command(
    name: str, networks: tuple[str, ...], data: str | None, files: tuple[Path, ...], epochs: int | None,
    samples: int | None, quick: bool, seed: int, preset_name: str | None, fields: tuple[tuple[str, int], ...],
    rtl_samples: int | None, fpga_file: Path | None, folder: Path,
) -> Outcome:  # fmt: skip
    """One of the paper's tables or figures: table1 ... table10, table3-rtl, fig4, fig7, fig8, fig9, fig11, fig12,
    fig13.

    Networks are trained first, unless FOLDER holds their weights from an earlier run, or --weights gives them.
    table3-rtl and table10 run on the RTL, by default of the smaller of two chips that the network fits: every
    activation and counter must be the golden's.
    """
    from sdann.atomic import atomic
    from sdann.errors import SdannError
    from sdann.paper import Setup, experiment
    from sdann.paper.chip import ROUTED, ChipOptions, read_clock
    from sdann.paper.subject import make_subject
    from sdann.results import json_text
    from sdann.training import load_float

    from .tables import table

    chosen = experiment(name)
    if fields and preset_name is None:
        raise SdannError("--set changes a field of the chip that --preset names: give both")
    chip = ChipOptions(
        config=None if preset_name is None else chip_from(preset_name, fields),
        samples=rtl_samples or (2 if quick else 20), clock=ROUTED if fpga_file is None else read_clock(fpga_file),
    )  # fmt: skip
    weights = {load_float(file)[1]: file for file in files}
    usual = ("digit-cnn",) if quick and "digit-cnn" in chosen.networks else chosen.networks
    names = tuple(dict.fromkeys((*networks, *weights))) or usual
    limit = samples or (60 if quick else None)
    with progress() as steps:
        subjects = tuple(
            make_subject(
                network, folder / "weights", data=data, epochs=epochs, limit=limit, seed=seed,
                weights=weights.get(network), progress=steps.bar(f"prepare {network}"),
            )
            for network in names
        )  # fmt: skip
        advance = steps.bar(name)
        result = chosen.run(Setup(subjects=subjects, folder=folder, quick=quick, seed=seed, chip=chip), advance)
        advance(1, 1)
    folder.mkdir(parents=True, exist_ok=True)
    picture = chosen.plot(result)
    plot = folder / f"{name}.png"
    if picture:
        with atomic(plot) as temporary:
            temporary.write_bytes(picture)
    content = {
        "name": name, "title": chosen.title, "networks": list(names), "columns": list(result.columns),
        "rows": [dict(row) for row in result.rows], "data": dict(result.data), "notes": list(result.notes),
        "failures": list(result.failures),
        "quick": quick, "seed": seed,
    }  # fmt: skip
    with atomic(folder / f"{name}.json") as temporary:
        temporary.write_text(json_text(content))
    rows = [[_text(row.get(column)) for column in result.columns] for row in result.rows]
    wrote = f"wrote {folder / f'{name}.json'}" + (f" and {plot}" if picture else "")
    return Outcome(
        data={key: content[key] for key in ("name", "networks", "columns", "rows", "notes", "quick", "seed")}
        | {"out": str(folder / f"{name}.json"), "plot": str(plot) if picture else None},
        text=[table(f"{name}: {chosen.title}", list(result.columns), rows), *result.notes, wrote],
        failures=list(result.failures),
    )  # fmt: skip
