"""Lines of the Verilog with branches, and the Amaranth signals that they assign."""

import re
from pathlib import Path

import pytest

from hdl.config import preset
from hdl.core.ring import Ring
from hdl.verilog import convert, convert_branches
from sim.rtl_coverage.source import SourceMap

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def verilog() -> str:
    return convert_branches(Ring(preset("test")), "ring")


def test_branches_stay_branches(verilog):
    assert "always_comb" in verilog and len(re.findall(r"\bif \(", verilog)) > 2
    assert "always_comb" not in convert(Ring(preset("test")), "ring")


def test_paths_are_those_of_the_repository(verilog):
    sources = set(re.findall(r'src = "([^":]*):\d+', verilog))
    assert "hdl/core/ring.py" in sources and str(ROOT) not in verilog
    assert all((ROOT / source).is_file() for source in sources if source.startswith("hdl/"))


def test_every_branch_names_its_signal_and_declaration(verilog):
    found = SourceMap(verilog)
    lines = [
        number for number, line in enumerate(verilog.splitlines(), start=1) if re.match(r" +(end else )?if \(", line)
    ]
    origins = [found.origin(number) for number in lines]
    for origin in origins:
        path, line = origin.declared.split(":")
        declaration = (ROOT / path).read_text().splitlines()[int(line) - 1]
        assert origin.signal in declaration or origin.signal.startswith("$"), origin
        assert not re.search(r"_\d+_", origin.text)
    assert {origin.signal for origin in origins} >= {"newest"}


def test_a_line_of_its_own():
    found = SourceMap(
        "module m(clk);\n"
        '  (* src = "hdl/m.py:4" *)\n'
        "  reg [3:0] kept = 4'h0;\n"
        "  reg [3:0] _07_;\n"
        "  wire _08_;\n"
        '  assign _08_ = (* src = "hdl/m.py:9" *) a ? b : c;\n'
        "  always_ff @(posedge clk)\n"
        "    kept <= _07_;\n"
        "  always_comb begin\n"
        "    _07_ = kept;\n"
        "    if (_08_) begin\n"
        "      _07_ = 4'h1;\n"
        "    end\n"
        "  end\n"
        "endmodule\n"
    )
    arm = found.origin(11)
    assert (arm.signal, arm.declared, arm.text) == ("kept", "hdl/m.py:4", "if (_) begin")
    assert found.origin(12) == found.origin(12) and found.origin(12).signal == "kept"
    assert found.origin(6).declared == "hdl/m.py:9" and found.origin(6).text == "assign _ = a ? b : c;"
    assert found.origin(15).signal == ""
