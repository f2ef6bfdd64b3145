"""``sdann bench cycles``."""

from pathlib import Path

import click

from .options import IN_FILE
from .outcome import Outcome, command, progress

__all__ = ["bench_cycles_command"]

ERROR = 0.02
"""By how much the predicted cycles may be off."""


@command("cycles")
@click.argument("network_file", metavar="NETWORK", type=IN_FILE, default=Path("build/demo/net.safetensors"))
@click.argument("image_file", metavar="IMAGE", type=IN_FILE, default=Path("build/demo/image.safetensors"))
@click.option("--samples", type=click.IntRange(1, 1000), default=8, show_default=True, help="Samples to run.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of random samples, where the input is no digit.")
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Folder for simulator builds.",
)  # fmt: skip
def bench_cycles_command(network_file: Path, image_file: Path, samples: int, seed: int, build_dir: Path) -> Outcome:
    """Hold the cycles that the cycle model predicts against those that the RTL counts.

    NETWORK and IMAGE are what `sdann demo` leaves unless others are named. Also told: what the same cores would take
    if no flit ever waited in the network.
    """
    from hdl.program import Counter
    from sdann.cycles import predict
    from sdann.mapper import load_image
    from sdann.network_file import load_network
    from sdann.recipe import check_same_network, samples_for
    from sdann.results import Figure, broken
    from sim.cycles import compare_cycles

    from .tables import cycle_table, figure_text

    network, image = load_network(network_file), load_image(image_file)
    check_same_network(network, image)
    x, _ = samples_for(network, samples, seed)
    with progress() as steps, steps.step(f"{len(x)} samples"):
        found = compare_cycles(image, x, build_dir=build_dir)
        free, _ = predict(image, x, queues=False)
    report = found.report
    figures = [
        Figure(name="cycles_predicted", value=report.cycles, unit="cycles"),
        Figure(name="cycles_measured", value=found.cycles, unit="cycles"),
        Figure(name="cycles_without_waiting", value=free.cycles, unit="cycles"),
        Figure(name="cycles_error", value=found.error, unit="of the measured ones", bound=ERROR, relation="<="),
        Figure(
            name="busy_wrong", value=found.wrong(Counter.BUSY), unit=f"of {len(report.cores)} cores", bound=0,
            relation="==",
        ),
        Figure(name="stalled_wrong", value=found.wrong(Counter.STALLED), unit=f"of {len(report.cores)} cores"),
    ]  # fmt: skip
    return Outcome(
        data={
            "network": network.name, "samples": len(x), "windows": found.windows,
            "figures": [figure.as_dict() for figure in figures],
            "differences": [str(difference) for difference in found.differences],
        },
        text=[cycle_table(report), figure_text(figures), *map(str, found.differences[:10])],
        failures=broken(figures),
    )  # fmt: skip
