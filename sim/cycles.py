"""The cycle model against the RTL: register CYCLES, and the counters of every core that depend on timing."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hdl.program import Counter
from sdann.cycles import CycleReport, predict
from sdann.graph import IntArray
from sdann.mapper import ProgramImage
from sdann.mapper.image import Coordinate

from .cosim import simulate
from .result import RunResult

__all__ = ["CycleComparison", "CycleDifference", "compare_cycles", "hold"]


@dataclass(frozen=True)
class CycleDifference:
    """A counter of a core that is not what was predicted."""

    core: Coordinate
    counter: str
    predicted: int
    counted: int

    def __str__(self) -> str:
        return f"core {self.core}: {self.counter} is {self.counted}, {self.predicted} predicted"


@dataclass(frozen=True, kw_only=True, eq=False)
class CycleComparison:
    """``report``: what was predicted. ``cycles``, ``windows``: the chip's registers. ``differences``: all of them."""

    report: CycleReport
    cycles: int
    windows: int
    differences: tuple[CycleDifference, ...]

    @property
    def error(self) -> float:
        """By how much the prediction is off, as a share of the cycles that were counted."""
        return abs(self.report.cycles - self.cycles) / max(1, self.cycles)

    def wrong(self, counter: Counter) -> int:
        """Cores that differ in ``counter``."""
        return sum(difference.counter == counter.name for difference in self.differences)


def hold(report: CycleReport, result: RunResult) -> CycleComparison:
    """Holds ``report`` against a run at full speed: BUSY, STALLED and SOPs of every core, and CYCLES."""
    predicted: Mapping[Counter, IntArray] = {
        Counter.BUSY: report.total("busy"), Counter.STALLED: report.total("stalled"),
        Counter.SOPS: report.total("sops"),
    }  # fmt: skip
    differences = [
        CycleDifference(core, counter.name, int(values[n]), result.counters[core][counter.name])
        for counter, values in predicted.items()
        for n, core in enumerate(report.cores)
        if result.counters[core][counter.name] != values[n]
    ]
    return CycleComparison(report=report, cycles=result.cycles, windows=result.windows, differences=tuple(differences))


def compare_cycles(
    image: ProgramImage, samples: IntArray, *, build_dir: Path | None = None, timeout: float = 1800.0
) -> CycleComparison:
    """Predicts the cycles of samples [K, C, H, W], and counts them on Verilator."""
    report, _ = predict(image, samples)
    result = simulate(image, samples, mode="stream", build_dir=build_dir, timeout=timeout)
    return hold(report, result)
