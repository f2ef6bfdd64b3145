"""``sdann cosim``."""

from pathlib import Path

import click

from sim.simulators import SimulatorName

from .options import IN_FILE, chip_from, chip_options, cosim_options, sample_options
from .outcome import Outcome, command, progress
from .tables import figure_text, stage_text

__all__ = ["cosim_command"]


@command("cosim")
@click.argument("network_file", metavar="NETWORK", type=IN_FILE)
@click.argument("image_file", metavar="IMAGE", type=IN_FILE)
@chip_options(default=None)
@click.option("--verilog", "verilog_file", type=IN_FILE, help="Simulate this output of `sdann verilog`.")
@sample_options(20)
@cosim_options()
def cosim_command(
    network_file: Path,
    image_file: Path,
    preset_name: str | None,
    fields: tuple[tuple[str, int], ...],
    verilog_file: Path | None,
    samples: int,
    seed: int,
    simulator: SimulatorName,
    stall: float,
    build_dir: Path,
) -> Outcome:
    """Run IMAGE on the chip's RTL and compare every activation.

    Every layer's activations are held against the golden model of NETWORK, the counters against the tile model's.
    The chip is the one that IMAGE was mapped for; naming another one (--preset, --set, --verilog) is an error.
    """
    from sdann.chip_file import load_chip
    from sdann.mapper import load_image
    from sdann.network_file import load_network
    from sdann.recipe import check_chip, check_same_network, samples_for
    from sdann.results import broken, rtl_figures, stage_data
    from sdann.stages import Stages, failures

    network, image = load_network(network_file), load_image(image_file)
    check_same_network(network, image)
    if preset_name is not None:
        check_chip(image, chip_from(preset_name, fields))
    elif fields:
        check_chip(image, image.config.replace(**dict(fields)))
    verilog = None
    if verilog_file is not None:
        if simulator == "amaranth":
            raise click.UsageError("Amaranth's simulator does not read Verilog: leave out --verilog")
        config, verilog = load_chip(verilog_file)
        check_chip(image, config)
    x, labels = samples_for(network, samples, seed)
    with progress() as steps:
        with steps.step("golden"):
            stages = Stages(network, x, labels)
            golden = stages.golden_model()
            tiles = stages.tile_model(image)  # whose counters each core's must equal
        rtl, runs = stages.rtl(
            image, simulator=simulator, stall=stall, seed=seed, verilog=verilog, build_dir=build_dir, progress=steps.bar
        )
    results = [golden, tiles, rtl]
    figures = rtl_figures(image, runs)
    return Outcome(
        data={
            "network": network.name, "simulator": simulator, "stall": stall, "seed": seed,
            **stage_data(results, image, figures),
        },
        text=[*stage_text(results, image), figure_text(figures)],
        failures=failures(results) + broken(figures),
    )  # fmt: skip
