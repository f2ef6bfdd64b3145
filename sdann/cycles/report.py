"""What the cycle model predicts, ready for tables."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sdann.graph import IntArray
from sdann.mapper.image import Coordinate

__all__ = ["CycleReport", "LayerCycles", "PhaseCycles"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PhaseCycles:
    """One phase, from a command to the next one; all times in cycles.

    ``command``: STEP (``number``: time step), PARTIAL (phase, from 1) or REQUANT. ``cycles``: its length. ``network``:
    from the command until the network is empty again (0: nothing was sent). int64 [cores], in the report's order:
    ``busy``: visits of the accumulator; ``sops``; ``emit``: from the command until emission, read-out or partial sums
    are handed over, ``stalled``: of these, cycles in which they waited for the network; ``passes``: of membrane passes;
    ``pool``: of pooling; ``quiet``: from the command until the core has nothing left to do.
    """

    window: int
    command: str
    number: int
    cycles: int
    network: int
    busy: IntArray
    sops: IntArray
    emit: IntArray
    stalled: IntArray
    passes: IntArray
    pool: IntArray
    quiet: IntArray

    @property
    def busiest(self) -> int:
        """Number of the core with the most visits."""
        return int(self.busy.argmax())

    @property
    def last(self) -> int:
        """Number of the core that has something to do for the longest time."""
        return int(self.quiet.argmax())


@dataclass(frozen=True, kw_only=True)
class LayerCycles:
    """Cycles of a layer per window, in the mean over full windows.

    ``cores``: how many. ``busiest``: the one with the most visits; of that one ``busy`` (visits), ``emit``, ``passes``,
    ``pool``, and ``utilisation``: visits as a share of the window.
    """

    layer: str
    cores: int
    busiest: Coordinate
    busy: float
    emit: float
    passes: float
    pool: float
    utilisation: float


@dataclass(frozen=True, kw_only=True, eq=False)
class CycleReport:
    """A run of ``samples`` samples through ``stages`` layers.

    ``cores``: (y, x), ``layers``: their layers. ``sops_per_cycle``: of a core at best, lanes times weight ports.
    ``window_start``: cycles of a window beside its phases. ``phases``: in the order of time. ``late``: windows in which
    the host's next sample was not complete before the last step, so that a bubble follows, of which this model knows
    nothing: where it is not 0, ``cycles`` is too low. Only tiny inputs on large meshes come to that.
    """

    cores: tuple[Coordinate, ...]
    layers: tuple[str, ...]
    samples: int
    stages: int
    sops_per_cycle: int
    window_start: int
    phases: tuple[PhaseCycles, ...]
    late: int

    @property
    def windows(self) -> int:
        """Windows of the run: one for each sample, and one for each layer."""
        return self.samples + self.stages

    @cached_property
    def window_cycles(self) -> IntArray:
        """Length of each window, int64 [windows], as register CYCLES counts it."""
        lengths = np.full(self.windows, self.window_start, dtype=np.int64)
        for phase in self.phases:
            lengths[phase.window] += phase.cycles
        return lengths

    @property
    def cycles(self) -> int:
        """Of the whole run: register CYCLES."""
        return int(self.window_cycles.sum())

    @property
    def full(self) -> range:
        """Windows in which every stage holds a sample; all windows, where there is none."""
        return range(self.stages, self.samples) if self.samples > self.stages else range(self.windows)

    @property
    def per_sample(self) -> float:
        """Cycles per sample of a pipeline that is full: the mean length of the full windows."""
        return float(self.window_cycles[self.full].mean())

    @property
    def bound(self) -> float:
        """The least cycles that a full window's SOPs could take: in each step, those of the core with the most of them,
        each visit with all lanes and weight ports; the mean over full windows.
        """
        most = sum(int(phase.sops.max(initial=0)) for phase in self.phases if phase.window in self.full)
        return most / self.sops_per_cycle / len(self.full)

    def total(self, name: str) -> IntArray:
        """The sum of a field of :class:`PhaseCycles` over the run, int64 [cores]."""
        return np.asarray(np.sum([getattr(phase, name) for phase in self.phases], axis=0), dtype=np.int64)

    def by_layer(self) -> list[LayerCycles]:
        """All layers, in the order of their first cores."""
        chosen = [phase for phase in self.phases if phase.window in self.full]
        mean = {
            name: np.sum([getattr(phase, name) for phase in chosen], axis=0) / len(self.full)
            for name in ("busy", "emit", "passes", "pool")
        }
        rows = []
        for layer in dict.fromkeys(self.layers):
            own = [n for n, name in enumerate(self.layers) if name == layer]
            top = max(own, key=lambda n: float(mean["busy"][n]))
            values = {name: float(mean[name][top]) for name in mean}
            utilisation = values["busy"] / self.per_sample
            rows.append(
                LayerCycles(layer=layer, cores=len(own), busiest=self.cores[top], utilisation=utilisation, **values)
            )
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Cycles per sample and their bound, the run's cycles, and the rows of :meth:`by_layer`."""
        return {
            "per_sample": self.per_sample, "bound": self.bound, "windows": len(self.full), "run": self.cycles,
            "samples": self.samples, "late": self.late, "layers": [asdict(row) for row in self.by_layer()],
        }  # fmt: skip
