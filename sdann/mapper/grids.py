"""Ways to cut a layer's map into pieces that each fit a core, and how busy they leave the busiest one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hdl.config import ChipConfig
from hdl.program import Memory, chunks_of
from sdann.errors import DoesNotFitError
from sdann.graph import FanIn, Layer, QuantizedNetwork
from sdann.mapper.geometry import Span, groups_of, pooled_neurons, split_evenly, weight_words_of
from sdann.mapper.limits import need_at_most
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.work import Floats, Spikes, layer_visits

__all__ = ["EMITTING", "EMIT_LEAST", "ROUTES_OF_A_SOURCE", "Grid", "Piece", "Taste", "layer_grids", "split_fan_in"]


Box = tuple[Span, Span]
"""Rows and columns of a map."""

EMIT_LEAST = 1.5
"""Cycles that a word with spikes takes to emit at least, see docs/chip.md, *Core*: with one route entry."""

EMITTING = 0.5
"""Share of a window that a core's emission may take: beyond it the cores that it feeds wait for their bundles."""

SMALL_MAP = 256
"""Positions of a map up to which its bands of rows may be cut differently, if all of it is cut: of a larger one equal
cuts are even enough, and the search would take long."""

LOADS = 96
"""Bounds on the load that are tried for such cuts."""

ROUTES_OF_A_SOURCE = 4
"""Route entries that a core is taken to have before its routes are known: each word with a spike looks at them all."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What one core holds: rows, columns and channels of the activations (first, count), and a part of the fan-in."""

    rows: Span
    columns: Span
    channels: Span
    part: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """A layer, or what the host sends, cut into boxes of its map x channels x parts of its fan-in.

    ``boxes``: rows and columns (first, count) of each. ``load``: estimated cycles per window of the busiest core; of
    what the host sends, of emission. ``received``: positions times groups that all its cores read of their sources.
    """

    name: str
    boxes: tuple[Box, ...]
    channels: tuple[Span, ...]
    parts: tuple[tuple[FanIn, ...], ...] = ()
    load: float = 0.0
    received: int = 0

    @property
    def rows(self) -> tuple[Span, ...]:
        """The different rows of the boxes."""
        return tuple(sorted({rows for rows, _ in self.boxes}))

    @property
    def columns(self) -> tuple[Span, ...]:
        """The different columns of the boxes."""
        return tuple(sorted({columns for _, columns in self.boxes}))

    @property
    def inner(self) -> int:
        """Cores that hold the same positions: they get the same bundles."""
        return len(self.channels) * max(1, len(self.parts))

    @property
    def cores(self) -> int:
        """Number of cores."""
        return len(self.boxes) * self.inner

    @property
    def pieces(self) -> list[Piece]:
        """What each core holds; those of the same positions follow each other."""
        return [
            Piece(rows=rows, columns=columns, channels=channels, part=part)
            for rows, columns in self.boxes
            for part in range(max(1, len(self.parts)))
            for channels in self.channels
        ]

    def centres(self, height: int, width: int) -> tuple[tuple[float, float], ...]:
        """Place (y, x) of each run of :attr:`inner` cores on the map of ``height`` x ``width``, 0..1."""
        return tuple(((y + h / 2) / height, (x + w / 2) / width) for (y, h), (x, w) in self.boxes)


