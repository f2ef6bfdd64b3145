"""Traffic patterns as tables of weighted rectangles, and the load that each puts on every link.

The load is counted along whole XY paths (:mod:`sim.benches.xy_model`), not with the routers' rule.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sim.benches.xy_model import Rectangle, Tile, destinations, path, rectangles

__all__ = ["PATTERNS", "Pattern", "bound", "hotspot", "multicast", "transpose", "uniform", "uniform_bound"]


@dataclass(frozen=True)
class Pattern:
    """Where flits go. ``table``: for each tile that sends, its rectangles with weights that add up to 1."""

    name: str
    rows: int
    cols: int
    table: Mapping[Tile, Mapping[Rectangle, float]]

    @property
    def copies(self) -> float:
        """Deliveries per flit, on average over the senders."""
        each = [
            sum(weight * len(destinations(dst, self.rows, self.cols)) for dst, weight in choices.items())
            for choices in self.table.values()
        ]
        return sum(each) / len(each)


def _tiles(rows: int, cols: int) -> list[Tile]:
    return [(y, x) for y in range(rows) for x in range(cols)]


def _at(tile: Tile) -> Rectangle:
    y, x = tile
    return x, x, y, y


def uniform(rows: int, cols: int) -> Pattern:
    """Every tile sends to every other one, equally often."""
    tiles = _tiles(rows, cols)
    weight = 1 / (len(tiles) - 1)
    return Pattern("uniform", rows, cols, {s: {_at(t): weight for t in tiles if t != s} for s in tiles})


def transpose(rows: int, cols: int) -> Pattern:
    """Tile (y, x) sends to (x, y); the diagonal is silent. For square meshes."""
    tiles = _tiles(rows, cols)
    return Pattern("transpose", rows, cols, {(y, x): {_at((x, y)): 1.0} for y, x in tiles if y != x})


def hotspot(rows: int, cols: int, *, share: float = 0.1) -> Pattern:
    """Uniform, but ``share`` of the flits of all others go to one tile in the middle."""
    hot, plain = (rows // 2, cols // 2), uniform(rows, cols)
    table = {}
    for source, choices in plain.table.items():
        mixed = {dst: weight * (1 - share) for dst, weight in choices.items()} if source != hot else dict(choices)
        if source != hot:
            mixed[_at(hot)] += share
        table[source] = mixed
    return Pattern("hotspot", rows, cols, table)


def multicast(rows: int, cols: int, *, share: float = 0.2, side: int = 2) -> Pattern:
    """Uniform, but ``share`` of the flits go to rectangles of ``side`` x ``side`` tiles, all of these equally often."""
    squares = [
        dst for dst in rectangles(rows, cols) if dst[1] - dst[0] == side - 1 and dst[3] - dst[2] == side - 1
    ]  # fmt: skip
    table = {}
    for source, choices in uniform(rows, cols).table.items():
        mixed = Counter({dst: weight * (1 - share) for dst, weight in choices.items()})
        mixed.update(dict.fromkeys(squares, share / len(squares)))
        table[source] = dict(mixed)
    return Pattern("multicast", rows, cols, table)


PATTERNS = {"uniform": uniform, "transpose": transpose, "hotspot": hotspot, "multicast": multicast}
"""Makers by name; each takes rows and columns."""


def bound(pattern: Pattern) -> float:
    """Most flits per sending tile and cycle: where the busiest link (ejection included) carries one flit a cycle."""
    loads: Counter[tuple[Tile, str]] = Counter()
    for source, choices in pattern.table.items():
        for dst, weight in choices.items():
            targets = destinations(dst, pattern.rows, pattern.cols)
            tree = {(tile, out) for target in targets for tile, _, out in path(source, target)}
            for link in tree:
                loads[link] += weight  # type: ignore[assignment]
    return min(1.0, 1 / max(loads.values()))


def uniform_bound(side: int) -> float:
    """The same for uniform traffic on a square mesh of even side, in closed form: 4/k (N - 1)/N."""
    return 4 / side * (side * side - 1) / (side * side)
