"""A core's multipliers and block RAMs lie in a row of their own, lanes at the sides."""

import json
import re

import pytest

from sdann.fpga.floorplan import ROWS, SITES, arrange

TILES = ("chip.row_0.tile_1", "chip.rows.rows[0].row.tile_0", "chip.rows.rows[0].row.tile_1")


def netlist(folder, *, tiles=TILES, lanes=16, others=16):
    """A netlist of nothing but the cells in question, and one that is not."""
    kinds = {f"accumulator.{what}_{n}_multiplier": "MULT18X18D" for what in ("pair", "term") for n in range(lanes)}
    kinds |= {f"setup.product_{n}": "MULT18X18D" for n in range(others)}
    kinds |= {f"storage.weight.ram.words.0.{n}": "DP16KD" for n in range(15)}
    kinds |= {f"storage.isum.ram.words.0.{n}": "PDPW16KD" for n in range(8)}
    kinds |= {f"storage.membrane.ram.words.0.{n}": "DP16KD" for n in range(3)}
    cells = {
        f"{tile}.neurons.{name}": {"type": kind, "attributes": {}} for tile in tiles for name, kind in kinds.items()
    }
    cells |= {
        "serial.queue.storage.0.0": {"type": "DP16KD", "attributes": {}},
        f"{tiles[0]}.neurons.table": {"type": "LUT4", "attributes": {}},
    }
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"cells": cells}}}))
    return path


def places(path) -> dict[str, tuple[int, int, str]]:
    found = {}
    for name, cell in json.loads(path.read_text())["modules"]["top"]["cells"].items():
        if "BEL" in cell["attributes"]:
            x, y, site = re.fullmatch(r"X(\d+)/Y(\d+)/(\w+)", cell["attributes"]["BEL"]).groups()
            found[name] = (int(x), int(y), site)
    return found


def test_every_core_has_its_rows(tmp_path):
    path = netlist(tmp_path)
    assert arrange(path, "top") == 3 * (48 + 26)
    found = places(path)
    assert len(set(found.values())) == len(found) == 3 * (48 + 26)
    for tile, (multipliers, rams) in zip(TILES, ROWS, strict=True):
        rows = {y for name, (_, y, site) in found.items() if name.startswith(tile) and site.startswith("MULT")}
        assert rows == {multipliers}
        assert {y for name, (_, y, s) in found.items() if name.startswith(tile) and s.startswith("EBR")} == {rams}
    assert "serial.queue.storage.0.0" not in found and f"{TILES[0]}.neurons.table" not in found


def test_lanes_lie_in_order_around_what_they_share(tmp_path):
    path = netlist(tmp_path)
    arrange(path, "top")
    at = {name.removeprefix(f"{TILES[1]}.neurons."): x for name, (x, _, _) in places(path).items() if TILES[1] in name}
    terms = [at[f"accumulator.term_{n}_multiplier"] for n in range(16)]
    assert terms == sorted(terms)
    assert all(abs(at[f"accumulator.pair_{n}_multiplier"] - x) <= 4 for n, x in enumerate(terms))
    shared = [x for name, x in at.items() if name.startswith(("setup", "storage.membrane"))]
    assert terms[7] < min(shared) and max(shared) < terms[8]
    for memory, count in (("weight", 15), ("isum", 8)):
        rams = [at[f"storage.{memory}.ram.words.0.{n}"] for n in range(count)]
        assert rams == sorted(rams)
        assert all(abs(x - terms[int((n + 0.5) / count * 16)]) < 20 for n, x in enumerate(rams))


@pytest.mark.parametrize(
    "other", [{"tiles": (*TILES, "chip.row_0.tile_2")}, {"lanes": 32, "others": 0}, {"others": SITES - 31}]
)
def test_what_does_not_fit_is_left_to_the_placer(tmp_path, other):
    path = netlist(tmp_path, **other)
    assert arrange(path, "top") == 0 and not places(path)


def test_fewer_cores_use_fewer_rows(tmp_path):
    path = netlist(tmp_path, tiles=TILES[:1])
    assert arrange(path, "top") == 48 + 26
    assert {y for _, y, _ in places(path).values()} == set(ROWS[0])
