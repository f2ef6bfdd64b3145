"""What Yosys and nextpnr print, read from small reports."""

import json

import pytest

from sdann.errors import SdannError
from sdann.fpga.nextpnr import _read
from sdann.fpga.yosys import Cells, _modules

STATISTICS = {
    "modules": {
        "\\top": {"num_cells_by_type": {"\\tile": 2, "LUT4": 5, "TRELLIS_IO": 9}},
        "\\tile": {"num_cells_by_type": {"$paramod$abc\\ram": 3, "CCU2C": 4, "TRELLIS_DPR16X4": 2, "MULT18X18D": 1}},
        "$paramod$abc\\ram": {"num_cells_by_type": {"DP16KD": 2, "TRELLIS_FF": 7, "LUT4": 1}},
    }
}  # fmt: skip


def test_cells_are_counted_through_all_instances(tmp_path):
    path = tmp_path / "stat.json"
    path.write_text("Warning: something\n" + json.dumps(STATISTICS))
    found = _modules(path, "ecp5")
    assert found["ram"] == Cells(lut4=1, ff=7, ram=2, dsp=0)
    assert found["tile"] == Cells(lut4=3 * 1 + 4 * 2 + 2 * 4, ff=21, ram=6, dsp=1)
    assert found["top"] == Cells(lut4=5 + 2 * 19, ff=42, ram=12, dsp=2)


def test_xilinx_halves_and_memories_in_luts_count(tmp_path):
    cells = {
        "LUT6": 3,
        "LUT1": 1,
        "INV": 2,
        "RAM64M": 1,
        "RAMB18E1": 3,
        "RAMB36E1": 1,
        "DSP48E1": 2,
        "FDRE": 4,
        "FDSE": 1,
    }
    path = tmp_path / "stat.json"
    path.write_text(json.dumps({"modules": {"\\top": {"num_cells_by_type": cells}}}))
    assert _modules(path, "xilinx")["top"] == Cells(lut4=3 + 1 + 4, ff=5, ram=2.5, dsp=2)


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"modules": '])
def test_other_statistics_are_refused(tmp_path, text):
    path = tmp_path / "stat.json"
    path.write_text(text)
    with pytest.raises(SdannError, match="not what was expected"):
        _modules(path, "ecp5")


def report(**clocks: float) -> dict:
    step = {"delay": 1.25, "type": "logic", "from": {"cell": "a"}, "to": {"cell": "b"}}
    return {
        "fmax": {name: {"achieved": mhz, "constraint": 80} for name, mhz in clocks.items()},
        "utilization": {"DP16KD": {"used": 33, "available": 208}},
        "critical_paths": [
            {"from": "posedge slow", "to": "<async>", "path": []},
            {"from": "posedge slow", "to": "posedge slow", "path": [step]},
        ],
    }  # fmt: skip


def test_the_slowest_clock_counts_rounded_down(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report(fast=120.0, slow=79.99)))
    routed = _read(path, tmp_path / "config")
    assert routed.mhz == 79.9 and routed.used == {"DP16KD": (33, 208)}
    assert routed.critical == ("1.2 ns logic a -> b",)


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"fmax": {"a": {}}, "utilization": {}})])
def test_other_reports_are_refused(tmp_path, text):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(SdannError, match="not what was expected"):
        _read(path, tmp_path / "config")


def test_a_design_without_a_clock_is_refused(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report()))
    with pytest.raises(SdannError, match="no clock"):
        _read(path, tmp_path / "config")
