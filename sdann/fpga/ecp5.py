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

_PAIR_ADD = """\
// a plus b, by a multiplier: (a * 2^(WIDTH+1) + b) * (2^(WIDTH+1) + 1) has it in the middle, where a and b count as
// unsigned. Taken as signed their sum differs by a multiple of 2^WIDTH.
module sdann_pair_add #(parameter WIDTH = 2) (
  input [WIDTH-1:0] a,
  input [WIDTH-1:0] b,
  output [WIDTH:0] o
);
  wire [2*WIDTH:0] both = {a, 1'b0, b};
  wire [WIDTH+1:0] factor = (1 << (WIDTH + 1)) | 1;
  wire [3*WIDTH+2:0] product = both * factor;
  assign o[WIDTH-1:0] = product[WIDTH+1 +: WIDTH];
  assign o[WIDTH] = product[2*WIDTH+1] ^ a[WIDTH-1] ^ b[WIDTH-1];
endmodule
"""

ECP5_MODULES = {"sdann_select_add": _SELECT_ADD, "sdann_and_add": _AND_ADD, "sdann_pair_add": _PAIR_ADD}
"""Verilog text by the name of the module that it takes the place of."""
