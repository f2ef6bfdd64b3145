"""Sums by module, what is missed, and waivers that no longer say the truth."""

from dataclasses import replace

import pytest

from sdann.errors import FileFormatError
from sim.rtl_coverage.points import Point
from sim.rtl_coverage.report import RtlCoverage, Waiver, load_waivers, plain_module

VERILOG = "\n".join([
    "module tile(clk);",
    '  (* src = "hdl/m.py:4" *)',
    "  reg full;",
    "  always_comb begin",
    "    full = 0;",
    "    if (push) begin",
    "      full = 1;",
    "    end",
    "  end",
    "  always_comb begin",
    "    empty = 0;",
    "    if (odd) begin",
    "      empty = 1;",
    "    end",
    "  end",
])  # fmt: skip

BLOCK = Point("tile.v", "tile", 4, 3, "block")
PUSH = Point("tile.v", "tile", 6, 5, "if", arm=True)
ELSE = Point("tile.v", "tile", 6, 6, "else", arm=True, statements=False)
ODD = Point("tile.v", "tile.turn_north", 12, 5, "if", arm=True)
UP = Point("tile.v", "tile", 3, 1, "full:0->1", toggle=True)
DOWN = replace(UP, what="full:1->0")
CLOCK = replace(UP, what="clk:0->1")
HITS = {BLOCK: 9, PUSH: 4, ELSE: 2, ODD: 0, UP: 1, DOWN: 0, CLOCK: 0}

WAIVER = Waiver(module="tile.turn", signal="empty", text="if (odd)*", reason="an odd one never comes")


def coverage(*waivers: Waiver, **hits: int) -> RtlCoverage:
    named = {"odd": ODD, "push": PUSH}
    return RtlCoverage(HITS | {named[name]: count for name, count in hits.items()}, {"tile.v": VERILOG}, waivers)


def test_sums_by_module():
    everything, own, turn = coverage().rows()
    assert [row.module for row in (everything, own, turn)] == ["tile, all", "tile", "tile.turn"]
    assert everything.hit == {"line": 2, "branch": 2, "toggle": 1}
    assert everything.points == {"line": 3, "branch": 3, "toggle": 2}  # the clock's is not counted
    assert turn.hit["line"] == 0 and turn.points["line"] == 1 and turn.share("toggle") == 1
    assert own.share("line") == 1 and everything.share("branch") == pytest.approx(2 / 3)


def test_instances_that_are_alike_count_as_one_module():
    assert plain_module("sdann_tile.neurons.membrane$252.lane_1") == "sdann_tile.neurons.membrane.lane"
    assert plain_module("sdann_tile.router.queue_west_east") == "sdann_tile.router.queue"
    assert plain_module("sdann_product__A4_B3_L2") == "sdann_product"


def test_a_missed_line_is_a_failure_unless_a_waiver_says_why():
    (line,) = coverage().missed("tile")
    assert str(line) == "tile.turn: empty, if: if (odd) begin"
    failures = coverage().failures("tile", least=0.6)
    assert failures == ["not hit, and no waiver says why: tile.turn: empty, if: if (odd) begin"]
    assert coverage(WAIVER).failures("tile", least=0.6) == []
    assert coverage(WAIVER).missed("tile")[0].reason == WAIVER.reason


def test_too_few_lines_are_a_failure_waived_or_not():
    (failure,) = coverage(WAIVER).failures("tile", least=0.95)
    assert failure == "2 of 3 lines of tile are hit, 66.7%: at least 95% are wanted"


def test_a_waived_line_that_is_hit_is_stale():
    (failure,) = coverage(WAIVER, odd=1).failures("tile", least=0.95)
    assert "tile.turn, empty, 'if (odd)*' is stale: 1 such lines are hit, such as 'if (odd) begin'" in failure


def test_a_waiver_that_is_too_wide_is_stale():
    wide = replace(WAIVER, module="tile*", signal="*", text="if*")
    (failure,) = coverage(wide).stale("tile")
    assert "1 such lines are hit, such as 'if (push) begin'" in failure


def test_a_waiver_of_no_line_is_stale():
    (failure,) = coverage(replace(WAIVER, signal="none")).stale("tile")
    assert failure.endswith("is stale: there is no such line")


def test_waivers_have_reasons(tmp_path):
    assert all(len(waiver.reason) > 20 for waiver in load_waivers())
    path = tmp_path / "waivers.toml"
    path.write_text('[[waiver]]\nmodule = "a"\nsignal = "b"\ntext = "c"\nreason = " "\n')
    with pytest.raises(FileFormatError, match="waiver 1 needs module, reason, signal, text"):
        load_waivers(path)
    path.write_text("[[waiver")
    with pytest.raises(FileFormatError, match="not a TOML file"):
        load_waivers(path)


def test_json():
    data = coverage(WAIVER).as_dict("tile")
    assert data["modules"][2] == {
        "module": "tile.turn", "line": {"hit": 0, "points": 1}, "branch": {"hit": 0, "points": 1},
        "toggle": {"hit": 0, "points": 0},
    }  # fmt: skip
    assert data["missed"] == [{"line": "tile.turn: empty, if: if (odd) begin", "reason": WAIVER.reason}]
