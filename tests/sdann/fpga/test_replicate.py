"""Copies of a much-read register: each tile reads its own, and nothing else changes."""

import copy
import json

import pytest

from sdann.fpga import replicate as module
from sdann.fpga.replicate import replicate

CLOCK, DATA, RESET, OTHER = 2, 3, 4, 5


def flip_flop(q: int, *, lsr: int) -> dict:
    return {
        "type": "TRELLIS_FF", "parameters": {"SRMODE": "LSR_OVER_CE"}, "attributes": {},
        "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"},
        "connections": {"CLK": [CLOCK], "DI": [DATA], "LSR": [lsr], "Q": [q]},
    }  # fmt: skip


@pytest.fixture
def netlist(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LEAST_READERS", 4)
    cells = {"serial.reset": flip_flop(RESET, lsr=OTHER), "serial.led": flip_flop(OTHER, lsr=RESET)}
    for n, tile in enumerate(("rows[0].tile_0", "rows[0].tile_1")):
        for k in range(2):
            cells[f"{tile}.core.r{k}"] = flip_flop(10 + 2 * n + k, lsr=RESET)
    bits = sorted({b for cell in cells.values() for port in cell["connections"].values() for b in port})
    names = {f"n{bit}": {"hide_name": 0, "bits": [bit], "attributes": {}} for bit in bits}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"cells": cells, "netnames": names}}}))
    return path


def cells_of(path) -> dict:
    return json.loads(path.read_text())["modules"]["top"]["cells"]


def test_each_tile_reads_a_copy(netlist):
    before = cells_of(netlist)
    assert replicate(netlist, "top") == 2
    after = cells_of(netlist)
    copies = {name: cell for name, cell in after.items() if name not in before}
    assert sorted(copies) == ["rows[0].tile_0.serial_reset_copy", "rows[0].tile_1.serial_reset_copy"]
    for name, cell in copies.items():
        assert cell["connections"]["Q"][0] > 13  # a new wire
        assert cell | {"connections": cell["connections"] | {"Q": [RESET]}} == before["serial.reset"]
        tile = name.removesuffix(".serial_reset_copy")
        for k in range(2):
            assert after[f"{tile}.core.r{k}"]["connections"]["LSR"] == cell["connections"]["Q"]
    # Only who reads which copy has changed.
    for name, cell in before.items():
        expected = copy.deepcopy(cell)
        if ".core." in name:
            expected["connections"]["LSR"] = after[name]["connections"]["LSR"]
        assert after[name] == expected
    names = json.loads(netlist.read_text())["modules"]["top"]["netnames"]
    used = {b for cell in after.values() for port in cell["connections"].values() for b in port}
    assert {bit for net in names.values() for bit in net["bits"]} == used


def test_what_few_or_one_tile_read_is_left(netlist, monkeypatch):
    monkeypatch.setattr(module, "LEAST_READERS", 6)
    before = netlist.read_text()
    assert replicate(netlist, "top") == 0
    assert json.loads(netlist.read_text()) == json.loads(before)
    monkeypatch.setattr(module, "LEAST_READERS", 1)
    design = json.loads(before)
    cells = design["modules"]["top"]["cells"]
    for name in [name for name in cells if "tile_1" in name]:
        del cells[name]
    netlist.write_text(json.dumps(design))
    assert replicate(netlist, "top") == 0
