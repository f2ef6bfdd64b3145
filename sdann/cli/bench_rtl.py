"""``sdann bench rtl``."""

from pathlib import Path

import click

from hdl.config import preset

from .options import IN_FILE
from .outcome import Outcome, command, progress

__all__ = ["bench_rtl_command"]

SPEED_UP, BUILD_RATIO, FLAT_RATIO = 15, 1.2, 0.5
"""Bounds."""


@command("rtl")
@click.argument("network_file", metavar="NETWORK", type=IN_FILE, default=Path("build/demo/net.safetensors"))
@click.argument("image_file", metavar="IMAGE", type=IN_FILE, default=Path("build/demo/image.safetensors"))
@click.option("--samples", type=click.IntRange(1, 1000), default=24, show_default=True, help="Samples to run.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of random samples, where the input is no digit.")
@click.option("--preset", "name", default="demo", show_default=True, help="The chip whose meshes are built and timed.")
@click.option("--cycles", type=click.IntRange(1000), default=100_000, show_default=True, help="Cycles to time a mesh.")
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Folder for simulator builds.",
)  # fmt: skip
def bench_rtl_command(
    network_file: Path, image_file: Path, samples: int, seed: int, name: str, cycles: int, build_dir: Path
) -> Outcome:
    """Time the compiled chip: against cocotb on the same workload, its build, and its tile-cycles.

    driver_vs_cocotb: NETWORK and IMAGE (what `sdann demo` leaves unless others are named), every activation read after
    every window, on Verilator under cocotb and on the compiled chip; both must count the same cycles. The figure
    with `_stream` is the same at full speed, where only outputs are read. build_64_vs_4_tiles: first builds of an
    8 x 8 and a 2 x 2 mesh. tile_cycles_vs_flat: tile-cycles a second of the compiled 8 x 8 mesh, no tile left out,
    against a 2 x 2 mesh Verilated flat with its own loop.
    """
    from sdann.mapper import load_image
    from sdann.network_file import load_network
    from sdann.recipe import check_same_network, samples_for
    from sdann.results import Figure, broken
    from sim.rtl_rate import build_seconds, driver_rate, flat_rate, mesh_rate

    from .tables import figure_text

    network, image = load_network(network_file), load_image(image_file)
    check_same_network(network, image)
    x, _ = samples_for(network, samples, seed)
    config = preset(name)
    small, large = config.replace(rows=2, cols=2), config.replace(rows=8, cols=8)
    with progress() as steps:
        with steps.step("every activation"):
            observed = driver_rate(image, x, mode="observe", build_dir=build_dir)
        with steps.step("full speed"):
            streamed = driver_rate(image, x, mode="stream", build_dir=build_dir)
        with steps.step("builds"):
            builds = build_seconds(small), build_seconds(large)
        with steps.step("meshes"):
            flat = flat_rate(small, cycles, build_dir=build_dir)
            mesh = mesh_rate(large, cycles // 10, build_dir=build_dir)
    figures = [
        Figure(name="driver_vs_cocotb", value=observed.cocotb / observed.compiled, unit="x", bound=SPEED_UP),
        Figure(name="driver_vs_cocotb_stream", value=streamed.cocotb / streamed.compiled, unit="x"),
        Figure(name="build_64_vs_4_tiles", value=builds[1] / builds[0], unit="x", bound=BUILD_RATIO, relation="<="),
        Figure(name="tile_cycles_vs_flat", value=mesh / flat, unit="x", bound=FLAT_RATIO),
        Figure(name="tile_cycles", value=mesh, unit="per second, 64 tiles"),
        Figure(name="cocotb_seconds", value=observed.cocotb, unit="s"),
        Figure(name="compiled_seconds", value=observed.compiled, unit="s"),
        Figure(name="build_seconds", value=builds[0], unit="s, 4 tiles"),
    ]  # fmt: skip
    return Outcome(
        data={
            "network": network.name, "samples": len(x), "cycles": streamed.cycles,
            "figures": [figure.as_dict() for figure in figures],
        },
        text=[figure_text(figures)],
        failures=broken(figures),
    )  # fmt: skip
