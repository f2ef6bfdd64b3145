"""Runs a program image on the RTL, in a simulator chosen by name, and says where it differs from the golden."""

import tempfile
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from hdl.chip import CHIP_MODULE, TILE_MODULE, chip_verilog
from sdann.errors import SdannError
from sdann.graph import IntArray, QuantizedNetwork
from sdann.mapper import ProgramImage
from sdann.mapper.samples import Inputs, neurons_of
from sdann.stem import run as run_stem

from .amaranth_sim import run_in_amaranth
from .compare import Difference
from .compiled.build import changed_tile
from .compiled.chip import CompiledChip, run_compiled
from .driver import ChipDriver, ChipError
from .result import RunResult, Trace
from .session import Progress, observe, stream, trace
from .simulators import CocotbSimulator, SimulatorName
from .tiles import run_tiles
from .toolchain import BenchError, BenchResult, run_bench
from .workload import Mode, Workload

__all__ = ["default_build_dir", "locate_step", "run_workload", "simulate", "trace_core"]

Result = TypeVar("Result")


def default_build_dir() -> Path:
    """Where simulator builds are kept between runs: ``build/`` below the current folder."""
    return Path("build") / "sim"


def simulate(
    image: ProgramImage,
    samples: Inputs,
    *,
    simulator: SimulatorName = "verilator",
    mode: Literal["stream", "observe"] = "observe",
    stall: float = 0.0,
    seed: int = 0,
    build_dir: Path | None = None,
    verilog: str | None = None,
    progress: Progress | None = None,
    timeout: float = 1800.0,
    answer_limit: int = 20_000,
    step_limit: int = 1_000_000,
) -> RunResult:
    """Runs samples [K, C, H, W] (integers of T bits, of every source of the program) back to back through the chip that
    the image is for.

    ``mode``: "observe" reads every neuron's activation, "stream" runs at full speed and yields outputs only. ``stall``:
    probability that the host stalls, per cycle and stream. ``verilog``: the chip's text where it is at
    hand already (or deliberately changed; of a text for "compiled", only the tile may be). "tiles" knows neither, and
    yields the activations in both modes. Raises :class:`sim.driver.ChipError` when the chip complains or goes silent,
    :class:`sdann.errors.ToolMissingError` for a missing simulator.
    """
    if simulator == "tiles":
        return run_tiles(image, samples, progress)
    if simulator == "amaranth" or simulator == "compiled":
        run = observe if mode == "observe" else stream

        async def job(driver: ChipDriver) -> RunResult:
            driver.answer_limit, driver.step_limit = answer_limit, step_limit
            return await run(driver, samples, progress or (lambda done, total: None))

        return _run_here(image, job, simulator, stall, seed, build_dir, verilog)
    path, _ = run_workload(
        image, samples, simulator=simulator, mode=mode, stall=stall, seed=seed, build_dir=build_dir, verilog=verilog,
        progress=progress, timeout=timeout, answer_limit=answer_limit, step_limit=step_limit,
    )  # fmt: skip
    return RunResult.load(path)


def _run_here(
    image: ProgramImage,
    job: Callable[[ChipDriver], Awaitable[Result]],
    simulator: SimulatorName,
    stall: float,
    seed: int,
    build_dir: Path | None,
    verilog: str | None,
) -> Result:
    """Runs ``job`` in this process."""
    if simulator == "amaranth":
        return run_in_amaranth(image, job, stall=stall, seed=seed)
    tile = None if verilog is None else changed_tile(image.config, verilog)
    build_dir = build_dir or default_build_dir()
    with CompiledChip(image.config, build_dir=build_dir, stall=stall, seed=seed, tile=tile) as chip:
        return run_compiled(chip, image, job)


def trace_core(
    image: ProgramImage,
    sample: IntArray,
    core: tuple[int, int],
    *,
    simulator: SimulatorName = "verilator",
    build_dir: Path | None = None,
    verilog: str | None = None,
    timeout: float = 1800.0,
) -> Trace:
    """I(t) and V(t-1) of one core while its layer integrates ``sample`` [C, H, W]."""
    if simulator == "tiles":
        raise ValueError("the tile model has no RTL to trace")
    if simulator == "amaranth" or simulator == "compiled":

        async def job(driver: ChipDriver) -> Trace:
            return await trace(driver, sample, core)

        return _run_here(image, job, simulator, 0.0, 0, build_dir, verilog)
    path, _ = run_workload(
        image, sample[None], simulator=simulator, mode="trace", core=core, build_dir=build_dir, verilog=verilog,
        timeout=timeout,
    )  # fmt: skip
    return Trace.load(path)


