"""The spike network as the tile model sees it: where a flit is delivered and which tiles hand it on."""

from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

__all__ = ["Delivery", "Direction", "Link", "Rectangle", "deliver"]

Direction = Literal["n", "e", "s", "w"]
"""North is y + 1, east is x + 1."""

Link = tuple[int, int, Direction]
"""(y, x, direction): from tile (y, x) to its neighbour."""

Rectangle = tuple[int, int, int, int]
"""(y0, y1, x0, x1), inclusive."""


@dataclass(frozen=True)
class Delivery:
    """``tiles``: every (y, x) that gets the flit. ``links``: those that it takes, each once."""

    tiles: tuple[tuple[int, int], ...]
    links: tuple[Link, ...]

    @cached_property
    def hops(self) -> tuple[tuple[tuple[int, int], int], ...]:
        """(tile, number of neighbours it hands the flit to)."""
        return tuple(Counter((y, x) for y, x, _ in self.links).items())


@cache
def deliver(rows: int, cols: int, source: tuple[int, int], rectangle: Rectangle) -> Delivery | None:
    """The way of a flit injected at ``source``: XY routing, forking at the rectangle's columns; None: dropped at once.

    Walks tile by tile with the routers' rule, so that transfers are counted where they happen.
    """
    y0, y1, x0, x1 = rectangle
    if not (0 <= y0 <= y1 < rows and 0 <= x0 <= x1 < cols):
        return None
    tiles: list[tuple[int, int]] = []
    links: list[Link] = []
    pending: list[tuple[int, int, Direction | None]] = [(*source, None)]
    while pending:
        y, x, moving = pending.pop()
        leaves: list[Link] = []
        if moving in (None, "e") and x1 > x:
            leaves.append((y, x + 1, "e"))
        if moving in (None, "w") and x0 < x:
            leaves.append((y, x - 1, "w"))
        if x0 <= x <= x1:  # true as well for a flit that already runs along its column
            if moving != "s" and y1 > y:
                leaves.append((y + 1, x, "n"))
            if moving != "n" and y0 < y:
                leaves.append((y - 1, x, "s"))
            if y0 <= y <= y1:
                tiles.append((y, x))
        links += [(y, x, direction) for *_, direction in leaves]
        pending += leaves
    return Delivery(tuple(sorted(tiles)), tuple(sorted(links)))
