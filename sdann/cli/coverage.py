"""``sdann coverage``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .outcome import Outcome, Steps, command, progress

if TYPE_CHECKING:
    from sim.toolchain import Simulator

__all__ = ["coverage_command"]

TILE = "sdann_tile"
LEAST_LINES = 0.95
"""Of the tile's lines that a run must hit."""


@command("coverage")
@click.option(
    "--simulator", "simulators", type=click.Choice(["verilator", "icarus"]), multiple=True, default=("verilator",),
    show_default=True, help="May be given twice, for both.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 1_000_000), default=0, show_default=True, help="Of the random programs.")
@click.option("--no-stalls", is_flag=True, help="Let both sides of the core be ready all the time.")
@click.option("--rtl", is_flag=True, help="Also count the RTL's lines, branches and toggles; takes minutes.")
@click.option(
    "--networks", type=click.IntRange(0), default=200, show_default=True,
    help="With --rtl: random networks to draw; those that reach a new bin run.",
)  # fmt: skip
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Folder for simulator builds.",
)  # fmt: skip
def coverage_command(
    simulators: tuple["Simulator", ...], seed: int, no_stalls: bool, rtl: bool, networks: int, build_dir: Path
) -> Outcome:
    """Run random programs on a core's RTL until they cover all that descriptors may say, and report what they covered.

    Programs of one layer are drawn until every pair of values that the image checker accepts together has occurred:
    kind of edge, kernel, stride, padding, signedness, number of edges, pooling, split fan-in, mode, read-out. Each runs
    on a core with random stalls; I(t), activations, membranes, flits and counters must equal the models'.

    --rtl adds what these programs, random networks, networks of every feature, a digit network and faults hit of the
    chip's own text: lines, branches and toggles, by module. A tile of which less than 95 % of the lines are hit, a line
    that is missed without a waiver, and a waiver of a line that is hit are failures.
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
        code = _rtl(steps, seed, networks, build_dir) if rtl else {"data": {}, "text": [], "failures": []}
    from .tables import table

    rows = [(name, str(hit), str(total)) for name, hit, total in coverage.rows()]
    missing = [f"no program has {dict(some)}" for some in coverage.missing]
    return Outcome(
        data={"seed": seed, "seconds": seconds, **coverage.as_dict(), **code["data"]},
        text=[
            table("Descriptors run on the RTL", ("cross", "bins hit", "bins"), rows),
            *(f"{len(cases)} cores with {coverage.edges} edges equal the models on {name}" for name in seconds),
            *code["text"],
        ],
        failures=missing + code["failures"],
    )


def _rtl(steps: Steps, seed: int, networks: int, build_dir: Path) -> dict[str, Any]:
    """Data, text and failures of the RTL's coverage."""
    from sim.coverage import Coverage
    from sim.rtl_coverage.workloads import run_workloads

    from .tables import table

    reached = Coverage()
    found = run_workloads(seed=seed, networks=networks, build_dir=build_dir, reached=reached, report=steps.bar)
    _, hit, bins = reached.rows()[-1]
    drawn = {"drawn": networks, "hit": hit, "bins": bins, "missing": [dict(some) for some in reached.missing]}
    missed = found.missed(TILE)
    rows = []
    for row in found.rows():
        cells = [row.module]
        for kind, points in row.points.items():
            cells += [f"{row.hit[kind]:,} / {points:,}", f"{row.share(kind):.1%}"] if points else ["-", ""]
        rows.append(cells)
    columns = ("module", "lines hit", "", "branches hit", "", "toggles hit", "")
    return {
        "data": {"random_networks": drawn, "rtl": found.as_dict(TILE)},
        "text": [
            f"{networks} random networks by themselves reach {hit:,} of the {bins:,} bins",
            table("RTL, by module", columns, rows),
            *(f"not hit: {line}: {line.reason}" for line in missed if line.reason),
        ],
        "failures": found.failures(TILE, least=LEAST_LINES),
    }  # fmt: skip
