"""What happens in every window of a run, recorded while the tile model runs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.program import Counter
from sdann.graph import INPUT, IntArray
from sdann.mapper.image import Coordinate, ProgramImage
from sdann.mesh_model import Delivery, Link
from sdann.tile_observer import TileObserver

__all__ = ["RECORDED", "Row", "Window", "WindowRecorder"]

RECORDED = (Counter.SOPS, Counter.SPIKES_IN, Counter.SPIKES_OUT, Counter.HOPS)
"""Counters that are recorded window by window."""

Row = tuple[str, str]
"""(layer, what it does): a row of the pipeline."""


@dataclass(kw_only=True)
class Window:
    """``counters``: what each tile has counted in this window alone. ``flits``: spike bundles by link. ``work``: the
    sample that each row of the pipeline worked on.
    """

    counters: dict[Coordinate, dict[Counter, int]] = field(default_factory=dict)
    flits: dict[Link, int] = field(default_factory=dict)
    work: dict[Row, int] = field(default_factory=dict)


class WindowRecorder(TileObserver):
    """``windows``: what each has seen. ``spikes``: int64 [T] by layer, what its cores have sent in each time step."""

    def __init__(self, image: ProgramImage) -> None:
        self._image = image
        self.windows: list[Window] = []
        self.spikes: dict[str, IntArray] = {
            layer.name: np.zeros(image.time_steps, dtype=np.int64) for layer in image.manifest.layers
        }
        self._before: dict[Coordinate, dict[Counter, int]] = {}

    def _at(self, window: int) -> Window:
        while len(self.windows) <= window:
            self.windows.append(Window())
        return self.windows[window]

    def emits(self, window: int, core: Coordinate, age: int, spikes: npt.NDArray[Any]) -> None:
        """See :class:`TileObserver`."""
        entry = self._image.cores[core]
        self.spikes[entry.layer] += spikes.sum(axis=(1, 2, 3, 4), dtype=np.int64)
        if entry.stage == 0 and age == 0:  # an input tile sends sample n in window n
            self._at(window).work[entry.layer, "sends"] = window

    def sends(self, window: int, way: Delivery, flits: int) -> None:
        """See :class:`TileObserver`."""
        seen = self._at(window).flits
        for link in way.links:
            seen[link] = seen.get(link, 0) + flits

    def integrates(self, window: int, core: Coordinate, sample: int) -> None:
        """See :class:`TileObserver`."""
        self._at(window).work[self._image.cores[core].layer, "integrates"] = sample

    def reads_out(self, window: int, core: Coordinate, sample: int) -> None:
        """See :class:`TileObserver`."""
        self._at(window).work[self._image.cores[core].layer, "read out"] = sample

    def ends(self, window: int, counters: Mapping[Coordinate, Mapping[Counter, int]]) -> None:
        """See :class:`TileObserver`."""
        now = {tile: {counter: values[counter] for counter in RECORDED} for tile, values in counters.items()}
        self._at(window).counters = {
            tile: {counter: number - self._before.get(tile, {}).get(counter, 0) for counter, number in values.items()}
            for tile, values in now.items()
        }
        self._before = now

    @property
    def rows(self) -> list[Row]:
        """Rows of the pipeline: what the host sends, layers in their stages' order, the read-out."""
        order = {layer.name: layer.stage for layer in self._image.manifest.layers}
        seen = {row for window in self.windows for row in window.work}
        return sorted(seen, key=lambda row: (row[1] == "read out", order[row[0]], row[0] != INPUT))

    def disagreements(self, counters: Mapping[Coordinate, Mapping[str, int]]) -> list[str]:
        """A line for every tile whose ``counters`` (by name) are not the sums of the windows' and of the links'."""
        found = []
        for tile, values in counters.items():
            for counter in RECORDED:
                number = sum(window.counters[tile][counter] for window in self.windows)
                if number != values[counter.name]:
                    found.append(
                        f"tile {tile}: {counter.name} is {values[counter.name]}, its windows add up to {number}"
                    )
            flits = sum(n for window in self.windows for (y, x, _), n in window.flits.items() if (y, x) == tile)
            if flits != values[Counter.HOPS.name]:
                found.append(f"tile {tile}: HOPS is {values[Counter.HOPS.name]}, its links add up to {flits}")
        for layer, steps in self.spikes.items():
            cores = [(core.y, core.x) for core in self._image.cores_of(layer)]
            number = sum(counters[core][Counter.SPIKES_OUT.name] for core in cores)
            if number != steps.sum():
                found.append(f"layer {layer!r}: SPIKES_OUT is {number}, its time steps add up to {steps.sum()}")
        return found
