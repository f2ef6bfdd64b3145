"""``sdann report``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sim.simulators import ABOUT, SimulatorName, simulators

from .options import IN_FILE, chip_from, chip_options, out_option, source_options
from .outcome import Outcome, command, progress

if TYPE_CHECKING:
    from hdl.config import ChipConfig
    from sdann.mapper import ProgramImage
    from sdann.network_source import NetworkSource

__all__ = ["report_command"]


@command("report")
@click.argument("what", metavar="NETWORK|JSON")
@click.argument("image_file", metavar="[IMAGE]", type=IN_FILE, required=False)
@source_options(samples=8, what="Number of inputs.", least=1)
@chip_options(default="demo")
@click.option(
    "--sim", "simulator", type=click.Choice(simulators(rtl=False)), default="compiled", show_default=True,
    help="; ".join(f"{name}: {about}" for name, about in ABOUT.items()) + ".",
)  # fmt: skip
@click.option(
    "--stall", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
    help="Probability that the host stalls, per cycle and stream.",
)  # fmt: skip
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Where simulator builds are kept.",
)  # fmt: skip
@out_option("report.html", "the page; its JSON goes beside it")
def report_command(
    what: str, image_file: Path | None, samples: int, data: str | None, calibration: int, seed: int, preset_name: str,
    fields: tuple[tuple[str, int], ...], simulator: SimulatorName, stall: float, build_dir: Path, out: Path,
) -> Outcome:  # fmt: skip
    """Run a network on one chip, and write a page that shows how it went.

    One HTML file that needs no network: mismatches and accuracy by stage, the mesh window by window with loads and
    links, the pipeline, spikes, energy, load and memory of every core. NETWORK is a file of `sdann quantize`, weights
    of `sdann train`, or a name of `sdann zoo`; without IMAGE it is mapped on the chip of --preset first. JSON is what
    an earlier run left beside its page (of `sdann demo`, too): then only the page is written anew.
    """
    if out.suffix not in (".html", ".htm"):
        raise click.UsageError(f"--out: {str(out)!r} must end in .html: the report's JSON goes beside it")
    with progress() as steps:
        with steps.step("start"):
            from sdann.network_source import open_source
            from sdann.report import load_report, run_report, write_report
        if Path(what).suffix == ".json":
            report = load_report(what)
        else:
            with steps.step("network"):
                source = open_source(what, samples=samples, data=data, calibration=calibration, seed=seed)
            with steps.step("program"):
                image = _program(source, image_file, chip_from(preset_name, fields))
            report = run_report(
                source, image, simulator=simulator, stall=stall, seed=seed, build_dir=build_dir, progress=steps.bar
            )
        with steps.step("page"):
            write_report(report, out)
    compared = sum(stage.compared or 0 for stage in report.stages)
    wrong = sum(stage.mismatches or 0 for stage in report.stages)
    return Outcome(
        data=report.model_dump(mode="json"),
        text=[f"{report.network}: {compared:,} activations compared, {wrong:,} differ; wrote {out}"],
        failures=report.failures,
    )


def _program(source: "NetworkSource", image_file: Path | None, config: "ChipConfig") -> "ProgramImage":
    """The program in the file, or a new one; raises DoesNotFitError where it is one of several passes."""
    from sdann import reference
    from sdann.mapper import load_image, plan_network
    from sdann.mapper.work import count_spikes
    from sdann.recipe import check_same_network
    from sdann.report import check_one_pass

    network = source.network
    if image_file is not None:
        image = load_image(image_file)
        check_same_network(network, image)
        passes = image.manifest.passes
    else:
        config = config.replace(membrane_bits=network.membrane_bits)
        activations = reference.run(network, source.x[:1]).activations
        mapped = plan_network(network, config, spikes=count_spikes(network, activations, config.lanes))
        image, passes = mapped.image(0), len(mapped.passes)
    check_one_pass(network.name, image.config.name, passes)
    return image
