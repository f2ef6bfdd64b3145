"""The tile model and the cycle model as a simulator: what the chip would yield, without its RTL."""

import numpy as np

from hdl.program import Counter
from sdann.cycles import predict
from sdann.mapper import ProgramImage
from sdann.mapper.samples import Inputs, inputs_by_name

from .result import RunResult
from .session import Progress

__all__ = ["run_tiles"]


def run_tiles(image: ProgramImage, samples: Inputs, progress: Progress | None = None) -> RunResult:
    """What a run at full speed of ``samples`` [K, C, H, W] yields; every layer's activations are there as well."""
    sources = inputs_by_name(image, samples)
    count = len(next(iter(sources.values())))
    report, found = predict(image, sources)
    registers = image.manifest.registers
    counters = {
        core: dict.fromkeys((counter.name for counter in Counter), 0) | {c.name: n for c, n in values.items()}
        for core, values in found.counters.items()
    }
    for name, numbers in ((Counter.BUSY.name, report.total("busy")), (Counter.STALLED.name, report.total("stalled"))):
        for core, number in zip(report.cores, numbers, strict=True):
            counters[core][name] = int(number)
    windows = count + registers.STAGES
    if progress is not None:
        progress(count, count)
    return RunResult(
        outputs=np.zeros((count, 0), dtype=np.int64) if found.readout is None else found.readout,
        activations={layer.name: found.activations[layer.name] for layer in image.computed},
        counters={core: counters[core] for core in image.config.cores}, windows=windows, cycles=report.cycles,
        samples=count, barriers=windows * (image.time_steps + registers.PARTS + 1), stray=found.stray,
    )  # fmt: skip
