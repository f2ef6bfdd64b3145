"""Generated Verilog: reproducible, free of combinational always blocks, and accepted by three front ends."""

import re
import subprocess

import pyslang
import pytest
from amaranth.hdl import ClockSignal, Instance, Module, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

import hdl.verilog
from hdl.barrier import BroadcastTree, QuiescenceTree
from hdl.config import PRESETS
from hdl.core import Core
from hdl.host_tile import HostTile
from hdl.memory import Ram
from hdl.neuron import NeuronLane
from hdl.router import Router
from hdl.verilog import ConversionError, convert
from sim.toolchain import REPOSITORY, find_icarus, verilator_environment

CONFIG = PRESETS["test"]
WAIVERS = REPOSITORY / "hdl" / "verilator.vlt"
DESIGNS = {
    "router": lambda: Router(CONFIG),
    "neuron_lane": lambda: NeuronLane(CONFIG),
    "quiescence": lambda: QuiescenceTree(inputs=6),
    "broadcast": lambda: BroadcastTree(unsigned(9), outputs=5),
    "ram": lambda: Ram(shape=12, depth=5, parts=3),
    "core": lambda: Core(CONFIG),
    "host_tile": lambda: HostTile(CONFIG, round_trip=7),
}


class Table(wiring.Component):
    """A memory with contents, and logic whose inputs never change."""

    def __init__(self):
        super().__init__({"address": In(3), "o": Out(8), "still": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = memory.Memory(shape=8, depth=8, init=[3, 1, 4, 1, 5, 9, 2, 6])
        read = table.read_port(domain="comb")
        m.d.comb += [read.addr.eq(self.address), self.o.eq(read.data)]
        which = Signal(2, init=2)
        with m.Switch(which):
            with m.Case(2):
                m.d.comb += self.still.eq(11)
            with m.Default():
                m.d.comb += self.still.eq(4)
        return m


class Outside(wiring.Component):
    """Two instances of a module that is defined elsewhere."""

    def __init__(self):
        super().__init__({"a": In(4), "b": Out(4)})

    def elaborate(self, platform):
        m = Module()
        between = Signal(4)
        m.submodules.first = Instance("elsewhere", i_clk=ClockSignal(), i_a=self.a, o_b=between)
        m.submodules.second = Instance("elsewhere", i_clk=ClockSignal(), i_a=between, o_b=self.b)
        return m


@pytest.fixture(scope="module")
def texts():
    return {name: convert(make(), name) for name, make in DESIGNS.items()}


def verilator_lint(path, top, *options):
    environment = verilator_environment()
    return subprocess.run(
        [f"{environment['VERILATOR_ROOT']}/bin/verilator", "--lint-only", "-Wall", *options, "--top-module", top, path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def slang_problems(text):
    """slang's diagnostics but for those about widths and about mixing signed with unsigned operands."""
    compilation = pyslang.ast.Compilation()
    compilation.addSyntaxTree(pyslang.syntax.SyntaxTree.fromText(text))
    allowed = ("ArithOpMismatch", "SignCompare", "WidthTruncate", "WidthExpand", "SignConversion")
    codes = [str(diagnostic.code) for diagnostic in compilation.getAllDiagnostics()]
    return [code for code in codes if not any(name in code for name in allowed)]


@pytest.mark.parametrize("name", DESIGNS)
def test_three_front_ends_accept_it(texts, name, tmp_path):
    path = tmp_path / f"{name}.v"
    path.write_text(texts[name])
    compiled = subprocess.run(
        [find_icarus(), "-g2012", "-Wall", "-o", tmp_path / "a.vvp", path], capture_output=True, text=True, check=False
    )
    assert (compiled.returncode, compiled.stdout) == (0, ""), compiled.stderr
    assert "warning" not in compiled.stderr and "error" not in compiled.stderr, compiled.stderr
    linted = verilator_lint(path, name, WAIVERS)
    assert (linted.returncode, linted.stderr) == (0, "")
    assert slang_problems(texts[name]) == []


@pytest.mark.parametrize(
    ("fault", "rule", "slang"),
    [
        ("reg latch; always @* if (clk) latch = rst;", "LATCH", ""),
        ("assign idle = nowhere;", "Can't find definition of variable: 'nowhere'", "UndeclaredIdentifier"),
    ],
)
def test_lint_can_fail(texts, tmp_path, fault, rule, slang):
    """Faults are noticed: the waivers do not cover everything."""
    broken = texts["router"].replace("endmodule", f"  {fault}\nendmodule", 1)
    path = tmp_path / "broken.v"
    path.write_text(broken)
    linted = verilator_lint(path, "router", WAIVERS)
    assert linted.returncode != 0
    assert rule in linted.stderr
    assert slang in str(slang_problems(broken))


def test_every_waiver_is_needed(texts, tmp_path):
    """The waived rules are just those that these designs trigger."""
    waived = set(re.findall(r"^lint_off -rule (\w+)", WAIVERS.read_text(), re.MULTILINE))
    seen = set()
    for name, text in texts.items():
        path = tmp_path / f"design_{name}.v"
        path.write_text(text)
        seen |= set(re.findall(r"%Warning-(\w+)", verilator_lint(path, name).stderr))
    assert seen == waived


def test_same_text_again(texts):
    for name in ("router", "neuron_lane"):
        assert convert(DESIGNS[name](), name) == texts[name]


def test_nothing_of_this_machine(texts):
    for text in texts.values():
        assert "/" not in re.sub(r"//[^\n]*", "", text).replace("/*", "").replace("*/", "")
        assert not re.search(r"\bsrc\b", text)


def test_processes_are_gone(texts):
    for text in texts.values():
        assert all("posedge clk" in line for line in text.splitlines() if "always" in line)


def test_ports(texts):
    header = texts["router"][: texts["router"].index(";")]
    ports = set(re.findall(r"[a-z_]+", header.split("(", 1)[1]))
    sides = ("local", "north", "east", "south", "west")
    links = {f"{way}_{side}__{wire}" for way in "io" for side in sides for wire in ("payload", "valid", "ready")}
    assert ports == links | {"clk", "rst", "x", "y", "idle", "hop", "dropped"}


def test_instances_of_an_outside_module_stay():
    text = convert(Outside(), "outside")
    assert len(re.findall(r"^  elsewhere (first|second) \(", text, re.MULTILINE)) == 2


BENCH = """
module bench;
  reg [2:0] address = 5;
  wire [7:0] o;
  wire [3:0] still;
  table_ dut(.address(address), .o(o), .still(still));
  initial begin
    #1 $display("%0d %0d", o, still);
    address = 2;
    #1 $display("%0d %0d", o, still);
  end
endmodule
"""


def run_icarus(text, tmp_path):
    path, program = tmp_path / "t.v", tmp_path / "t.vvp"
    path.write_text(text + BENCH)
    subprocess.run([find_icarus(), "-g2012", "-o", program, path], check=True)
    return subprocess.run(["vvp", program], check=True, capture_output=True, text=True).stdout.split("\n")[:2]


def test_time_zero_and_memory_contents(tmp_path):
    """Under Icarus constant logic has its value at once, and a memory its initial contents."""
    text = convert(Table(), "table_")
    assert run_icarus(text, tmp_path) == ["9 11", "4 11"]
    assert run_icarus(text.replace("[5] = 8'h09", "[5] = 8'h08"), tmp_path) == ["8 11", "4 11"]


def test_yosys_error_is_reported(monkeypatch):
    monkeypatch.setattr(hdl.verilog, "_SCRIPT", ("no_such_command",))
    with pytest.raises(ConversionError, match="no_such_command"):
        convert(Table(), "table_")
