"""Which bundles of a core go to which rectangle of cores: its route entries."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise, product

from sdann.errors import DoesNotFitError
from sdann.mapper.image import Coordinate

__all__ = ["Box", "Kind", "Need", "Rectangle", "RouteEntry", "rectangles", "routes_of"]

MOST_JOINED = 32
"""Entries too many up to which joining is tried. Beyond, cores are cut too finely for it to help, and it is slow."""

MOST_NEEDLESS = 4
"""Bundles that arrive, over those that are needed, up to which entries are joined so that emission is fast. A core
drops a bundle that reaches no neuron in a cycle; one that does takes some ten times as long."""

Ends = tuple[int, int]
"""First and last, inclusive."""
Box = tuple[Ends, Ends, Ends]
"""Rows, columns and channel groups of a source's map."""
Rectangle = tuple[int, int, int, int]
"""Tiles (y0, y1, x0, x1), inclusive."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Of which age bundles go to which edge number of a layer's cores.

    ``phase``: (log2, y, x), which positions of 2^log2 x 2^log2.
    """

    layer: str
    edge: int
    age: int
    phase: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Need:
    """``box``: what the core in ``tile`` reads of one source core."""

    kind: Kind
    tile: Coordinate
    box: Box


@dataclass(frozen=True, kw_only=True)
class RouteEntry:
    """Bundles of ``box`` go to the tiles ``dst``."""

    kind: Kind
    box: Box
    dst: Rectangle

    @property
    def tiles(self) -> list[Coordinate]:
        """Every tile that it leads to."""
        y0, y1, x0, x1 = self.dst
        return [(y, x) for y in range(y0, y1 + 1) for x in range(x0, x1 + 1)]


def rectangles(tiles: Iterable[Coordinate]) -> list[Rectangle]:
    """Rectangles that hold each of the tiles once, and no other: runs along x, joined along y where they are alike."""
    runs: list[list[int]] = []
    for y, x in sorted(tiles):
        if runs and runs[-1][0] == y and runs[-1][2] == x - 1:
            runs[-1][2] = x
        else:
            runs.append([y, x, x])
    found: dict[tuple[int, int], list[list[int]]] = {}
    for y, first, last in runs:
        column = found.setdefault((first, last), [])
        if column and column[-1][1] == y - 1:
            column[-1][1] = y
        else:
            column.append([y, y])
    return sorted((y0, y1, x0, x1) for (x0, x1), column in found.items() for y0, y1 in column)


def _volume(box: Box) -> int:
    return (box[0][1] - box[0][0] + 1) * (box[1][1] - box[1][0] + 1) * (box[2][1] - box[2][0] + 1)


def _apart(a: Box, b: Box) -> bool:
    return any(p[1] < q[0] or q[1] < p[0] for p, q in zip(a, b, strict=True))


def _by_need(kind: Kind, needs: Sequence[Need]) -> list[RouteEntry]:
    """An entry for what the same tiles need: what several need differently is sent several times."""
    tiles: dict[Box, list[Coordinate]] = {}
    for need in needs:
        tiles.setdefault(need.box, []).append(need.tile)
    return [RouteEntry(kind=kind, box=box, dst=dst) for box, own in tiles.items() for dst in rectangles(own)]


def _by_cell(kind: Kind, needs: Sequence[Need]) -> list[RouteEntry]:
    """Every position in one box only: cut where the needs begin and end, joined where the same tiles need it."""
    cuts = [
        list(pairwise(sorted({end for need in needs for end in (need.box[axis][0], need.box[axis][1] + 1)})))
        for axis in range(3)
    ]
    cells: list[tuple[Box, frozenset[Coordinate]]] = []
    for spans in product(*cuts):
        box: Box = ((spans[0][0], spans[0][1] - 1), (spans[1][0], spans[1][1] - 1), (spans[2][0], spans[2][1] - 1))
        tiles = frozenset(need.tile for need in needs if not _apart(need.box, box))
        if tiles:
            cells.append((box, tiles))
    for axis in (2, 1, 0):  # join neighbours along one axis after the other
        others = [n for n in range(3) if n != axis]
        cells.sort(key=lambda cell: ([cell[0][n] for n in others], cell[0][axis]))
        joined: list[tuple[Box, frozenset[Coordinate]]] = []
        for box, tiles in cells:
            if joined:
                last, same = joined[-1]
                if same == tiles and last[axis][1] + 1 == box[axis][0] and all(last[n] == box[n] for n in others):
                    spans3 = list(last)
                    spans3[axis] = (last[axis][0], box[axis][1])
                    joined[-1] = ((spans3[0], spans3[1], spans3[2]), tiles)
                    continue
            joined.append((box, tiles))
        cells = joined
    return [RouteEntry(kind=kind, box=box, dst=dst) for box, tiles in cells for dst in rectangles(tiles)]


