"""Timing constraints: every port of the Verilog once, in the right direction, at the clock that was asked for."""

import re

import pytest

from hdl.axi_top import AXI_MODULE, AxiChip
from hdl.chip import CHIP_MODULE, TILE_MODULE, Chip
from hdl.config import ConfigError, preset
from hdl.sdc import SDC_TOPS, sdc
from hdl.tile import Tile
from hdl.verilog import convert

CONFIG = preset("test")
MAKERS = {CHIP_MODULE: Chip, AXI_MODULE: AxiChip, TILE_MODULE: Tile}


@pytest.fixture(scope="module")
def verilog() -> str:
    assert set(MAKERS) == set(SDC_TOPS)
    return "\n".join(convert(make(CONFIG), name, closed=False) for name, make in MAKERS.items())


def ports(top: str) -> dict[str, bool]:
    """Whether each port is an input, from the component's signature."""
    component = MAKERS[top](CONFIG)
    found = {
        "__".join(map(str, path)): str(member.flow) == "In"
        for path, member, _ in component.signature.flatten(component)
    }
    return {**found, "rst": True}


@pytest.mark.parametrize("top", SDC_TOPS)
def test_every_port_is_constrained_once(verilog, top):
    text = sdc(CONFIG, verilog, top, mhz=125)
    found: dict[str, list[str]] = {}
    for command, port in re.findall(r"^(set_(?:input|output)_delay|set_false_path) .*\[get_ports \{(\w+)", text, re.M):
        found.setdefault(port, []).append(command)
    wanted = {port: ["set_input_delay" if is_input else "set_output_delay"] for port, is_input in ports(top).items()}
    if top == TILE_MODULE:  # its coordinates are constants outside
        wanted |= {"y": ["set_false_path"], "x": ["set_false_path"]}
    assert found == wanted
    assert text.count("create_clock") == 1 and "set PERIOD 8\n" in text and f"{CONFIG.fingerprint:#010x}" in text


def test_vectors_are_named_with_all_their_bits(verilog):
    text = sdc(CONFIG, verilog)
    assert "[get_ports {i__payload[*]}]" in text and "[get_ports {i__valid}]" in text


def test_a_port_that_the_verilog_wins_is_constrained(verilog):
    more = verilog.replace("module sdann_chip(", "module sdann_chip(\n").replace(
        "  input clk;", "  input clk;\n  output [3:0] more;"
    )
    assert "set_output_delay -clock clk $IO [get_ports {more[*]}]" in sdc(CONFIG, more)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mhz": 0}, "mhz must be above 0"), ({"io": 1}, "io must be from 0"),
        ({"top": "cpu"}, "sdann_chip, sdann_axi, sdann_tile"),
        ({"verilog": "module x; endmodule"}, "no module 'sdann_chip'"),
    ],
)  # fmt: skip
def test_refusals(verilog, arguments, message):
    with pytest.raises(ConfigError, match=message):
        sdc(CONFIG, **{"verilog": verilog, **arguments})


def test_the_command_writes_both(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from sdann.cli import main

    monkeypatch.chdir(tmp_path)
    common = ["verilog", "--preset", "test", "--set", "rows=1"]
    done = CliRunner().invoke(main, [*common, "--out", "c.v", "--sdc", "deep/c.sdc", "--mhz", "50"])
    assert done.exit_code == 0 and "set PERIOD 20\n" in (tmp_path / "deep" / "c.sdc").read_text()
    done = CliRunner().invoke(main, [*common, "--package", "p", "--sdc", "c.sdc"])
    assert done.exit_code == 2 and "leave out --sdc" in done.output
