"""``sdann coverage``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .outcome import Outcome, command, progress

if TYPE_CHECKING:
    from sim.toolchain import Simulator

__all__ = ["coverage_command"]


@command("coverage")
@click.option(
    "--simulator", "simulators", type=click.Choice(["verilator", "icarus"]), multiple=True, default=("verilator",),
    show_default=True, help="May be given twice, for both.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 1_000_000), default=0, show_default=True, help="Of the random programs.")
@click.option("--no-stalls", is_flag=True, help="Let both sides of the core be ready all the time.")
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Folder for simulator builds.",
)  # fmt: skip
def coverage_command(simulators: tuple["Simulator", ...], seed: int, no_stalls: bool, build_dir: Path) -> Outcome:
    """Run random programs on a core's RTL until they cover all that descriptors may say, and report what they covered.

    Programs of one layer are drawn until every pair of values that the image checker accepts together has occurred:
    kind of edge, kernel, stride, padding, signedness, number of edges, pooling, split fan-in, mode, read-out. Each runs
    on a core with random stalls; I(t), activations, membranes, flits and counters must equal the models'.
    """
    with progress() as steps:
        with steps.step("start"):
            import tempfile

            from sim.coverage_run import covering_cases, run_cases
        cases, coverage = covering_cases(seed, progress=steps.bar("draw programs"))
        seconds: dict[str, float] = {}
        with tempfile.TemporaryDirectory() as folder:
            for simulator in dict.fromkeys(simulators):
                with steps.step(f"{len(cases)} cores on {simulator}"):
                    result = run_cases(
                        cases, simulator=simulator, folder=Path(folder), build_dir=build_dir, seed=seed + 1,
                        stalls=not no_stalls,
                    )  # fmt: skip
                seconds[simulator] = round(result.run_seconds, 1)
    from .tables import table

    rows = [(name, str(hit), str(total)) for name, hit, total in coverage.rows()]
    missing = [f"no program has {dict(some)}" for some in coverage.missing]
    return Outcome(
        data={"seed": seed, "seconds": seconds, **coverage.as_dict()},
        text=[
            table("Descriptors run on the RTL", ("cross", "bins hit", "bins"), rows),
            *(f"{len(cases)} cores with {coverage.edges} edges equal the models on {name}" for name in seconds),
        ],
        failures=missing,
    )
