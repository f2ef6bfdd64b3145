"""Which layers share the chip, pass by pass, and how many cores each of them gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hdl.config import ChipConfig
from sdann.errors import DoesNotFitError
from sdann.graph import INPUT, Layer, QuantizedNetwork
from sdann.mapper.feeds import stages_in
from sdann.mapper.geometry import groups_of, needed_span, pooled_neurons, split_evenly
from sdann.mapper.grids import Grid, Taste, layer_grids
from sdann.mapper.limits import can_split
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.work import Spikes

__all__ = ["Frame", "Planner", "allocate"]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What one pass does: it takes ``sources`` from the host and computes ``layers``.

    Both in graph order, with the part of their activations that is on the chip.
    """

    sources: Mapping[str, RegionEntry]
    layers: Mapping[str, RegionEntry]

    @property
    def extents(self) -> dict[str, RegionEntry]:
        """Of all."""
        return {**self.sources, **self.layers}


def allocate(options: Mapping[str, Sequence[Grid]], budget: int) -> dict[str, Grid]:
    """One grid for each name, together at most ``budget`` cores, so that the busiest has as little to do as it can.

    ``options``: of each name with rising cores and falling load. The smallest load is found exactly: for a bound on the
    load every name takes the fewest cores that keep it, and the bounds to try are the loads of the options. Raises
    :class:`DoesNotFitError` where the smallest options are too many.
    """

    def within(bound: float) -> dict[str, Grid] | None:
        chosen = {}
        for name, grids in options.items():
            fitting = next((grid for grid in grids if grid.load <= bound), None)
            if fitting is None:
                return None
            chosen[name] = fitting
        return chosen if sum(grid.cores for grid in chosen.values()) <= budget else None

    loads = sorted({grid.load for grids in options.values() for grid in grids})
    low, high = 0, len(loads)  # the first bound that can be kept lies in low .. high
    while low < high:
        middle = (low + high) // 2
        if within(loads[middle]) is None:
            low = middle + 1
        else:
            high = middle
    chosen = within(loads[low]) if low < len(loads) else None
    if chosen is None:
        needed = {name: grids[0].cores for name, grids in options.items()}
        detail = ", ".join(f"{name} {cores}" for name, cores in needed.items())
        raise DoesNotFitError(f"the network needs {sum(needed.values())} cores, the chip has {budget} ({detail})")
    return chosen