def locate_step(
    difference: Difference,
    network: QuantizedNetwork,
    image: ProgramImage,
    samples: IntArray,
    *,
    simulator: SimulatorName = "verilator",
    build_dir: Path | None = None,
    verilog: str | None = None,
) -> Difference:
    """Re-runs the sample of an RTL difference step by step; returns the difference with its step filled in.

    I(t) and V(t) are held against the spiking reference's, in every core that sums a part of the neuron, and for all
    neurons of a pooling window. Where all agree to the end, the step is "requantization".
    """
    sample, name = samples[difference.sample], difference.layer
    wanted = run_stem(network, sample[None], record=("currents", "membranes"))
    neurons = neurons_of(image, name, difference.neuron)
    first = image.time_steps
    for core in dict.fromkeys(neuron.core for neuron in neurons):
        seen = trace_core(image, sample, core, simulator=simulator, build_dir=build_dir, verilog=verilog)
        part = image.cores[core].part
        split = bool(network.layer(name).parts)
        currents = wanted.part_currents[name][part] if split else wanted.currents[name]
        membranes = wanted.part_membranes[name][part] if split else wanted.membranes[name]
        for neuron in neurons:
            if neuron.core == core:
                at = (slice(None), 0, *neuron.place)
                wrong = seen.currents[:, neuron.word, neuron.lane] != currents[at]
                # before step 0, V still holds what requantization left there
                wrong[1:] |= seen.membranes[1:, neuron.word, neuron.lane] != membranes[at][:-1]
                first = min(first, *np.flatnonzero(wrong).tolist(), image.time_steps)
    return replace(difference, step=first if first < image.time_steps else "requantization")


def run_workload(
    image: ProgramImage,
    samples: Inputs,
    *,
    simulator: CocotbSimulator,
    mode: Mode,
    core: tuple[int, int] = (0, 0),
    stall: float = 0.0,
    seed: int = 0,
    build_dir: Path | None,
    verilog: str | None,
    progress: Progress | None = None,
    timeout: float = 1800.0,
    answer_limit: int = 20_000,
    step_limit: int = 1_000_000,
) -> tuple[Path, BenchResult]:
    """Runs the chip bench in a cocotb simulator; returns the result's file, and where the run's log is."""
    build_dir = (build_dir or default_build_dir()).resolve()
    build_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="workload-", dir=build_dir))
    image_file = folder / "image.safetensors"
    image.save(image_file)
    workload = Workload(
        folder=folder, image_file=image_file, samples=samples, mode=mode, core=core, stall=stall, seed=seed,
        answer_limit=answer_limit, step_limit=step_limit,
    )  # fmt: skip
    path = workload.save()
    try:
        with _Watcher(workload, progress):
            bench = run_bench(
                verilog=verilog or chip_verilog(image.config), toplevel=CHIP_MODULE, module="sim.benches.chip_bench",
                simulator=simulator, build_dir=build_dir, env={"SDANN_WORKLOAD": str(path)},
                hierarchical=[TILE_MODULE], seed=seed, timeout=timeout,
            )  # fmt: skip
    except BenchError as error:
        if workload.error_file.is_file():
            raise ChipError(workload.error_file.read_text()) from error
        raise
    if not workload.result_file.is_file():
        raise SdannError(f"the chip bench on {simulator} left no result in {folder}")
    return workload.result_file, bench


class _Watcher:
    """Reports the progress that a bench in another process leaves in its folder."""

    def __init__(self, workload: Workload, progress: Callable[[int, int], None] | None) -> None:
        self._workload, self._progress = workload, progress
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        if self._progress is not None:
            self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        if self._progress is not None:
            self._thread.join()

    def _watch(self) -> None:
        assert self._progress is not None
        while not self._stop.wait(0.2):
            try:
                done, total = map(int, self._workload.progress_file.read_text().split())
            except (OSError, ValueError):
                continue  # not there yet, or being written
            self._progress(done, total)
