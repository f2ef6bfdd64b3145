"""``sdann map``."""

from pathlib import Path
from typing import Any

import click

from sdann.atomic import atomic

from .options import PICTURE_FILE, chip_from, chip_options, out_option, source_options, split_option, tune_option
from .outcome import Outcome, command, progress
from .tables import fit_rows, fit_text, map_rows, map_text

__all__ = ["map_command", "pass_path"]


def pass_path(out: Path, number: int, passes: int) -> Path:
    """Where the program of a pass goes: ``out`` itself where there is one, else with the pass's number in its name."""
    return out if passes == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


@command("map")
@click.argument("what", metavar="NETWORK")
@chip_options(default="demo")
@split_option()
@click.option("--cores", type=click.IntRange(1), help="Use so many cores at most. [default: all]")
@tune_option()
@source_options(
    samples=4, what="Inputs whose spikes the choice of tiles goes by; 0: all sources count as equally busy."
)
@click.option("--picture", type=PICTURE_FILE, help="Draw the mapped chip into this SVG or PNG file.")
@out_option("build/image.safetensors", "the program image (with -0, -1 ... in its name where there are several passes)")
def map_command(
    what: str, preset_name: str, fields: tuple[tuple[str, int], ...], splits: tuple[tuple[str, tuple[int, int]], ...],
    cores: int | None, tune: bool, samples: int, data: str | None, calibration: int, seed: int, picture: Path | None,
    out: Path,
) -> Outcome:  # fmt: skip
    """Map NETWORK on a chip's cores.

    NETWORK is a file of `sdann quantize`, weights of `sdann train`, or a name of `sdann zoo`. A network larger than the
    chip becomes several programs, which run one after the other.
    """
    config = chip_from(preset_name, fields)
    from sdann import reference
    from sdann.mapper import mesh_text, plan_network
    from sdann.mapper.assessment import assess
    from sdann.mapper.work import count_spikes
    from sdann.mapping_cost import judge_cycles
    from sdann.network_source import open_source

    with progress() as steps:
        advance = steps.bar("network")
        advance(0, 1)
        source = open_source(what, samples=max(samples, 1), data=data, calibration=calibration, seed=seed)
        network, spikes, judge = source.network, None, None
        if samples or tune:
            activations = reference.run(network, source.x).activations
            spikes = count_spikes(network, activations, config.lanes) if samples else None
            judge = judge_cycles(network, config, activations) if tune else None
        advance(1, 1)
        mapped = plan_network(
            network,
            config,
            spikes=spikes,
            overrides=dict(splits),
            cores=cores,
            judge=judge,
            progress=steps.bar("places"),
        )
        fits, files, rows, text = [], [], [], []
        write = steps.bar("programs")
        count = len(mapped.passes)
        for number in range(count):
            write(number, count)
            image = mapped.image(number)
            path = pass_path(out, number, count)
            with atomic(path) as temporary:
                image.save(temporary)
            files.append(str(path))
            fits.append(assess(mapped, number))
            rows += [{"pass": number, **row} for row in map_rows(image)]
            if count == 1:
                mesh = mesh_text(image)
                text = map_text(image)
        write(count, count)
        if picture is not None:
            from sdann.chip_picture import chip_picture

            with atomic(picture) as temporary:
                temporary.write_bytes(chip_picture(mapped, fits, picture.suffix.lstrip(".")))
            files.append(str(picture))
    data_out: dict[str, Any] = {
        "network": network.name, "source": source.about, "preset": config.name, "config_id": config.fingerprint,
        "passes": count, "cores": {"used": max(fit.cores for fit in fits), "available": len(config.cores)},
        "calibration_samples": samples, "layers": rows, "fit": fit_rows(fits), "out": files,
    }  # fmt: skip
    if count == 1:
        data_out |= {"mesh": mesh}
    return Outcome(data=data_out, text=[*text, *fit_text(fits), *(f"wrote {path}" for path in files)])