def _cost(entries: Sequence[RouteEntry], words: int) -> int:
    """Cycles of a step's emission with all spiking: each word looks at each entry, and each match sends a bundle."""
    return words * len(entries) + sum(_volume(entry.box) for entry in entries)


def _union(a: RouteEntry, b: RouteEntry) -> RouteEntry:
    box = tuple((min(p[0], q[0]), max(p[1], q[1])) for p, q in zip(a.box, b.box, strict=True))
    dst = (min(a.dst[0], b.dst[0]), max(a.dst[1], b.dst[1]), min(a.dst[2], b.dst[2]), max(a.dst[3], b.dst[3]))
    return replace(a, box=(box[0], box[1], box[2]), dst=dst)


def _deliveries(entry: RouteEntry) -> int:
    """Bundles that arrive somewhere if every word spikes."""
    return _volume(entry.box) * len(entry.tiles)


def _join_one(
    entries: list[RouteEntry], takes: Mapping[Kind, Mapping[Coordinate, Ends]], most: float = math.inf
) -> bool:
    """Joins the two entries that cost the fewest needless deliveries, ``most`` at most; False where none can be."""
    best: tuple[int, int, int, RouteEntry] | None = None
    for (i, a), (j, b) in combinations(enumerate(entries), 2):
        if a.kind != b.kind:
            continue
        both = _union(a, b)
        tiles, own = both.tiles, takes[both.kind]
        extra = _deliveries(both) - sum(map(_deliveries, (a, b)))
        if extra > most or (best is not None and extra >= best[0]):
            continue
        groups = both.box[2]
        # a bundle that reaches no neuron is harmless; one of a group that an edge does not take is not
        if not all(tile in own and own[tile][0] <= groups[0] and groups[1] <= own[tile][1] for tile in tiles):
            continue
        reached = set(tiles)
        twice = any(
            k not in (i, j) and e.kind == both.kind and not _apart(e.box, both.box) and reached.intersection(e.tiles)
            for k, e in enumerate(entries)
        )
        if not twice:
            best = (extra, i, j, both)
    if best is None:
        return False
    _, i, j, both = best
    entries[i] = both
    del entries[j]
    return True


def routes_of(
    name: str, words: int, needs: Sequence[Need], takes: Mapping[Kind, Mapping[Coordinate, Ends]], limit: int,
    wanted: int | None = None,
) -> list[RouteEntry]:  # fmt: skip
    """At most ``limit`` route entries of a core of ``name`` that holds ``words`` words.

    ``wanted``: with more entries the core's emission would hold up the chip; they are joined as long as that does not
    multiply what is delivered by more than :data:`MOST_NEEDLESS`.

    Exact where the entries suffice: a tile gets what it needs and, but for gaps between kernels, nothing else. Else
    entries are joined (a bundle that hits no neuron is harmless). ``takes``: the groups that each tile's edge accepts.
    Raises :class:`DoesNotFitError` where even that needs more entries.
    """
    by_kind: dict[Kind, list[Need]] = {}
    for need in needs:
        by_kind.setdefault(need.kind, []).append(need)
    entries: list[RouteEntry] = []
    for kind, some in by_kind.items():
        shared, apart = _by_need(kind, some), _by_cell(kind, some)
        entries += shared if (_cost(shared, words), len(shared)) < (_cost(apart, words), len(apart)) else apart
    needed = len(entries)
    while len(entries) > limit:
        if needed > limit + MOST_JOINED or not _join_one(entries, takes):
            raise DoesNotFitError(
                f"{name!r} needs routes {needed} per core ({len(entries)} with joined ones), the chip has {limit}: use "
                "fewer cores for the layers that read it, or more route entries"
            )
    exact = sum(map(_deliveries, entries))
    while wanted is not None and len(entries) > wanted:
        if not _join_one(entries, takes, MOST_NEEDLESS * exact - sum(map(_deliveries, entries))):
            break
    return entries
