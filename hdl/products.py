"""Products and sums of pairs that end in a register: what a multiplier of an FPGA does with the register inside it.

Multipliers lie in few places of a device, and a wire from one to a register elsewhere takes as long as the product. In
Verilog each is an instance of a small module of :data:`PRODUCT_MODULES`, so that a flow for an FPGA has one place to
put its cells. The registers have no reset: they hold data, and start as 0.
"""

from amaranth.hdl import ClockSignal, Instance, Module, Signal, Value, signed

from .target import is_verilog

__all__ = ["PRODUCT_MODULES", "pair_sum", "registered_product"]

_PRODUCT = """\
// The product of a and b, each of which may be signed, a cycle later; kept while `en` is low.
// LINE: which clock enable a device whose multipliers share some is to use for `en`. Without effect here.
module sdann_product #(
  parameter A_WIDTH = 2, parameter B_WIDTH = 2, parameter A_SIGNED = 0, parameter B_SIGNED = 0, parameter LINE = 0
) (
  input clk,
  input en,
  input [A_WIDTH-1:0] a,
  input [B_WIDTH-1:0] b,
  output [A_WIDTH+B_WIDTH-1:0] o
);
  wire unused_line = &{1'b0, LINE[0]};
  wire [A_WIDTH+B_WIDTH-1:0] wide_a = {{B_WIDTH{A_SIGNED[0] & a[A_WIDTH-1]}}, a};
  wire [A_WIDTH+B_WIDTH-1:0] wide_b = {{A_WIDTH{B_SIGNED[0] & b[B_WIDTH-1]}}, b};
  reg [A_WIDTH+B_WIDTH-1:0] kept = 0;
  always @(posedge clk) if (en) kept <= wide_a * wide_b;
  assign o = kept;
endmodule
"""

_PAIR_SUM = """\
// a plus b, a cycle later.
module sdann_pair_sum #(parameter WIDTH = 2) (
  input clk,
  input [WIDTH-1:0] a,
  input [WIDTH-1:0] b,
  output [WIDTH:0] o
);
  reg [WIDTH:0] kept = 0;
  always @(posedge clk) kept <= {a[WIDTH-1], a} + {b[WIDTH-1], b};
  assign o = kept;
endmodule
"""

PRODUCT_MODULES = {"sdann_product": _PRODUCT, "sdann_pair_sum": _PAIR_SUM}
"""Verilog text by module name."""


def registered_product(m: Module, platform: object, found: Signal, a, b, *, enable=1, line: int = 0) -> None:
    """Makes ``found`` (whose name is the instance's) a register that takes ``a * b``, cut to fit, while ``enable``.

    ``line``: 0..3, another one for each other ``enable`` of a core, since neighbouring multipliers share clock enables.
    """
    a, b = Value.cast(a), Value.cast(b)
    shape = (a * b).shape()
    kept = Signal(shape, name=f"{found.name}_product", reset_less=True)
    if is_verilog(platform):
        m.submodules[f"{found.name}_multiplier"] = Instance(
            "sdann_product",
            p_A_WIDTH=len(a), p_B_WIDTH=len(b), p_A_SIGNED=int(a.shape().signed), p_B_SIGNED=int(b.shape().signed),
            p_LINE=line,
            i_clk=ClockSignal(), i_en=enable, i_a=a, i_b=b, o_o=kept,
        )  # fmt: skip
    else:
        with m.If(enable):
            m.d.sync += kept.eq(a * b)
    m.d.comb += found.eq(kept)


def pair_sum(m: Module, platform: object, name: str, a: Signal, b: Signal) -> Signal:
    """A new signed register ``name``, one bit wider than ``a`` and ``b``, both signed: their sum."""
    width = len(a)
    found = Signal(signed(width + 1), name=name, reset_less=True)
    if is_verilog(platform):
        m.submodules[f"{name}_adder"] = Instance(
            "sdann_pair_sum", p_WIDTH=width, i_clk=ClockSignal(), i_a=a, i_b=b, o_o=found
        )
    else:
        m.d.sync += found.eq(a + b)
    return found
