"""What a run of the chip yields, the same for every simulator, and how it travels between processes."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hdl.program import Counter
from sdann.graph import IntArray

__all__ = ["RunResult", "Trace"]

Core = tuple[int, int]


@dataclass(kw_only=True)
class RunResult:
    """Results of K samples.

    ``outputs``: read-out of the last layer, int64 [K, C, H, W], as it came through the host port; [K, 0] of a program
    that reads nothing out. ``activations``:
    every layer's, int64 [K, C, H, W] by name, read from the cores' memories; empty for a run that was not observed.
    ``counters``: per core (y, x), by :class:`hdl.program.Counter` name. ``windows, cycles, samples, barriers, stray``:
    the chip's registers after the run.
    """

    outputs: IntArray
    activations: dict[str, IntArray] = field(default_factory=dict)
    counters: dict[Core, dict[str, int]] = field(default_factory=dict)
    windows: int = 0
    cycles: int = 0
    samples: int = 0
    barriers: int = 0
    stray: int = 0

    def total(self, counter: Counter) -> int:
        """Sum of one counter over all cores."""
        return sum(values[counter.name] for values in self.counters.values())

    def save(self, path: Path) -> None:
        """Writes the result as one .npz file."""
        plain: dict[str, Any] = {k: v for k, v in asdict(self).items() if isinstance(v, int)}
        plain["counters"] = {f"{y},{x}": values for (y, x), values in self.counters.items()}
        arrays = {f"layer/{name}": array for name, array in self.activations.items()}
        with path.open("wb") as file:
            np.savez(file, outputs=self.outputs, plain=np.array(json.dumps(plain)), **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "RunResult":
        """Inverse of :meth:`save`."""
        with np.load(path, allow_pickle=False) as file:
            plain = json.loads(str(file["plain"]))
            counters = {}
            for key, values in plain.pop("counters").items():
                y, x = map(int, key.split(","))
                counters[y, x] = values
            layers = {k.removeprefix("layer/"): file[k] for k in file.files if k.startswith("layer/")}
            return cls(outputs=file["outputs"], activations=layers, counters=counters, **plain)


@dataclass(kw_only=True)
class Trace:
    """I(t) and V(t-1) of one core during one sample: int64 [T, words, lanes] each."""

    core: Core
    currents: IntArray
    membranes: IntArray

    def save(self, path: Path) -> None:
        """Writes the trace as one .npz file."""
        with path.open("wb") as file:
            np.savez(file, core=np.array(self.core), currents=self.currents, membranes=self.membranes)

    @classmethod
    def load(cls, path: Path) -> "Trace":
        """Inverse of :meth:`save`."""
        with np.load(path, allow_pickle=False) as file:
            y, x = (int(v) for v in file["core"])
            return cls(core=(y, x), currents=file["currents"], membranes=file["membranes"])
