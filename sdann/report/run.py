"""``sdann report``: a network through every stage on one chip, watched window by window."""

import time
from collections.abc import Callable
from pathlib import Path

from sdann.errors import DoesNotFitError
from sdann.mapper import ProgramImage
from sdann.network_source import NetworkSource
from sdann.results import rtl_figures
from sdann.stages import RtlRun, StageResult, Stages
from sim.simulators import SimulatorName

from .collect import collect
from .data import ReportData
from .recorder import WindowRecorder

__all__ = ["check_one_pass", "run_report"]

Progress = Callable[[str], Callable[[int, int], None]]


def check_one_pass(network: str, chip: str, passes: int) -> None:
    """Raises DoesNotFitError unless ``passes`` is 1: a report shows a network that a chip holds at once."""
    if passes > 1:
        raise DoesNotFitError(
            f"{network!r} takes {passes} passes on chip {chip!r}, and a report shows a network that a chip holds at "
            "once: choose a larger one with --preset or --set (`sdann size` says which), or check the passes with "
            "`sdann verify`"
        )


def run_report(
    source: NetworkSource, image: ProgramImage, *, simulator: SimulatorName, stall: float = 0.0, seed: int = 0,
    build_dir: Path, progress: Progress,
) -> ReportData:  # fmt: skip
    """Runs golden model, onnxruntime, spiking model, tile model and RTL on the samples of ``source``.

    ``simulator`` "tiles": the tile and cycle models in the RTL's place; there is no stage "rtl" then. The other
    arguments as in :meth:`sdann.stages.Stages.rtl`. Raises SdannError where a stage cannot run.
    """
    from sim.cosim import simulate  # pulls in the simulators' tools

    started, advance = time.monotonic(), progress("models")
    stages = Stages(source.network, source.x, source.labels)
    recorder = WindowRecorder(image)
    models: tuple[Callable[[], StageResult], ...] = (
        stages.golden_model,
        stages.onnxruntime,
        lambda: stages.spiking_model(isum_bits=image.config.isum_bits),
        lambda: stages.tile_model(image, observer=recorder),
    )
    results = []
    for number, run in enumerate(models, start=1):
        results.append(run())
        advance(number, len(models))
    if simulator == "tiles":
        found = simulate(image, source.x, simulator="tiles", mode="stream", progress=progress("cycle model"))
        runs = RtlRun(observed=found, streamed=found)
    else:
        rtl, runs = stages.rtl(
            image, simulator=simulator, stall=stall, seed=seed, build_dir=build_dir, progress=progress
        )
        results.append(rtl)
    return collect(
        network=source.network, source=source.about, image=image, stages=results, figures=rtl_figures(image, runs),
        recorder=recorder, run=runs.streamed, simulator=simulator, seconds=time.monotonic() - started,
    )  # fmt: skip
