"""A number plus one of two others: half the logic of a multiplexer and an adder where a carry chain has room for both.

In Verilog it is an instance of one small module, ``sdann_select_add``, so that a flow for an FPGA has one place to put
its carry cells.
"""

from amaranth.hdl import Instance, Module, Mux, Signal, Value, signed

from .target import is_verilog

__all__ = ["SELECT_ADD_MODULES", "select_add"]

_SELECT_ADD = """\
// a plus b, or plus c.
module sdann_select_add #(parameter WIDTH = 2) (
  input [WIDTH-1:0] a,
  input [WIDTH-1:0] b,
  input [WIDTH-1:0] c,
  input b_not_c,
  output [WIDTH-1:0] o
);
  assign o = a + (b_not_c ? b : c);
endmodule
"""

SELECT_ADD_MODULES = {"sdann_select_add": _SELECT_ADD}
"""Verilog text by module name."""


def select_add(m: Module, platform: object, name: str, a, b_not_c, b, c) -> Signal:
    """A new signal ``name`` of as many bits as ``b``: ``a + (b if b_not_c else c)``, which wraps. ``a`` is extended."""
    width = len(b)
    found = Signal(signed(width), name=name)
    if is_verilog(platform):
        wide = Signal(signed(width), name=f"{name}_a")
        m.d.comb += wide.eq(a)
        m.submodules[f"{name}_adder"] = Instance(
            "sdann_select_add", p_WIDTH=width,
            i_a=wide, i_b=Value.cast(b), i_c=Value.cast(c), i_b_not_c=b_not_c, o_o=found,
        )  # fmt: skip
    else:
        m.d.comb += found.eq(a + Mux(b_not_c, b, c))
    return found
