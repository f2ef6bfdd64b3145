"""Where the cores' multipliers and block RAMs lie on an ECP5-85F.

The device has its multipliers in three rows and its block RAMs in four, from its left edge to its right one. A placer
that is left alone spreads every core over all of them. Three cores find room with a row of each kind for itself: lanes
to the left and to the right, in the middle what works for all lanes.
"""

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["arrange"]

_BLOCKS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""First column of each block of four multipliers, and of each block of four RAMs."""

_MULTIPLIERS = [(x + dx, f"MULT18_{n}") for x in _BLOCKS for dx, n in ((0, 0), (1, 1), (4, 4), (5, 5))]
_RAMS = [(x + 2 * n, f"EBR{n}") for x in _BLOCKS for n in range(4)]
SITES = len(_BLOCKS) * 4
"""Multipliers, and block RAMs, of one row."""

ROWS = ((10, 22), (58, 70), (34, 46))
"""Rows of multipliers and of RAMs for each core. The last core of 2 x 2 tiles is a neighbour of both others."""

_CORE = re.compile(r"^(.*)\.neurons\.(.*)$")
_OF_LANE = re.compile(r"accumulator\.(?:pair|term)_(\d+)_|storage\.(?:weight|isum|act)\.ram\.words\.\d+\.(\d+)$")


def arrange(netlist: Path, top: str) -> int:
    """Gives each multiplier and block RAM of a core in the flat ``netlist`` (Yosys's JSON) its place.

    Returns how many cells that are: none where there are more cores than rows, or a core does not fit into one.
    """
    design: dict[str, Any] = json.loads(netlist.read_text())
    cells = design["modules"][top]["cells"]
    cores: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for name, cell in cells.items():
        kind = {"MULT18X18D": "multiplier", "DP16KD": "ram", "PDPW16KD": "ram"}.get(cell["type"])
        if kind and (found := _CORE.match(name)):
            cores.setdefault(found[1], {"multiplier": [], "ram": []})[kind].append((found[2], name))
    if len(cores) > len(ROWS):
        return 0
    places: dict[str, str] = {}
    for core, rows in zip(sorted(cores), ROWS, strict=False):
        sides = {kind: _sides(found) for kind, found in cores[core].items()}
        side = max(len(part) for left, _, right in sides.values() for part in (left, right))
        middle = max(len(part) for _, part, _ in sides.values())
        first = (SITES - 2 * side - middle) // 2
        if first < 0:
            return 0
        for row, sites, parts in zip(rows, (_MULTIPLIERS, _RAMS), sides.values(), strict=True):
            for part, start, room in zip(
                parts, (first, first + side, first + side + middle), (side, middle, side), strict=True
            ):
                for n, name in enumerate(part):
                    x, site = sites[start + n * room // len(part)]
                    places[name] = f"X{x}/Y{row}/{site}"
    for name, place in places.items():
        cells[name]["attributes"]["BEL"] = place
    netlist.write_text(json.dumps(design))
    return len(places)


def _sides(cells: list[tuple[str, str]]) -> tuple[list[str], list[str], list[str]]:
    """Cells of the lower half of the lanes, of no lane, of the upper half; by lane, as far as the name says."""
    by_lane: dict[str, list[tuple[int, str, str]]] = {}
    middle = []
    for local, name in sorted(cells):
        if found := _OF_LANE.search(local):
            number = found[1] or found[2]
            what = local[: found.start(1) if found[1] else found.start(2)]
            by_lane.setdefault(what, []).append((int(number), local, name))
        else:
            middle.append(name)
    placed = sorted(
        ((number + 0.5) / len(group), local, name) for group in by_lane.values() for number, local, name in group
    )
    return [n for at, _, n in placed if at < 0.5], middle, [n for at, _, n in placed if at >= 0.5]
