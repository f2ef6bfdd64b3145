"""A core's multipliers and block RAMs lie in a third of the columns, lanes around their sums."""

import json
import re

import pytest

from sdann.fpga.floorplan import COLUMNS, ROWS, arrange

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


def test_every_core_has_its_columns(tmp_path):
    path = netlist(tmp_path)
    assert arrange(path, "top") == 3 * (48 + 26)
    found = places(path)
    assert len(set(found.values())) == len(found) == 3 * (48 + 26)
    for tile, blocks in zip(TILES, COLUMNS, strict=True):
        own = [(x, y, site) for name, (x, y, site) in found.items() if name.startswith(tile)]
        assert all(blocks[0] <= x < blocks[-1] + 9 for x, _, _ in own)
        assert {y for _, y, site in own if site.startswith("MULT")} == set(ROWS["multiplier"])
        assert {y for _, y, site in own if site.startswith("EBR")} == set(ROWS["ram"])
    assert "serial.queue.storage.0.0" not in found and f"{TILES[0]}.neurons.table" not in found


def test_lanes_lie_in_order_around_their_sums(tmp_path):
    path = netlist(tmp_path)
    arrange(path, "top")
    at = {n.removeprefix(f"{TILES[1]}.neurons."): (x, y) for n, (x, y, _) in places(path).items() if TILES[1] in n}
    terms = [at[f"accumulator.term_{n}_multiplier"] for n in range(16)]
    assert terms == sorted(terms, key=lambda place: (place[1], place[0]))
    assert [y for _, y in terms] == [ROWS["multiplier"][0]] * 8 + [ROWS["multiplier"][1]] * 8
    for n, (x, y) in enumerate(terms):
        pair_x, pair_y = at[f"accumulator.pair_{n}_multiplier"]
        assert abs(pair_x - x) <= 4 and pair_y == y
    for memory, count in (("weight", 15), ("isum", 8)):
        for n in range(count):
            x, y = at[f"storage.{memory}.ram.words.0.{n}"]
            term_x, term_y = terms[int((n + 0.5) / count * 16)]
            assert abs(x - term_x) < 12 and abs(y - term_y) == 12
    assert {y for name, (_, y) in at.items() if name.startswith("setup")} == {ROWS["multiplier"][2]}


@pytest.mark.parametrize(
    "other", [{"tiles": (*TILES, "chip.row_0.tile_2")}, {"lanes": 32, "others": 0}, {"others": 17}]
)
def test_what_does_not_fit_is_left_to_the_placer(tmp_path, other):
    path = netlist(tmp_path, **other)
    assert arrange(path, "top") == 0 and not places(path)


def test_fewer_cores_use_fewer_columns(tmp_path):
    path = netlist(tmp_path, tiles=TILES[:1])
    assert arrange(path, "top") == 48 + 26
    assert max(x for x, _, _ in places(path).values()) < COLUMNS[0][-1] + 9


def test_a_full_row_gives_to_one_with_room(tmp_path):
    path = netlist(tmp_path, lanes=4, others=40)
    assert arrange(path, "top") == 3 * (48 + 26)
    assert len(set(places(path).values())) == 3 * (48 + 26)