def split_fan_in(layer: Layer, count: int, lanes: int) -> tuple[tuple[FanIn, ...], ...]:
    """The source groups of all edges, in order, in ``count`` runs of about the same number of weights."""
    units: list[tuple[int, int, int, int]] = []  # edge, first channel, channels, weight words per output group
    for number, edge in enumerate(layer.edges):
        for channel0 in range(0, edge.channels, lanes):
            channels = min(lanes, edge.channels - channel0)
            units.append((number, channel0, channels, weight_words_of(edge, channels, 1, lanes)))
    ends = np.cumsum([words for *_, words in units])
    parts: list[list[FanIn]] = [[] for _ in range(count)]
    for (number, channel0, channels, words), end in zip(units, ends.tolist(), strict=True):
        into = parts[min(count - 1, int((end - words / 2) * count / int(ends[-1])))]
        if into and into[-1].edge == number:
            first = into.pop()
            channel0, channels = first.channel0, first.channels + channels
        into.append(FanIn(edge=number, channel0=channel0, channels=channels))
    return tuple(tuple(part) for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Taste:
    """Which of two cuts into as many cores is the better one: that with less load, or within ``tolerance`` of it (a
    share) that which reads less, where each row tile beyond the first counts ``rows`` times as much again.

    A core emits row by row: cores of the same rows get their bundles at the same time, others one after the other, and
    meanwhile wait. So few row tiles are good where cores hold many rows; they read more than square ones.
    """

    tolerance: float = 0.03
    rows: float = 0.0

    def rank(self, grid: Grid) -> tuple[int, float]:
        """Less is better."""
        load = round(math.log(max(grid.load, 1.0)) / self.tolerance)
        return load, grid.received * (1 + self.rows * (len(grid.rows) - 1))


class _Cutter:
    """Searches the grids of one layer, or of what the host sends where ``layer`` is None, in one extent."""

    def __init__(
        self, network: QuantizedNetwork, name: str, layer: Layer | None, config: ChipConfig, extent: RegionEntry,
        slots: int, spikes: Spikes, most: int, splittable: bool, readers: int,
        taste: Taste,
    ) -> None:  # fmt: skip
        self.taste = taste
        self.splittable, self.readers = splittable, readers if name in spikes.bundles else 0
        self.network, self.name, self.layer, self.config = network, name, layer, config
        self.extent, self.slots, self.spikes, self.most = extent, slots, spikes, most
        self.pool = None if layer is None else layer.pool
        shape = network.shape_of(name) if layer is None else layer.shape
        self.sides = shape[1], shape[2]
        self.best: dict[int, Grid] = {}
        self.how = ", cut as finely as it can be,"
        self.refusal: DoesNotFitError | None = None

    # -- limits ---------------------------------------------------------------------------------------

    def refuse(self, what: str, needed: int, available: int) -> None:
        """Remembers the first refusal: the finest cuts come first, and no other can fit where they do not."""
        where = repr(self.name) if self.layer is None else f"layer {self.name!r}"
        self.refusal = self.refusal or DoesNotFitError(
            f"{where}{self.how} needs {what} {needed} per core, the chip has {available}"
        )

    def fits(self, rows: int, columns: int, groups: int) -> bool:
        """Whether the memories hold that many activations and the neurons that they are made of."""
        config, pool = self.config, self.pool
        neurons = 1
        for count, side in ((rows, self.sides[0]), (columns, self.sides[1])):
            neurons *= count if pool is None else min(side, (count - 1) * pool.stride + pool.kernel)
        words, ring = neurons * groups, self.slots * rows * columns * groups
        if words > config.neuron_words:
            self.refuse("neuron_words", words, config.neuron_words)
            return False
        if ring > config.act_words:
            self.refuse(f"act_words ({self.slots} slots of the history ring)", ring, config.act_words)
            return False
        return True

    def splits(self, groups: int) -> list[tuple[tuple[FanIn, ...], ...]]:
        """Splits of the fan-in whose weights fit a core of that many output groups."""
        layer, config = self.layer, self.config
        if layer is None:
            return [()]
        if self.splittable:
            options = []
            for count in range(1, config.parts + 1):
                parts = split_fan_in(layer, count, config.lanes)
                if len(parts) == count:
                    options.append(parts)
        else:
            options = [layer.split]
        fitting, edges, needed = [], 0, 0
        for parts in options:
            edges = max(map(len, parts))
            needed = max(
                sum(weight_words_of(layer.edges[some.edge], some.channels, groups, config.lanes) for some in part)
                for part in parts
            )
            if edges <= config.edges and needed <= config.weight_words:
                fitting.append(parts)
        if not fitting:  # the last one is the finest
            if edges > config.edges:
                self.refuse("edges", edges, config.edges)
            else:
                self.refuse("weight_words", needed, config.weight_words)
        # more parts than needed cost partial sums: worth it only where there are no positions to cut
        return fitting if self.extent.height * self.extent.width <= 4 else fitting[:1]

    # -- search ---------------------------------------------------------------------------------------

    def search(self) -> None:
        """Fills :attr:`best`: of each number of cores the grid with the least load."""
        config, extent = self.config, self.extent
        lanes = config.lanes
        groups = groups_of(extent.channels, lanes)
        # the finest cut first, so that its refusal is the one that is reported
        sizes = sorted({-(-groups // k) for k in range(1, groups + 1)})
        for size in sizes:
            if size > config.group_words:
                continue
            tiles = -(-groups // size)
            channels = [
                (extent.channel0 + first * lanes, min(count * lanes, extent.channels - first * lanes))
                for first, count in split_evenly(0, groups, tiles)
            ]
            for parts in self.splits(size):
                self.cut_positions(channels, parts, size)

    def take(self, down: int, tiles: int) -> None:
        """The one grid of that many row and channel tiles; raises :class:`DoesNotFitError` where it does not fit."""
        extent, lanes = self.extent, self.config.lanes
        groups = groups_of(extent.channels, lanes)
        if not (1 <= down <= extent.height and 1 <= tiles <= groups):
            raise DoesNotFitError(
                f"{self.name!r} cannot be cut into {(down, tiles)}: it has {extent.height} rows, "
                f"{groups} channel groups"
            )
        self.how = ""
        size, height = -(-groups // tiles), -(-extent.height // down)
        where = f"{self.name!r} cut into {down} row x {tiles} channel tile(s)"
        need_at_most(where, "group_words", size, self.config.group_words, " per core")
        splits = self.splits(size)
        if not splits or not self.fits(height, extent.width, size):
            raise DoesNotFitError(f"{where}: {self.refusal}")
        channels = [
            (extent.channel0 + first * lanes, min(count * lanes, extent.channels - first * lanes))
            for first, count in split_evenly(0, groups, tiles)
        ]
        tables = self.integrals(channels, splits[0])
        self.consider(channels, splits[0], tables, down, 1, height, size)

    def cut_positions(self, channels: Sequence[Span], parts: tuple[tuple[FanIn, ...], ...], size: int) -> None:
        """All cuts of rows and columns, with the given channels and parts."""
        extent = self.extent
        inner = len(channels) * max(1, len(parts))
        if not self.fits(1, 1, size) or inner > self.most:
            return
        tables = self.integrals(channels, parts)
        heights = sorted({-(-extent.height // k) for k in range(1, extent.height + 1)})
        widths = sorted({-(-extent.width // k) for k in range(1, extent.width + 1)})
        for width in widths:
            across = -(-extent.width // width)
            if across * inner > self.most or not self.fits(1, width, size):
                continue
            for height in heights:
                down = -(-extent.height // height)
                if down * across * inner > self.most:
                    continue
                if not self.fits(height, width, size):
                    break
                self.consider(channels, parts, tables, down, across, height, size)
        whole = self.layer is not None and (extent.height, extent.width) == self.layer.output_shape[1:]
        if whole and extent.height * extent.width <= SMALL_MAP:
            self.cut_bands(channels, parts, tables, size)

    def integrals(self, channels: Sequence[Span], parts: Sequence[Sequence[FanIn]]) -> Floats:
        """Summed visits [parts * channel tiles, rows + 1, columns + 1] of the neurons; of a source, summed bundles."""
        lanes, tables = self.config.lanes, []
        layer = self.layer
        for part in parts if layer is not None else [()]:
            work = self.spikes.bundles[self.name] if layer is None else (
                layer_visits(self.network, layer, self.spikes, part, self.config.weight_ports)
            )  # fmt: skip
            for first, count in channels:
                own = work[first // lanes : groups_of(first + count, lanes)].sum(axis=0)
                tables.append(np.pad(own.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0))))
        return np.stack(tables)

    def consider(
        self, channels: Sequence[Span], parts: tuple[tuple[FanIn, ...], ...], tables: Floats, down: int, across: int,
        height: int, size: int,
    ) -> None:  # fmt: skip
        """Equal pieces, and pieces of about equal work where they fit; keeps what is better than what is known."""
        extent = self.extent
        equal = (
            split_evenly(extent.y0, extent.height, down), split_evenly(extent.x0, extent.width, across)
        )  # fmt: skip
        options = [equal]
        if len(tables):
            columns = self.weighted(tables, 1, across, lambda count: self.fits(height, count, size))
            widest = max(count for _, count in columns)
            rows = self.weighted(tables, 0, down, lambda count: self.fits(count, widest, size))
            options.append((rows, columns))
        for rows, columns in options:
            highest, widest = max(count for _, count in rows), max(count for _, count in columns)
            if self.fits(highest, widest, size):
                self.keep([(r, c) for r in rows for c in columns], channels, parts, tables)

    def keep(
        self, boxes: Sequence[Box], channels: Sequence[Span], parts: tuple[tuple[FanIn, ...], ...], tables: Floats
    ) -> None:
        """Remembers a cut that fits if it is better than what is known."""
        rows, columns = np.array([box[0] for box in boxes]), np.array([box[1] for box in boxes])
        load = float(self.cycles(rows, columns, channels, tables).max())
        received = self.received(boxes, len(channels))
        grid = Grid(
            name=self.name, boxes=tuple(boxes), channels=tuple(channels), parts=parts, load=load, received=received
        )
        known = self.best.get(grid.cores)
        if known is None or self.taste.rank(grid) < self.taste.rank(known):
            self.best[grid.cores] = grid

    def cut_bands(
        self, channels: Sequence[Span], parts: tuple[tuple[FanIn, ...], ...], tables: Floats, size: int
    ) -> None:
        """Bands of rows that are each cut into columns on their own, and the other way round.

        For a bound on the load, the fewest pieces that keep it: of each band by taking as many columns as can be, of
        the map by dynamic programming over the bands.
        """
        extent, inner = self.extent, len(channels) * max(1, len(parts))
        spans = [
            [(first + a, b - a) for a in range(count) for b in range(a + 1, count + 1)]
            for first, count in ((extent.y0, extent.height), (extent.x0, extent.width))
        ]
        rows, columns = (np.array(some) for some in spans)
        costs = self.cycles(np.repeat(rows, len(columns), axis=0), np.tile(columns, (len(rows), 1)), channels, tables)
        costs = costs.reshape(len(rows), len(columns))
        for (_, height), row in zip(spans[0], costs, strict=True):  # a piece that does not fit costs too much
            row[[not self.fits(height, width, size) for _, width in spans[1]]] = np.inf
        ends = [np.array([(a, a + n) for a, n in some]) - first for some, first in zip(
            spans, (extent.y0, extent.x0), strict=True)]  # fmt: skip
        finite = costs[np.isfinite(costs)]
        if not len(finite) or self.most < inner:
            return
        least = costs[(ends[0][:, 1] - ends[0][:, 0] == 1)][:, (ends[1][:, 1] - ends[1][:, 0] == 1)].max()
        for bound in np.geomspace(max(least, 1.0), max(float(finite.max()), least, 1.0), LOADS):
            for axis in (0, 1):
                table = costs if axis == 0 else costs.T
                found = _fewest(table <= bound, ends[axis], ends[1 - axis], self.most // inner)
                if found is None:
                    continue
                boxes = []
                for outer, across in found:
                    for span in across:
                        pair = (
                            (int(ends[axis][outer, 0]), int(ends[axis][outer, 1])),
                            (int(ends[1 - axis][span, 0]), int(ends[1 - axis][span, 1])),
                        )  # fmt: skip
                        (a, b), (c, d) = pair if axis == 0 else pair[::-1]
                        boxes.append(((extent.y0 + a, b - a), (extent.x0 + c, d - c)))
                self.keep(sorted(boxes), channels, parts, tables)

    def weighted(self, tables: Floats, axis: int, parts: int, fits: Callable[[int], bool]) -> list[Span]:
        """Spans of the extent's rows (axis 0) or columns (1) of about equal work, each as long as fits at most."""
        first, count = ((self.extent.y0, self.extent.height), (self.extent.x0, self.extent.width))[axis]
        stride = 1 if self.pool is None else self.pool.stride
        marginal = tables.sum(axis=0)[:, -1] if axis == 0 else tables.sum(axis=0)[-1]
        ends = np.minimum((first + np.arange(count + 1)) * stride, len(marginal) - 1)
        work = marginal[ends] - marginal[ends[0]]
        longest = next((size for size in range(count, 0, -1) if fits(size)), 1)
        bounds = [0]
        for i in range(1, parts + 1):
            wanted = int(np.searchsorted(work, work[-1] * i / parts))
            low = max(bounds[-1] + 1, count - (parts - i) * longest)
            high = min(bounds[-1] + longest, count - (parts - i))
            bounds.append(min(max(wanted, low), high))
        return [(first + a, b - a) for a, b in pairwise(bounds)]

    def cycles(
        self, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], channels: Sequence[Span], tables: Floats
    ) -> Floats:
        """Cycles per window of the busiest core of each box: visits, passes over the neuron words, pooling, and what it
        sends of its sums. Where its emission would take more than :data:`EMITTING` of that, it counts instead.

        Of what the host sends, where nothing is computed: the scan of its words in every step, and their emission.
        ``rows``, ``columns``: int64 [boxes, 2], first and count. Returns float64 [boxes].
        """
        config = self.config
        (y0, height), (x0, width) = (
            self.neurons(spans, side) for spans, side in ((rows, self.sides[0]), (columns, self.sides[1]))
        )
        y1, x1 = y0 + height, x0 + width
        work = tables[:, y1, x1] - tables[:, y0, x1] - tables[:, y1, x0] + tables[:, y0, x0]
        groups = np.array([groups_of(count, config.lanes) for _, count in channels] * (len(tables) // len(channels)))
        words = groups[:, None] * (height * width)
        if self.layer is None:
            return np.asarray((ROUTES_OF_A_SOURCE * work + self.network.time_steps * words).max(axis=0))
        found = work + (self.network.time_steps + 1) * config.requant_subwords * words
        pooled = groups[:, None] * (rows[:, 1] * columns[:, 1])
        if self.pool is not None:
            found = found + self.pool.kernel**2 * config.requant_subwords * pooled
        if (parts := len(tables) // len(channels)) > 1:  # the other parts send their sums one after the other
            sends = config.requant_subwords * chunks_of(config, Memory.PARTIAL)
            found = found + (parts - 1) * sends * words
        if self.readers:
            y0, y1, x0, x1 = rows[:, 0], rows.sum(axis=1), columns[:, 0], columns.sum(axis=1)
            sent = self.sent(channels)
            bundles = sent[:, y1, x1] - sent[:, y0, x1] - sent[:, y1, x0] + sent[:, y0, x0]
            emission = max(EMIT_LEAST, self.readers) * bundles + self.network.time_steps * pooled[: len(channels)]
            found = np.maximum(found.max(axis=0), emission.max(axis=0) / EMITTING)[None]
        return np.asarray(found.max(axis=0))

    def sent(self, channels: Sequence[Span]) -> Floats:
        """Summed bundles [channel tiles, rows + 1, columns + 1] of the layer's activations."""
        own, lanes = self.spikes.bundles[self.name], self.config.lanes
        tables = [own[first // lanes : groups_of(first + count, lanes)].sum(axis=0) for first, count in channels]
        return np.stack([np.pad(table.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0))) for table in tables])

    def neurons(self, spans: npt.NDArray[np.int64], side: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """:func:`sdann.mapper.geometry.pooled_neurons` of each span: first, count."""
        known = {span: pooled_neurons(span, side, self.pool) for span in set(map(tuple, spans.tolist()))}
        found = np.array([known[span] for span in map(tuple, spans.tolist())])
        return found[:, 0], found[:, 1]

    def received(self, boxes: Sequence[Box], tiles: int) -> int:
        """Positions times groups that all cores read; of what the host sends, what neighbours of 3 x 3 kernels read."""
        if self.layer is None:
            return sum((height + 2) * (width + 2) for (_, height), (_, width) in boxes) * tiles
        total = 0
        for edge in self.layer.edges:
            kernel_h, kernel_w = edge.weight.shape[2:]
            stride = edge.stride * (self.pool.stride if self.pool else 1)
            read = sum(
                ((height - 1) * stride + kernel_h) * ((width - 1) * stride + kernel_w)
                for (_, height), (_, width) in boxes
            )  # fmt: skip
            total += read * (1 if edge.kind == "depthwise" else tiles * groups_of(edge.channels, self.config.lanes))
        return int(total)


def _fewest(
    allowed: npt.NDArray[np.bool_], outer: npt.NDArray[np.int64], inner: npt.NDArray[np.int64], most: int
) -> list[tuple[int, list[int]]] | None:
    """The fewest pieces of bands: (span of the band, spans of its pieces), by their numbers. None: more than ``most``.

    ``allowed`` [outer spans, inner spans]: which pieces may be; every part of one that may be may be as well.
    ``outer``, ``inner``: first and one beyond the last of each span, of all that there are.
    """
    length, side = int(outer.max()), int(inner.max())
    number = np.full((side, side + 1), -1)
    number[inner[:, 0], inner[:, 1]] = np.arange(len(inner))
    # where the longest piece that begins at a column ends; at its own beginning where there is none
    reach = np.tile(np.arange(side + 1), (len(outer), 1))
    for first in range(side):
        own = inner[:, 0] == first
        reach[:, first] = first + allowed[:, own].sum(axis=1)
    at, pieces = np.zeros(len(outer), dtype=np.int64), np.zeros(len(outer), dtype=np.int64)
    stuck = np.zeros(len(outer), dtype=bool)
    while True:
        following = reach[np.arange(len(outer)), at]
        stuck |= (following == at) & (at < side)
        if ((at == side) | stuck).all():
            break
        pieces += (at < side) & ~stuck
        at = following
    needed = np.where(stuck, most + 1, pieces)
    fewest = [0] + [most + 1] * length
    came = [-1] * (length + 1)
    for n, (first, last) in sorted(enumerate(outer.tolist()), key=lambda item: (item[1][1], -item[1][0])):
        if fewest[first] + int(needed[n]) < fewest[last]:
            fewest[last], came[last] = fewest[first] + int(needed[n]), n
    if fewest[length] > most:
        return None
    found: list[tuple[int, list[int]]] = []
    last = length
    while last:
        band = came[last]
        own, x = [], 0
        for _ in range(int(pieces[band])):
            own.append(int(number[x, reach[band, x]]))
            x = int(reach[band, x])
        found.append((band, own))
        last = int(outer[band, 0])
    return found[::-1]


def layer_grids(
    network: QuantizedNetwork, name: str, config: ChipConfig, *, extent: RegionEntry, slots: int, spikes: Spikes,
    source: bool = False, splittable: bool = False, most: int | None = None, cut: tuple[int, int] | None = None,
    readers: int = 0, taste: Taste | None = None,
) -> list[Grid]:  # fmt: skip
    """The best ways to cut ``extent`` of the activations of a layer (or of what the host sends, where ``source``).

    With each next one there are more cores, and the busiest has less to do. ``slots``: of the history ring, 1 more than
    the stages that its longest edge leads over. ``most``: cores at most, all of the chip's by default. ``cut``:
    (row tiles, channel tiles) instead of a search. ``splittable``: see
    :func:`sdann.mapper.limits.can_split`. ``readers``: edges of other layers that read it. ``taste``: which
    cuts are better. Raises :class:`DoesNotFitError` that names layer, limit, needed and available
    where nothing fits.
    """
    most, taste = len(config.cores) if most is None else most, taste or Taste()
    if slots > config.slots:
        raise DoesNotFitError(
            f"{name!r} is read {slots - 1} stages later and needs slots {slots}, the chip has {config.slots}: "
            "use a chip with more slots, or several passes"
        )
    layer = None if source else network.layer(name)
    cutter = _Cutter(network, name, layer, config, extent, slots, spikes, most, splittable, readers, taste)
    if cut is None:
        cutter.search()
    else:
        cutter.take(*cut)
    front: list[Grid] = []
    for cores in sorted(cutter.best):
        grid = cutter.best[cores]
        if not front or grid.load < front[-1].load:
            front.append(grid)
    if not front:
        # where pieces of one word fit a core, the chip has too few cores for as many pieces as it takes
        if cutter.refusal is None or (cutter.splits(1) and cutter.fits(1, 1, 1)):
            raise DoesNotFitError(
                f"{name!r} needs more than the chip's {most} cores: allow several passes, or use a larger chip"
            )
        raise cutter.refusal
    return front
