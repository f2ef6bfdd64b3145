"""Modules of a design that have a better form in an ECP5's own cells."""

__all__ = ["ECP5_MODULES"]

_SELECT_ADD = """\
// a plus b, or plus c: a carry cell's tables have four inputs, so they hold the multiplexer, too. The carry out of a bit
// whose two addends are equal is table(a, b, 0, 0), which is a.
module sdann_select_add #(parameter WIDTH = 2) (
  input [WIDTH-1:0] a,
  input [WIDTH-1:0] b,
  input [WIDTH-1:0] c,
  input b_not_c,
  output [WIDTH-1:0] o
);
  localparam CELLS = (WIDTH + 1) / 2;
  wire [2*CELLS-1:0] aa = a, bb = b, cc = c, sum;
  wire [CELLS:0] carry;
  assign carry[0] = 1'b0;
  assign o = sum[WIDTH-1:0];
  genvar n;
  generate
    for (n = 0; n < CELLS; n = n + 1) begin : cells
      CCU2C #(.INIT0(16'h665a), .INIT1(16'h665a), .INJECT1_0("NO"), .INJECT1_1("NO")) cell (
        .CIN(carry[n]), .COUT(carry[n+1]),
        .A0(aa[2*n]), .B0(bb[2*n]), .C0(cc[2*n]), .D0(b_not_c), .S0(sum[2*n]),
        .A1(aa[2*n+1]), .B1(bb[2*n+1]), .C1(cc[2*n+1]), .D1(b_not_c), .S1(sum[2*n+1])
      );
    end
  endgenerate
endmodule
"""

ECP5_MODULES = {"sdann_select_add": _SELECT_ADD}
"""Verilog text by the name of the module that it takes the place of."""
