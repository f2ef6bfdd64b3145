"""``sdann bench lockstep``."""

from pathlib import Path

import click

from .options import IN_FILE
from .outcome import Outcome, command, progress

__all__ = ["bench_lockstep_command"]

SHARE = 0.15
"""Most of a window that lockstep may cost; beyond it the barrier is to be replaced."""


@command("lockstep")
@click.argument("network_file", metavar="NETWORK", type=IN_FILE, default=Path("build/demo/net.safetensors"))
@click.argument("image_file", metavar="IMAGE", type=IN_FILE, default=Path("build/demo/image.safetensors"))
@click.option("--windows", type=click.IntRange(1, 1000), default=8, show_default=True, help="Full windows to measure.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of random samples, where the input is no digit.")
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Folder for simulator builds.",
)  # fmt: skip
def bench_lockstep_command(network_file: Path, image_file: Path, windows: int, seed: int, build_dir: Path) -> Outcome:
    """Measure on the RTL how long cores wait at the barriers between time steps.

    NETWORK and IMAGE are what `sdann demo` leaves unless others are named. A window takes as long as the busiest core
    of each step works, summed over its steps, and what the barriers take. Were there no lockstep, it would at best take
    what the busiest core works in the whole window.
    """
    from sdann.mapper import load_image
    from sdann.network_file import load_network
    from sdann.recipe import check_same_network, samples_for
    from sdann.results import Figure, broken
    from sim.lockstep import measure_waiting

    from .tables import figure_text, table

    network, image = load_network(network_file), load_image(image_file)
    check_same_network(network, image)
    stages = image.manifest.registers.STAGES
    x, _ = samples_for(network, stages + windows, seed)
    with progress() as steps, steps.step(f"{windows} windows"):
        found = measure_waiting(image, x, build_dir=build_dir)
    window = found.window
    figures = [
        Figure(name="lockstep_window", value=window, unit="cycles"),
        Figure(name="lockstep_busiest_of_each_step", value=found.steps, unit="cycles"),
        Figure(name="lockstep_busiest_core", value=found.busiest, unit="cycles"),
        Figure(name="lockstep_waiting", value=1 - found.steps / window, unit="of a window: commands, empty network"),
        Figure(
            name="lockstep_uneven_steps", value=(found.steps - found.busiest) / window,
            unit="of a window: another core is the busiest one in another step",
        ),
        Figure(name="lockstep_share", value=found.share, unit="of a window", bound=SHARE, relation="<="),
    ]  # fmt: skip
    rows = [
        {"layer": w.layer, "cores": w.cores, "busiest": w.busiest, "waits": w.waits, "share": w.waits / window}
        for w in found.layers
    ]
    return Outcome(
        data={
            "network": network.name, "windows": found.windows, "figures": [f.as_dict() for f in figures],
            "layers": rows,
        },
        text=[
            table(
                "Cycles per window of each layer's busiest core",
                ("layer", "cores", "works", "waits", "waits, of a window"),
                [
                    (w.layer, str(w.cores), f"{w.busiest:,.0f}", f"{w.waits:,.0f}", f"{w.waits / window:.1%}")
                    for w in found.layers
                ],
            ),
            figure_text(figures),
        ],
        failures=broken(figures),
    )  # fmt: skip
