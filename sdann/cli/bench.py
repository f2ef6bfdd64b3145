"""``sdann bench``: figures with the bounds that they must keep, as ratios within one run."""

import statistics
import time

import click

from hdl.config import preset

from .bench_core import bench_core_command
from .bench_cycles import bench_cycles_command
from .bench_lockstep import bench_lockstep_command
from .bench_mapping import bench_mapping_command
from .bench_noc import bench_noc_command
from .bench_rtl import bench_rtl_command
from .bench_sim import bench_sim_command
from .outcome import Outcome, command, progress

__all__ = ["bench_command"]


@click.group("bench")
def bench_command() -> None:
    """Measure, and hold the figures against their bounds."""


@command("verilog")
@click.option("--preset", "name", default="darwin", show_default=True, help="The large chip.")
@click.option("--against", default="demo", show_default=True, help="The chip to compare with.")
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True, help="Pairs of runs; medians count.")
def bench_verilog_command(name: str, against: str, runs: int) -> Outcome:
    """Time the generation of a large chip's Verilog against a small one's."""
    from hdl.chip import chip_verilog
    from sdann.results import Figure, broken

    large, small = preset(name), preset(against)
    seconds: dict[str, list[float]] = {"large": [], "small": []}
    with progress() as steps:
        advance = steps.bar(f"{name} against {against}")
        for run in range(runs):
            for which, config in (("small", small), ("large", large)):  # in turn, so that a drift hits both
                started = time.perf_counter()
                chip_verilog(config)
                seconds[which].append(time.perf_counter() - started)
            advance(run + 1, runs)
    ratios = [a / b for a, b in zip(seconds["large"], seconds["small"], strict=True)]
    figures = [
        Figure(name=f"verilog_{name}_vs_{against}", value=statistics.median(ratios), unit="x", bound=2, relation="<="),
        Figure(name=f"verilog_{name}_seconds", value=statistics.median(seconds["large"]), unit="s"),
        Figure(name=f"verilog_{against}_seconds", value=statistics.median(seconds["small"]), unit="s"),
    ]
    return Outcome(
        data={"figures": [figure.as_dict() for figure in figures], "runs": runs, "ratios": ratios},
        text=[str(figure) for figure in figures],
        failures=broken(figures),
    )


bench_command.add_command(bench_verilog_command)
bench_command.add_command(bench_core_command)
bench_command.add_command(bench_noc_command)
bench_command.add_command(bench_lockstep_command)
bench_command.add_command(bench_cycles_command)
bench_command.add_command(bench_mapping_command)
bench_command.add_command(bench_sim_command)
bench_command.add_command(bench_rtl_command)