class Planner:
    """Cuts a network into passes. ``overrides``: (row tiles, channel tiles) by name; ``cores``: at most so many.
    ``taste``: which cuts are better.
    """

    def __init__(
        self, network: QuantizedNetwork, config: ChipConfig, spikes: Spikes,
        overrides: Mapping[str, tuple[int, int]], cores: int, taste: Taste | None = None,
    ) -> None:  # fmt: skip
        self.taste = taste
        self.network, self.config, self.spikes = network, config, spikes
        self.overrides, self.cores = overrides, cores
        self._splittable = {layer.name for layer in network.layers if can_split(layer, network)}
        self._known: dict[tuple[str, RegionEntry, int, bool, int], list[Grid]] = {}

    # -- frames ---------------------------------------------------------------------------------------

    def whole(self, name: str) -> RegionEntry:
        """All activations of a layer or of the input."""
        channels, height, width = self.network.shape_of(name)
        return RegionEntry(y0=0, height=height, x0=0, width=width, channel0=0, channels=channels)

    def frame(self, layers: Sequence[Layer]) -> Frame:
        """Whole layers that follow each other."""
        names = [layer.name for layer in layers]
        sources = {edge.source for layer in layers for edge in layer.edges} - set(names)
        order = [INPUT, *(layer.name for layer in self.network.layers)]
        return Frame(
            sources={name: self.whole(name) for name in order if name in sources},
            layers={name: self.whole(name) for name in names},
        )

    def band(self, layer: Layer, extent: RegionEntry) -> Frame:
        """A part of one layer, with what its neurons read."""
        rows, columns = (
            pooled_neurons(span, side, layer.pool)
            for span, side in zip(
                ((extent.y0, extent.height), (extent.x0, extent.width)), layer.shape[1:], strict=True
            )
        )  # fmt: skip
        sources: dict[str, RegionEntry] = {}
        for edge in layer.edges:
            channels, height, width = self.network.shape_of(edge.source)
            y0, y1 = needed_span(rows[0], rows[0] + rows[1] - 1, edge, 0, height)
            x0, x1 = needed_span(columns[0], columns[0] + columns[1] - 1, edge, 1, width)
            y0, x0 = min(y0, height - 1), min(x0, width - 1)  # neurons that read nothing but padding
            c0, c1 = (extent.channel0, extent.channels) if edge.kind == "depthwise" else (0, channels)
            needed = RegionEntry(
                y0=y0, height=max(1, y1 - y0 + 1), x0=x0, width=max(1, x1 - x0 + 1), channel0=c0, channels=c1
            )
            sources[edge.source] = _around(sources.get(edge.source, needed), needed)
        order = [INPUT, *(other.name for other in self.network.layers)]
        return Frame(sources={n: sources[n] for n in order if n in sources}, layers={layer.name: extent})

    # -- grids ----------------------------------------------------------------------------------------

    def grids(self, frame: Frame) -> dict[str, list[Grid]]:
        """The options of everything in the frame; raises :class:`DoesNotFitError` where there are none."""
        names = list(frame.extents)
        stages = stages_in(self.network, names, set(frame.sources))
        deepest = max(stages.values())
        if deepest > self.config.stages:
            raise DoesNotFitError(f"the network needs stages {deepest}, the chip has {self.config.stages}")
        slots, readers = dict.fromkeys(names, 2), dict.fromkeys(names, 0)
        for name in frame.layers:
            for edge in self.network.layer(name).edges:
                readers[edge.source] += 1
                slots[edge.source] = max(slots[edge.source], stages[name] - stages[edge.source] + 1)
        return {
            name: self._grids(name, extent, slots[name], name in frame.sources, readers[name])
            for name, extent in frame.extents.items()
        }

    def _grids(self, name: str, extent: RegionEntry, slots: int, source: bool, readers: int) -> list[Grid]:
        key = (name, extent, slots, source, readers)
        # what an earlier pass has computed, and parts of a layer, are cut as they need to be
        by_hand = extent == self.whole(name) and (not source or name == INPUT)
        if key not in self._known:
            self._known[key] = layer_grids(
                self.network, name, self.config, extent=extent, slots=slots, spikes=self.spikes, source=source,
                splittable=name in self._splittable, most=self.cores, cut=self.overrides.get(name) if by_hand else None,
                readers=readers, taste=self.taste,
            )  # fmt: skip
        return self._known[key]

    def fits(self, frame: Frame) -> bool:
        """Whether the chip has the cores for it."""
        try:
            options = self.grids(frame)
        except DoesNotFitError:
            return False
        return sum(grids[0].cores for grids in options.values()) <= self.cores

    # -- passes ---------------------------------------------------------------------------------------

    def frames(self) -> list[Frame]:
        """The passes: each takes as many layers as fit, and a layer too large for the chip becomes several.

        Raises :class:`DoesNotFitError` where a layer does not fit the cores' memories however it is cut.
        """
        found: list[Frame] = []
        layers = self.network.layers
        first = 0
        while first < len(layers):
            last = first + 1
            if not self.fits(self.frame(layers[first:last])):
                if {layers[first].name, *(edge.source for edge in layers[first].edges)} & set(self.overrides):
                    self.grids(self.frame(layers[first:last]))  # a cut by hand that does not fit is refused
                found += self.bands(layers[first])
                first = last
                continue
            while last < len(layers) and self.fits(self.frame(layers[first : last + 1])):
                last += 1
            found.append(self.frame(layers[first:last]))
            first = last
        return found

    def bands(self, layer: Layer) -> list[Frame]:
        """One layer in several passes: its rows are cut first, then its columns, then its channel groups."""
        whole, lanes = self.whole(layer.name), self.config.lanes
        groups = groups_of(whole.channels, lanes)
        cuts = [
            *((rows, 1, 1) for rows in range(2, whole.height + 1)),
            *((whole.height, columns, 1) for columns in range(2, whole.width + 1)),
            *((whole.height, whole.width, tiles) for tiles in range(2, groups + 1)),
        ]
        frames = [self.frame([layer])]
        for rows, columns, tiles in cuts:
            frames = [
                self.band(layer, RegionEntry(
                    y0=y0, height=height, x0=x0, width=width, channel0=first * lanes,
                    channels=min(count * lanes, whole.channels - first * lanes),
                ))
                for y0, height in split_evenly(0, whole.height, rows)
                for x0, width in split_evenly(0, whole.width, columns)
                for first, count in split_evenly(0, groups, tiles)
            ]  # fmt: skip
            # one in the middle has the longest halo
            if self.fits(frames[len(frames) // 2]) and all(map(self.fits, frames)):
                return frames
        # the finest cut says what does not fit
        worst = next(frame for frame in frames if not self.fits(frame))
        allocate(self.grids(worst), self.cores)
        raise AssertionError("a frame that fits was refused")


def _around(a: RegionEntry, b: RegionEntry) -> RegionEntry:
    """The smallest region that holds both."""
    y0, x0, c0 = min(a.y0, b.y0), min(a.x0, b.x0), min(a.channel0, b.channel0)
    return RegionEntry(
        y0=y0, height=max(a.y0 + a.height, b.y0 + b.height) - y0,
        x0=x0, width=max(a.x0 + a.width, b.x0 + b.width) - x0,
        channel0=c0, channels=max(a.channel0 + a.channels, b.channel0 + b.channels) - c0,
    )  # fmt: skip
