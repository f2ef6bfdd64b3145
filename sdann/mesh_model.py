"""The spike network as the tile model sees it: where a flit is delivered and which tiles hand it on."""

from dataclasses import dataclass
from functools import cache

__all__ = ["Delivery", "Rectangle", "deliver"]

Rectangle = tuple[int, int, int, int]
"""(y0, y1, x0, x1), inclusive."""


@dataclass(frozen=True)
class Delivery:
    """``tiles``: every (y, x) that gets the flit. ``hops``: (tile, number of neighbours it hands the flit to)."""

    tiles: tuple[tuple[int, int], ...]
    hops: tuple[tuple[tuple[int, int], int], ...]


@cache
def deliver(rows: int, cols: int, source: tuple[int, int], rectangle: Rectangle) -> Delivery | None:
    """The way of a flit injected at ``source``: XY routing, forking at the rectangle's columns; None: dropped at once.

    Walks tile by tile with the routers' rule, so that transfers are counted where they happen.
    """
    y0, y1, x0, x1 = rectangle
    if not (0 <= y0 <= y1 < rows and 0 <= x0 <= x1 < cols):
        return None
    tiles: list[tuple[int, int]] = []
    hops: dict[tuple[int, int], int] = {}
    pending: list[tuple[int, int, str]] = [(*source, "")]
    while pending:
        y, x, moving = pending.pop()
        leaves: list[tuple[int, int, str]] = []
        if moving in ("", "e") and x1 > x:
            leaves.append((y, x + 1, "e"))
        if moving in ("", "w") and x0 < x:
            leaves.append((y, x - 1, "w"))
        if x0 <= x <= x1:  # true as well for a flit that already runs along its column
            if moving != "s" and y1 > y:
                leaves.append((y + 1, x, "n"))
            if moving != "n" and y0 < y:
                leaves.append((y - 1, x, "s"))
            if y0 <= y <= y1:
                tiles.append((y, x))
        if leaves:
            hops[y, x] = hops.get((y, x), 0) + len(leaves)
        pending += leaves
    return Delivery(tuple(sorted(tiles)), tuple(sorted(hops.items())))
