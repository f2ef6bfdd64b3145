"""Modules of a design that have a better form in an ECP5's own cells."""

__all__ = ["ECP5_MODULES"]

_CARRY_CHAIN = """\
module {name} #(parameter WIDTH = 2) (
  input [WIDTH-1:0] a,
  input [WIDTH-1:0] b,
  input [WIDTH-1:0] c,
  input {d_range}{d},
  output [WIDTH-1:0] o
);
  localparam CELLS = (WIDTH + 1) / 2;
  wire [2*CELLS-1:0] aa = a, bb = b, cc = c, dd = {d_bits}, sum;
  wire [CELLS:0] carry;
  assign carry[0] = 1'b0;
  assign o = sum[WIDTH-1:0];
  genvar n;
  generate
    for (n = 0; n < CELLS; n = n + 1) begin : cells
      CCU2C #(.INIT0(16'h{table}), .INIT1(16'h{table}), .INJECT1_0("NO"), .INJECT1_1("NO")) cell (
        .CIN(carry[n]), .COUT(carry[n+1]),
        .A0(aa[2*n]), .B0(bb[2*n]), .C0(cc[2*n]), .D0(dd[2*n]), .S0(sum[2*n]),
        .A1(aa[2*n+1]), .B1(bb[2*n+1]), .C1(cc[2*n+1]), .D1(dd[2*n+1]), .S1(sum[2*n+1])
      );
    end
  endgenerate
endmodule
"""
# A carry cell's tables have four inputs. The sum's bit without the carry is table(a, b, c, d); where that is 0, the
# carry is table(a, b, 0, 0), which must be a: no carry is lost as long as the second addend is 0 for c = d = 0.
_SELECT_ADD = _CARRY_CHAIN.format(
    name="sdann_select_add", d="b_not_c", d_range="", d_bits="{2 * CELLS{b_not_c}}", table="665a"
)
_AND_ADD = _CARRY_CHAIN.format(name="sdann_and_add", d="d", d_range="[WIDTH-1:0] ", d_bits="d", table="6aaa")


def _bus(port: str, signal: str, count: int) -> str:
    return ", ".join(f".{port}{n}({signal}[{n}])" for n in range(count))


def _multiplier(a: str, b: str, p: str, *, a_signed: str, b_signed: str, enable: str, line: int = 0) -> str:
    """An 18 x 18 multiplier with the register at its output. The operands are the names of vectors of 18 bits.

    ``line``: its clock enable. Four multipliers share the four lines of their block, so what is enabled differently
    must have different lines: nextpnr packs a block without looking at them, and then finds no route.
    """
    return f"""\
  MULT18X18D #(.REG_OUTPUT_CLK("CLK0"), .REG_OUTPUT_CE("CE{line}"), .REG_OUTPUT_RST("RST0")) multiplier (
    {_bus("A", a, 18)},
    {_bus("B", b, 18)},
    .SIGNEDA({a_signed}), .SIGNEDB({b_signed}), .SOURCEA(1'b0), .SOURCEB(1'b0),
    .CLK0(clk), .CE{line}({enable}), .RST0(1'b0),
    {_bus("P", p, 36)}
  );
"""


def _on_lines(a: str, b: str, p: str, *, a_signed: str, b_signed: str, enable: str) -> str:
    """:func:`_multiplier` with the line that the module's parameter LINE says."""
    return "".join(
        f"""\
      {"" if line == 0 else "else "}if (LINE == {line}) begin : line{line}
{_multiplier(a, b, p, a_signed=a_signed, b_signed=b_signed, enable=enable, line=line)}\
      end
"""
        for line in range(4)
    )


_PRODUCT = f"""\
module sdann_product #(
  parameter A_WIDTH = 2, parameter B_WIDTH = 2, parameter A_SIGNED = 0, parameter B_SIGNED = 0, parameter LINE = 0
) (
  input clk,
  input en,
  input [A_WIDTH-1:0] a,
  input [B_WIDTH-1:0] b,
  output [A_WIDTH+B_WIDTH-1:0] o
);
  wire [17+A_WIDTH:0] wide_a = {{{{18{{A_SIGNED[0] & a[A_WIDTH-1]}}}}, a}};
  wire [17+B_WIDTH:0] wide_b = {{{{18{{B_SIGNED[0] & b[B_WIDTH-1]}}}}, b}};
  generate
    if (A_WIDTH > 18 || B_WIDTH > 18) begin : large
      wire [A_WIDTH+B_WIDTH-1:0] long_a = {{{{B_WIDTH{{A_SIGNED[0] & a[A_WIDTH-1]}}}}, a}};
      wire [A_WIDTH+B_WIDTH-1:0] long_b = {{{{A_WIDTH{{B_SIGNED[0] & b[B_WIDTH-1]}}}}, b}};
      reg [A_WIDTH+B_WIDTH-1:0] kept = 0;
      always @(posedge clk) if (en) kept <= long_a * long_b;
      assign o = kept;
    end else begin : small
      wire [35:0] p;
      assign o = p;
{_on_lines("wide_a", "wide_b", "p", a_signed="A_SIGNED[0]", b_signed="B_SIGNED[0]", enable="en")}\
    end
  endgenerate
endmodule
"""

_PAIR_SUM = f"""\
// a plus b, by a multiplier: (a * 2^(WIDTH+1) + b) * (2^(WIDTH+1) + 1) has it in the middle, where a and b count as
// unsigned. Taken as signed their sum differs by a multiple of 2^WIDTH.
module sdann_pair_sum #(parameter WIDTH = 2) (
  input clk,
  input [WIDTH-1:0] a,
  input [WIDTH-1:0] b,
  output [WIDTH:0] o
);
  wire [17:0] both = {{a, 1'b0, b}}, factor = (1 << (WIDTH + 1)) | 1;
  wire [35:0] p;
  reg differ = 0;
  always @(posedge clk) differ <= a[WIDTH-1] ^ b[WIDTH-1];
  assign o[WIDTH-1:0] = p[WIDTH+1 +: WIDTH];
  assign o[WIDTH] = p[2*WIDTH+1] ^ differ;
{_multiplier("both", "factor", "p", a_signed="1'b0", b_signed="1'b0", enable="1'b1")}\
endmodule
"""

ECP5_MODULES = {
    "sdann_select_add": _SELECT_ADD, "sdann_and_add": _AND_ADD, "sdann_product": _PRODUCT, "sdann_pair_sum": _PAIR_SUM,
}  # fmt: skip
"""Verilog text by the name of the module that it takes the place of."""
