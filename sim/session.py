"""Runs of the chip through its driver: at full speed, observed window by window, or traced step by step."""

from collections.abc import Callable

import numpy as np

from hdl.host import PauseMode, Register, RunState
from hdl.pack import fields, unpack
from hdl.program import Counter, Memory, memory_layouts
from sdann.graph import IntArray
from sdann.mapper import ProgramImage
from sdann.mapper.samples import Inputs, inputs_by_name

from .driver import RESUME, ChipDriver, ChipError, Core
from .result import RunResult, Trace

__all__ = ["Progress", "each_sample", "observe", "stream", "trace"]

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


def _ignore(done: int, total: int) -> None:
    pass


def each_sample(image: ProgramImage, samples: Inputs) -> list[dict[str, IntArray]]:
    """Samples [K, C, H, W] of the program's sources, one by one, by the sources' names."""
    sources = inputs_by_name(image, samples)
    counts = {len(values) for values in sources.values()}
    if len(counts) > 1:
        raise ChipError(f"the sources have different numbers of samples: {sorted(counts)}")
    return [{name: values[k] for name, values in sources.items()} for k in range(counts.pop())]


async def stream(driver: ChipDriver, samples: Inputs, progress: Progress = _ignore) -> RunResult:
    """K samples [K, C, H, W] back to back, at the speed that the chip and its host port allow."""
    await driver.load()
    await driver.start()
    queue = each_sample(driver.image, samples)
    for sample in queue:
        driver.send_sample(sample)
    outputs = []
    window_limit = (driver.image.time_steps + 1) * driver.step_limit
    limit = (driver.stages + 2) * min(window_limit, driver.answer_limit * 10)
    for done in range(len(queue)):
        outputs += await driver.collect(1, limit)
        progress(done + 1, len(queue))
    return await _finish(driver, RunResult(outputs=np.stack(outputs)))


async def observe(driver: ChipDriver, samples: Inputs, progress: Progress = _ignore) -> RunResult:
    """Like :func:`stream`, but pauses after every window and reads each layer's newest activations.

    The pipeline runs full all the while: in window n layer s holds sample n - s + 1.
    """
    image, queue = driver.image, each_sample(driver.image, samples)
    count = len(queue)
    await driver.load()
    await driver.start(PauseMode.WINDOW)
    for sample in queue[:2]:
        driver.send_sample(sample)
    layers = image.computed
    found: dict[str, list[IntArray]] = {layer.name: [] for layer in layers}
    windows = count + driver.stages
    for window in range(windows):
        await driver.wait_for(RunState.PAUSED)
        for layer in layers:
            if 0 <= window - layer.stage + 1 < count:
                words, memory = {}, image.result_memory(layer.name)
                for core in ((entry.y, entry.x) for entry in image.holders(layer.name)):
                    words[core] = await driver.read_words(core, memory, range(image.word_count(core, memory)))
                found[layer.name].append(image.assemble(layer.name, words))
        driver.set(Register.CONTROL, RESUME)
        if window + 2 < count:  # sample window + 1 is waiting in the input tiles; this one follows it
            driver.send_sample(queue[window + 2])
        progress(window + 1, windows)
    outputs = await driver.collect(count, driver.answer_limit)
    result = RunResult(outputs=np.stack(outputs), activations={k: np.stack(v) for k, v in found.items()})
    return await _finish(driver, result)


async def trace(driver: ChipDriver, sample: Inputs, core: Core) -> Trace:
    """I(t) and V(t-1) of one core, step by step, while its layer integrates ``sample`` [C, H, W].

    V(-1) is not zero but what the window before left there: integration takes it as zero.
    """
    image, config = driver.image, driver.config
    stage = image.cores[core].stage
    if stage == 0:
        raise ChipError(f"tile {core} is an input tile: it integrates nothing")
    await driver.load()
    await driver.start(PauseMode.STEP)
    driver.send_sample(sample)
    seen: dict[Memory, list[list[list[int]]]] = {Memory.ISUM: [], Memory.MEMBRANE: []}
    for window in range(stage):
        for step in range(image.time_steps + 1):
            await driver.wait_for(RunState.PAUSED)
            if window == stage - 1 and step < image.time_steps:
                for memory, steps in seen.items():
                    layout = memory_layouts(config)[memory]
                    table = fields(layout)
                    words = await driver.read_words(core, memory, range(image.word_count(core, memory)))
                    steps.append([list(unpack(layout, word, table).values()) for word in words])
            driver.set(Register.CONTROL, RESUME)
    return Trace(
        core=core,
        currents=np.array(seen[Memory.ISUM], dtype=np.int64),
        membranes=np.array(seen[Memory.MEMBRANE], dtype=np.int64),
    )


async def _finish(driver: ChipDriver, result: RunResult) -> RunResult:
    """Waits until the pipeline is empty, then reads registers and counters."""
    await driver.wait_for(RunState.WAITING)
    result.windows = await driver.get(Register.WINDOWS)
    result.cycles = await driver.get(Register.CYCLES)
    result.samples = await driver.get(Register.SAMPLES)
    result.barriers = await driver.get(Register.BARRIERS)
    result.stray = await driver.get(Register.STRAY)
    for core in driver.config.cores:  # tiles without a program too: flits may have gone astray there
        values = await driver.read_words(core, Memory.COUNTER, range(len(Counter)))
        result.counters[core] = {counter.name: value for counter, value in zip(Counter, values, strict=True)}
    return result
