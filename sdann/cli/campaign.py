"""``sdann campaign``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import chip_from, chip_options
from .outcome import Outcome, command, progress
from .tables import campaign_text

if TYPE_CHECKING:
    from sim.campaign.summary import RunSummary

__all__ = ["campaign_command"]

MOST_LISTED = 20
"""Tiles with something wrong that are listed."""

RESULTS = click.argument("results", metavar="RESULTS", type=click.Path(path_type=Path, dir_okay=False))


@click.group("campaign")
def campaign_command() -> None:
    """Run every tile of every layer of networks of any size on the RTL.

    Each tile runs alone, on one sample, with the spikes that its sources emit, and every activation is compared. What
    is done is kept in one SQLite file; a campaign that was stopped goes on where it was.
    """


@command("run")
@RESULTS
@click.argument("networks", metavar="NETWORK...", nargs=-1, required=True)
@chip_options(default="darwin")
@click.option("--sample", type=click.IntRange(0), default=0, show_default=True, help="Which of the inputs to run.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random.")
@click.option(
    "--data", metavar="NAME[:PATH]", default=None, help="Inputs for networks of the zoo, as of `sdann validate`."
)
@click.option(
    "--calibration", type=click.IntRange(2), default=8, show_default=True,
    help="Images that ranges and seeded weights of a network of the zoo are fitted to.",
)  # fmt: skip
@click.option("--layer", "layers", metavar="NAME", multiple=True, help="Run this layer's tiles only. May be repeated.")
@click.option("--shapes", is_flag=True, help="Run one tile of every distinct shape only.")
@click.option("--workers", type=click.IntRange(1), default=2, show_default=True, help="Processes on this machine.")
@click.option(
    "--scheduler", metavar="ADDRESS", default=None,
    help="Use the workers of this Dask scheduler instead. They must see the folder of RESULTS under the same path.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=600.0, show_default=True,
    help="Seconds of a job, which is some tiles of a pass.",
)  # fmt: skip
@click.option(
    "--retries", type=click.IntRange(0), default=3, show_default=True, help="Times that a failing tile is tried again."
)
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Where the compiled tile is kept.",
)  # fmt: skip
def campaign_run_command(
    results: Path, networks: tuple[str, ...], preset_name: str, fields: tuple[tuple[str, int], ...], sample: int,
    seed: int, data: str | None, calibration: int, layers: tuple[str, ...], shapes: bool, workers: int,
    scheduler: str | None, timeout: float, retries: int, build_dir: Path,
) -> Outcome:  # fmt: skip
    """Run tiles of each NETWORK that RESULTS does not have yet.

    NETWORK is a file of `sdann quantize`, weights of `sdann train`, or a name of `sdann zoo`. Give the same command
    again to go on after an interruption. What the workers read lies in the folder RESULTS.work.
    """
    from sim.campaign import CampaignOptions, Request, results_file, run_campaign
    from sim.campaign.cluster import connect
    from sim.campaign.summary import summarize

    config = chip_from(preset_name, fields)
    requests = [
        Request(what=what, config=config, sample=sample, seed=seed, data=data, calibration=calibration)
        for what in networks
    ]
    options = CampaignOptions(build_dir=build_dir, layers=layers, shapes=shapes, timeout=timeout, retries=retries)
    with results_file(results, write=True) as file:
        file.check_hardware()
        with connect(workers=workers, scheduler=scheduler) as client, progress() as steps:
            given_up = run_campaign(file, requests, client, options, report=steps.report("tiles"))
        return _outcome(summarize(file), given_up)


@command("show")
@RESULTS
def campaign_show_command(results: Path) -> Outcome:
    """Show what a campaign has found, also while it runs."""
    from sim.campaign import results_file
    from sim.campaign.summary import summarize

    with results_file(results, write=False) as file:
        return _outcome(summarize(file), [])


def _outcome(runs: "Sequence[RunSummary]", given_up: list[str]) -> Outcome:
    problems = [line for run in runs for line in run.problems]
    failures = problems[:MOST_LISTED]
    if len(problems) > MOST_LISTED:
        failures.append(f"and {len(problems) - MOST_LISTED:,} more tiles, see the table `tiles` of the file")
    failures += given_up
    for run in runs:
        missing = run.wanted - run.done
        if missing and not given_up:
            failures.append(f"{run.network}: {missing:,} tiles are still to be run; give the same command again")
    return Outcome(data={"runs": [_data(run) for run in runs]}, text=campaign_text(runs), failures=failures)


def _data(run: "RunSummary") -> dict[str, Any]:
    return {
        "network": run.network, "source": run.about, "sample": run.sample, "complete": run.complete,
        "passes": {"made": run.made, "all": run.passes},
        "tiles": {"done": run.done, "wanted": run.wanted, "all": run.cores}, "compared": run.compared,
        "mismatches": run.mismatches, "wrong_tiles": len(run.problems), "tile_cycles": run.cycles,
        "seconds": {"tiles": run.seconds, "preparation": run.preparation}, "retried_jobs": run.retries,
        "given_up": run.failed,
        "layers": [
            {
                "layer": row.layer, "from_host": row.source,
                "tiles": {"done": row.done, "wanted": row.wanted, "all": row.cores}, "activations": row.activations,
                "compared": row.compared, "mismatches": row.mismatches, "tile_cycles": row.cycles,
            }
            for row in run.layers
        ],
    }  # fmt: skip


campaign_command.add_command(campaign_run_command)
campaign_command.add_command(campaign_show_command)
