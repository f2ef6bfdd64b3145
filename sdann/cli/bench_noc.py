"""``sdann bench noc``: saturation and latency of the spike network alone."""

from pathlib import Path

import click

from .outcome import Outcome, command, progress

__all__ = ["bench_noc_command"]

SATURATION, PER_HOP = 0.8, 2.0
"""Bounds: share of the uniform bound at full load; cycles per hop at light load."""
PATTERN_NAMES = ("uniform", "transpose", "hotspot", "multicast")


@command("noc")
@click.option(
    "--side", "sides", type=click.Choice(["2", "4", "6", "8"]), multiple=True, default=("4", "8"), show_default=True,
    help="Rows and columns of a mesh.",
)  # fmt: skip
@click.option("--pattern", "patterns", type=click.Choice(PATTERN_NAMES), multiple=True, default=PATTERN_NAMES)
@click.option(
    "--queues", default="straight", show_default=True, help="Queues of a router: input, column, straight, output."
)
@click.option("--depth", type=click.IntRange(2, 64), help="Flits per queue.  [default: the preset's]")
@click.option(
    "--cycles", type=click.IntRange(100, 1_000_000), default=8000, show_default=True, help="Measured per run."
)
@click.option("--seed", type=click.IntRange(0, 1_000_000), default=1, show_default=True)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("build/noc"), show_default=True,
    help="Folder of the builds, latency.svg and noc.json.",
)  # fmt: skip
def bench_noc_command(
    sides: tuple[str, ...],
    patterns: tuple[str, ...],
    queues: str,
    depth: int | None,
    cycles: int,
    seed: int,
    out: Path,
) -> Outcome:
    """Send synthetic traffic through a mesh of routers, and check that every flit arrives.

    Uniform traffic is measured against its bound 4/k (N-1)/N flits per node and cycle.
    """
    from sdann.atomic import atomic
    from sdann.errors import SdannError
    from sdann.results import Figure, broken, json_text
    from sim.traffic.queues import GROUPINGS, router_with
    from sim.traffic.sweep import load_plot, sweep

    from .tables import load_table

    if queues not in GROUPINGS:
        raise SdannError(f"unknown queues {queues!r}; known: {', '.join(GROUPINGS)}")
    patterns = tuple(dict.fromkeys(("uniform", *patterns)))
    curves, figures = [], []
    with progress() as steps:
        for side in sorted({int(side) for side in sides}):
            found, per_hop = sweep(
                side, patterns, out, seed=seed, measured=cycles, depth=depth, router=router_with(queues),
                progress=steps.bar(f"{side} x {side}"),
            )  # fmt: skip
            curves += found
            figures.append(
                Figure(
                    name=f"noc_saturation_{side}x{side}", value=found[0].share, bound=SATURATION,
                    unit=f"of {found[0].bound:.4f} flits per node and cycle",
                )
            )  # fmt: skip
    figures.append(Figure(name="noc_cycles_per_hop", value=per_hop, bound=PER_HOP, relation="<=", unit="cycles"))
    data = {
        "figures": [figure.as_dict() for figure in figures], "queues": queues, "seed": seed,
        "curves": [curve.as_dict() for curve in curves],
    }  # fmt: skip
    with atomic(out / "latency.svg") as path:
        path.write_bytes(load_plot(curves))
    with atomic(out / "noc.json") as path:
        path.write_text(json_text(data) + "\n")
    return Outcome(
        data=data,
        text=[load_table(curves), *map(str, figures), f"wrote {out}/latency.svg and {out}/noc.json"],
        failures=broken(figures),
    )
