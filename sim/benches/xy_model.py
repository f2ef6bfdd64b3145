"""What the spike network should do, from whole paths: no comparison of coordinates with a rectangle's bounds.

Each destination of a rectangle has one XY path from the sender; the network's tree is the union of these paths.
"""

from collections.abc import Iterator

__all__ = ["LOCAL", "Rectangle", "Tile", "destinations", "expected_turns", "path", "rectangles"]

Tile = tuple[int, int]
"""(y, x)."""
Rectangle = tuple[int, int, int, int]
"""(x0, x1, y0, y1), bounds inclusive."""

LOCAL = "local"


def destinations(dst: Rectangle, rows: int, cols: int) -> set[Tile]:
    """Tiles that a flit serves: none if the rectangle is empty or not wholly inside the mesh."""
    x0, x1, y0, y1 = dst
    tiles = {(y, x) for y in range(y0, y1 + 1) for x in range(x0, x1 + 1)}
    mesh = {(y, x) for y in range(rows) for x in range(cols)}
    return tiles if tiles <= mesh else set()


def rectangles(rows: int, cols: int) -> Iterator[Rectangle]:
    """All rectangles of tiles of a mesh."""
    for x0 in range(cols):
        for x1 in range(x0, cols):
            for y0 in range(rows):
                for y1 in range(y0, rows):
                    yield x0, x1, y0, y1


def path(source: Tile, target: Tile) -> list[tuple[Tile, str, str]]:
    """Hops from ``source`` to ``target``, X first, as (tile, input port, output port)."""
    (y, x), (ty, tx) = source, target
    hops, arrived = [], LOCAL
    while (y, x) != (ty, tx):
        if x != tx:
            leave, enter = ("east", "west") if tx > x else ("west", "east")
        else:
            leave, enter = ("north", "south") if ty > y else ("south", "north")
        hops.append(((y, x), arrived, leave))
        arrived = enter
        x += {"east": 1, "west": -1}.get(leave, 0)
        y += {"north": 1, "south": -1}.get(leave, 0)
    return [*hops, ((y, x), arrived, LOCAL)]


def expected_turns(rows: int, cols: int) -> dict[tuple[Tile, str, Rectangle], set[str]]:
    """Output ports by (tile, input port, rectangle), for every flit that can appear there."""
    turns: dict[tuple[Tile, str, Rectangle], set[str]] = {}
    for dst in rectangles(rows, cols):
        for source in destinations((0, cols - 1, 0, rows - 1), rows, cols):
            tree: dict[tuple[Tile, str, Rectangle], set[str]] = {}
            for target in destinations(dst, rows, cols):
                for tile, entered, left in path(source, target):
                    tree.setdefault((tile, entered, dst), set()).add(left)
            for key, outputs in tree.items():
                if turns.setdefault(key, outputs) != outputs:
                    raise AssertionError(f"routing would depend on the sender at {key}")
    return turns
