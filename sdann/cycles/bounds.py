"""Where the cycles of a window go, and the least that its cores' work could take: of the chip, and of each layer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .report import CycleReport, PhaseCycles

__all__ = ["Bounds", "LayerBounds", "WindowShares", "bounds_of", "layer_bounds", "shares_of"]

STEP = "STEP"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Cycles of a full window, in the mean, and what they cannot fall below; each the sum over the window's phases.

    ``peak``: SOPs of each step's busiest core, each visit of its accumulator with all lanes and weight ports.
    ``visits``: visits of each step's busiest core: an odd set bit of a bundle takes one of its own, and lanes without a
    channel add nothing. ``chip``: the core with the most visits and passes in each phase, and the barrier. So
    ``peak <= visits <= chip <= cycles``.
    """

    cycles: float
    peak: float
    visits: float
    chip: float

    @property
    def over_peak(self) -> float:
        """Cycles over ``peak``."""
        return _ratio(self.cycles, self.peak)

    @property
    def over_visits(self) -> float:
        """Cycles over ``visits``."""
        return _ratio(self.cycles, self.visits)

    @property
    def over_chip(self) -> float:
        """Cycles over ``chip``."""
        return _ratio(self.cycles, self.chip)

    def as_dict(self) -> dict[str, Any]:
        """All of it."""
        return {
            **asdict(self), "over_peak": self.over_peak, "over_visits": self.over_visits, "over_chip": self.over_chip,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WindowShares:
    """What the cycles of a full window are spent on, in the mean; they add up to it.

    Of the core that ends each step: ``visits`` of its accumulator, membrane ``passes``, and ``waiting``, the rest until
    it is quiet: for bundles, and for its own pipelines and emission. ``barrier``: from there to the next command.
    ``ending``: what comes after the last step, partial sums and requantization. ``start``: of the window.
    """

    visits: float
    passes: float
    waiting: float
    barrier: float
    ending: float
    start: float


@dataclass(frozen=True, kw_only=True)
class LayerBounds:
    """What a full window would take in the mean if it waited for one layer's ``cores`` only; see :class:`Bounds`."""

    layer: str
    cores: int
    bounds: Bounds


def _ratio(cycles: float, bound: float) -> float:
    return cycles / bound if bound else float("inf")


def _quiet(phase: PhaseCycles) -> int:
    """The first cycle in which the whole chip is."""
    return max(int(phase.quiet.max(initial=0)), phase.network)


def _bounds(report: CycleReport, cores: Sequence[int], *, whole: bool) -> Bounds:
    cycles = peak = visits = chip = 0.0
    for phase in report.phases:
        if phase.window not in report.full:
            continue
        barrier = phase.cycles - _quiet(phase)
        quiet = _quiet(phase) if whole else int(phase.quiet[cores].max())
        work = int((phase.busy + phase.passes + phase.pool)[cores].max())
        cycles += quiet + barrier
        chip += work + barrier
        visits += int(phase.busy[cores].max())
        peak += int(phase.sops[cores].max()) / report.sops_per_cycle
    windows, start = len(report.full), report.window_start
    return Bounds(
        cycles=cycles / windows + start, peak=peak / windows, visits=visits / windows, chip=chip / windows + start
    )


def bounds_of(report: CycleReport) -> Bounds:
    """Of the whole chip; ``cycles`` is :attr:`CycleReport.per_sample`."""
    return _bounds(report, range(len(report.cores)), whole=True)


def layer_bounds(report: CycleReport) -> list[LayerBounds]:
    """Of every layer that computes, in the order of their first cores."""
    found = []
    for layer in dict.fromkeys(report.layers):
        own = [n for n, name in enumerate(report.layers) if name == layer]
        bounds = _bounds(report, own, whole=False)
        if bounds.visits:
            found.append(LayerBounds(layer=layer, cores=len(own), bounds=bounds))
    return found


def shares_of(report: CycleReport) -> WindowShares:
    """Where the cycles of :attr:`CycleReport.per_sample` go."""
    total = dict.fromkeys(("visits", "passes", "waiting", "barrier", "ending"), 0)
    for phase in report.phases:
        if phase.window not in report.full:
            continue
        if phase.command != STEP:
            total["ending"] += phase.cycles
            continue
        last, quiet = phase.last, _quiet(phase)
        total["visits"] += int(phase.busy[last])
        total["passes"] += int(phase.passes[last])
        total["waiting"] += quiet - int(phase.busy[last] + phase.passes[last])
        total["barrier"] += phase.cycles - quiet
    return WindowShares(
        start=float(report.window_start), **{name: float(np.divide(n, len(report.full))) for name, n in total.items()}
    )
