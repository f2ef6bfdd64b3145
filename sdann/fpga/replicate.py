"""Copies of registers whose readers lie all over the device."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

__all__ = ["replicate"]

LEAST_READERS = 256
"""A register with fewer is left alone: its wire is the router's concern."""

_TILE = re.compile(r"^(.*\.tile_\d+)\.")


def replicate(netlist: Path, top: str) -> int:
    """Gives each tile that reads a much-read register of the flat ``netlist`` (Yosys's JSON) a copy of its own.

    A copy takes what the register takes, in the same cycle, so nothing changes but its place: the reset of three cores
    on opposite sides of an ECP5-85F, from one register, takes 12 ns. Returns how many copies were made.
    """
    design: dict[str, Any] = json.loads(netlist.read_text())
    module = design["modules"][top]
    cells = module["cells"]
    drivers = {cell["connections"]["Q"][0]: name for name, cell in cells.items() if cell["type"] == "TRELLIS_FF"}
    readers: dict[int, list[tuple[str, str, int]]] = defaultdict(list)  # cell, port, bit of the port
    for name, cell in cells.items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for position, bit in enumerate(bits):
                    if bit in drivers:
                        readers[bit].append((name, port, position))
    free = 1 + max(bit for net in module["netnames"].values() for bit in net["bits"] if isinstance(bit, int))
    copies = 0
    for bit, found in sorted(readers.items()):
        if len(found) < LEAST_READERS:
            continue
        tiles: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        for reader in found:
            if inside := _TILE.match(reader[0]):
                tiles[inside[1]].append(reader)
        if len(tiles) < 2:
            continue
        register = drivers[bit]
        for tile, own in sorted(tiles.items()):
            name = f"{tile}.{register.replace('.', '_')}_copy"
            copy = json.loads(json.dumps(cells[register]))
            copy["connections"]["Q"] = [free]
            cells[name] = copy
            module["netnames"][f"{name}_Q"] = {"hide_name": 0, "bits": [free], "attributes": {}}
            for cell, port, position in own:
                cells[cell]["connections"][port][position] = free
            free += 1
            copies += 1
    netlist.write_text(json.dumps(design))
    return copies
