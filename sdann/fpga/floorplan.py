"""Where the cores' multipliers and block RAMs lie on an ECP5-85F.

The device has its multipliers in three rows and its block RAMs in four, from its left edge to its right one. A placer
that is left alone spreads every core over all of them. Three cores find room with a third of the columns for each:
lanes on both sides of the first row of block RAMs, which holds their sums, and below them what works for all lanes.
"""

import json
import re
from pathlib import Path
from typing import Any

__all__ = ["arrange"]

_BLOCKS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""First column of each block of four multipliers, and of each block of four RAMs."""

COLUMNS = (_BLOCKS[:4], _BLOCKS[9:], _BLOCKS[4:8])
"""Blocks of each core. The last core of 2 x 2 tiles is a neighbour of both others."""

ROWS = {"multiplier": (10, 34, 58), "ram": (22, 46, 70)}
"""Rows that are used. Of each kind, for: the lower half of the lanes, the upper half, what all lanes share."""

_CORE = re.compile(r"^(.*)\.neurons\.(.*)$")
_OF_LANE = re.compile(r"accumulator\.(?:pair|term)_(\d+)_|storage\.(weight|isum)\.ram\.words\.\d+\.(\d+)$")
_ACT = re.compile(r"storage\.act\.")


def arrange(netlist: Path, top: str) -> int:
    """Gives each multiplier and block RAM of a core in the flat ``netlist`` (Yosys's JSON) its place.

    Returns how many cells that are: none where there are more cores than thirds, or a core does not fit into one.
    """
    design: dict[str, Any] = json.loads(netlist.read_text())
    cells = design["modules"][top]["cells"]
    cores: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for name, cell in cells.items():
        kind = {"MULT18X18D": "multiplier", "DP16KD": "ram", "PDPW16KD": "ram"}.get(cell["type"])
        if kind and (found := _CORE.match(name)):
            cores.setdefault(found[1], {"multiplier": [], "ram": []})[kind].append((found[2], name))
    if len(cores) > len(COLUMNS):
        return 0
    places: dict[str, str] = {}
    for core, blocks in zip(sorted(cores), COLUMNS, strict=False):
        for kind, own in cores[core].items():
            rows = _rows(own, room=4 * len(blocks))
            if rows is None:
                return 0
            for y, row in zip(ROWS[kind], rows, strict=True):
                sites = _sites(kind, blocks)
                for n, name in enumerate(row):
                    x, site = sites[n * len(sites) // len(row)]
                    places[name] = f"X{x}/Y{y}/{site}"
    for name, place in places.items():
        cells[name]["attributes"]["BEL"] = place
    netlist.write_text(json.dumps(design))
    return len(places)


def _sites(kind: str, blocks: tuple[int, ...]) -> list[tuple[int, str]]:
    """Column and name of each site of a row."""
    if kind == "ram":
        return [(x + 2 * n, f"EBR{n}") for x in blocks for n in range(4)]
    return [(x + dx, f"MULT18_{n}") for x in blocks for dx, n in ((0, 0), (1, 1), (4, 4), (5, 5))]


def _rows(cells: list[tuple[str, str]], *, room: int) -> list[list[str]] | None:
    """Cells by row, each from left to right; None where they do not fit."""
    count: dict[str, int] = {}
    lanes = []  # what it is, which one of them, name
    rows: list[list[tuple[float, str]]] = [[], [], []]
    for local, name in sorted(cells):
        if found := _OF_LANE.search(local):
            number = int(found[1] or found[3])
            what = found[2] or local[: found.start(1)]
            count[what] = count.get(what, 0) + 1
            lanes.append((what, number, name))
        else:
            rows[1 if _ACT.search(local) else 2].append((0.5, name))
    for what, number, name in lanes:
        at = (number + 0.5) / count[what] * 2
        rows[0 if what == "isum" else int(at)].append((at % 1, name))
    spare = [cell for row in rows for cell in sorted(row)[room:]]
    rows = [sorted(row)[:room] for row in rows]
    for row in rows:
        taken = room - len(row)
        row += spare[:taken]
        del spare[:taken]
    return None if spare else [[name for _, name in sorted(row)] for row in rows]
