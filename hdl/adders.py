"""Sums that an FPGA's cells can do with less logic than what is made of an adder as it stands.

:func:`select_add` is a number plus one of two others, :func:`and_add` a number plus what others have in common: a carry
chain has room for that. In Verilog each is an instance of a small module of :data:`ADDER_MODULES`, so that a flow for
an FPGA has one place to put its cells.
"""

from amaranth.hdl import Instance, Module, Mux, Signal, Value, signed

from .target import is_verilog

__all__ = ["ADDER_MODULES", "and_add", "select_add"]

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

_AND_ADD = """\
// a plus the bits that b, c and d have in common.
module sdann_and_add #(parameter WIDTH = 2) (
  input [WIDTH-1:0] a,
  input [WIDTH-1:0] b,
  input [WIDTH-1:0] c,
  input [WIDTH-1:0] d,
  output [WIDTH-1:0] o
);
  assign o = a + (b & c & d);
endmodule
"""

ADDER_MODULES = {"sdann_select_add": _SELECT_ADD, "sdann_and_add": _AND_ADD}
"""Verilog text by module name."""


def select_add(m: Module, platform: object, name: str, a, b_not_c, b, c) -> Signal:
    """A new signal ``name`` of as many bits as ``b``: ``a + (b if b_not_c else c)``, which wraps. ``a`` is extended."""
    return _wrapping(m, platform, name, "sdann_select_add", a, a + Mux(b_not_c, b, c), b=b, c=c, b_not_c=b_not_c)


def and_add(m: Module, platform: object, name: str, a, b, c, d) -> Signal:
    """A new signal ``name`` of as many bits as ``b``: ``a + (b & c & d)``, which wraps. ``a`` is extended."""
    return _wrapping(m, platform, name, "sdann_and_add", a, a + (b & c & d), b=b, c=c, d=d)


def _wrapping(m: Module, platform: object, name: str, module: str, a, exact, *, b, **inputs) -> Signal:
    width = len(b)
    found = Signal(signed(width), name=name)
    if is_verilog(platform):
        wide = Signal(signed(width), name=f"{name}_a")
        m.d.comb += wide.eq(a)
        ports = {f"i_{port}": Value.cast(value) for port, value in {"a": wide, "b": b, **inputs}.items()}
        m.submodules[f"{name}_adder"] = Instance(module, p_WIDTH=width, o_o=found, **ports)
    else:
        m.d.comb += found.eq(exact)
    return found
