"""The memories that all larger storage of a core is made of: :class:`Ram` and :class:`RamTwoRead`.

In Amaranth's simulator they are Amaranth's own memory. In Verilog each is an instance of one small module,
``sdann_ram`` or ``sdann_ram_2r``, so that a flow with memory macros has one place to put them, and a chip's text does
not grow with its memories. Two things are unknown, as in most macros, and nothing may depend on them: the contents
until written, and what a read gives of bits that are written in the same cycle. Icarus shows X for both; Amaranth's
simulator, which has no X, shows zeros for the first and the old bits inverted for the second.
"""

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Shape, ShapeLike, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .config import bits_for
from .target import is_verilog

__all__ = ["RAM_MODULES", "Ram", "RamTwoRead"]

# `no_rw_check`: Yosys need not build logic around a block RAM for reads that meet a write.
_SHOW = """\
`ifdef SYNTHESIS
  localparam SHOW = 0;
`elsif VERILATOR
  localparam SHOW = 0; // it has no X
`else
  localparam SHOW = 1;
`endif
"""

_RAM = f"""\
// One write port with an enable per part of the word, one read port. A part that is read and written in the same
// cycle reads as anything.
module sdann_ram #(
  parameter PART = 8, parameter PARTS = 1, parameter DEPTH = 2, parameter ADDRESS = 1
) (
  input clk,
  input [PARTS-1:0] w_en,
  input [ADDRESS-1:0] w_addr,
  input [PARTS*PART-1:0] w_data,
  input r_en,
  input [ADDRESS-1:0] r_addr,
  output [PARTS*PART-1:0] r_data
);
{_SHOW}\
  (* no_rw_check *) reg [PARTS*PART-1:0] words [0:DEPTH-1];
  genvar k;
  generate
    for (k = 0; k < PARTS; k = k + 1) begin : part
      always @(posedge clk)
        if (w_en[k]) words[w_addr][k*PART +: PART] <= w_data[k*PART +: PART];
    end
  endgenerate
  reg [PARTS*PART-1:0] read;
  integer n;
  always @(posedge clk)
    if (r_en) begin
      read <= words[r_addr];
      if (SHOW)
        for (n = 0; n < PARTS; n = n + 1)
          if (w_en[n] && w_addr == r_addr) read[n*PART +: PART] <= {{PART{{1'bx}}}};
    end
  assign r_data = read;
endmodule
"""

_RAM_2R = f"""\
// Port A reads, or writes in place of that, at one address; port B reads. What A showed stays while it writes. A word
// that B reads while A writes it reads as anything. One true dual-port block RAM does it.
module sdann_ram_2r #(
  parameter WIDTH = 8, parameter DEPTH = 2, parameter ADDRESS = 1
) (
  input clk,
  input w_en,
  input a_en,
  input [ADDRESS-1:0] a_addr,
  input [WIDTH-1:0] w_data,
  output [WIDTH-1:0] a_data,
  input b_en,
  input [ADDRESS-1:0] b_addr,
  output [WIDTH-1:0] b_data
);
{_SHOW}\
  (* no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];
  reg [WIDTH-1:0] a, b;
  always @(posedge clk)
    if (w_en) words[a_addr] <= w_data;
    else if (a_en) a <= words[a_addr];
  always @(posedge clk)
    if (b_en) begin
      b <= words[b_addr];
      if (SHOW)
        if (w_en && a_addr == b_addr) b <= {{WIDTH{{1'bx}}}};
    end
  assign a_data = a;
  assign b_data = b;
endmodule
"""

RAM_MODULES = {"sdann_ram": _RAM, "sdann_ram_2r": _RAM_2R}
"""Verilog text by module name."""


class Ram(wiring.Component):
    """Memory of ``depth`` words of ``shape`` with one write port and one read port.

    Parameters
    ----------
    shape : of one word
    depth : int
        Number of words.
    parts : int
        Equal parts of a word that can be written on their own.

    Members
    -------
    w_en, w_addr, w_data : write port, one enable per part
    r_en, r_addr, r_data : read port, one cycle later, held while ``r_en`` is low. Parts that are written in the cycle
        in which they are read are unknown; the other parts of the word are not.
    """

    def __init__(self, *, shape: ShapeLike, depth: int, parts: int = 1) -> None:
        width = Shape.cast(shape).width
        if width % parts:
            raise ValueError(f"parts must divide the {width} bits of a word, not be {parts!r}")
        self.width, self.depth, self.parts = width, depth, parts
        address = bits_for(depth - 1)
        super().__init__({
            "w_en": In(parts),
            "w_addr": In(address),
            "w_data": In(shape),
            "r_en": In(1, init=1),
            "r_addr": In(address),
            "r_data": Out(shape),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        w_data, r_data = Value.cast(self.w_data), Value.cast(self.r_data)
        part = self.width // self.parts
        if is_verilog(platform):
            m.submodules.ram = Instance(
                "sdann_ram",
                p_PART=part, p_PARTS=self.parts, p_DEPTH=self.depth, p_ADDRESS=len(self.w_addr),
                i_clk=ClockSignal(), i_w_en=self.w_en, i_w_addr=self.w_addr, i_w_data=w_data,
                i_r_en=self.r_en, i_r_addr=self.r_addr, o_r_data=r_data,
            )  # fmt: skip
            return m
        m.submodules.ram = ram = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = ram.write_port(granularity=part)
        read = ram.read_port()
        clash = Signal(self.parts)
        with m.If(self.r_en):
            m.d.sync += clash.eq(self.w_en & (self.w_addr == self.r_addr).replicate(self.parts))
        m.d.comb += [
            write.en.eq(self.w_en), write.addr.eq(self.w_addr), write.data.eq(w_data),
            read.en.eq(self.r_en), read.addr.eq(self.r_addr),
            r_data.eq(read.data ^ Cat(bit.replicate(part) for bit in clash)),
        ]  # fmt: skip
        return m


class RamTwoRead(wiring.Component):
    """Memory of ``depth`` words of ``shape``, two reads in a cycle or one read and one write.

    Parameters
    ----------
    shape : of one word
    depth : int
        Number of words.

    Members
    -------
    w_en, w_data : write at ``a_addr``
    a_en, a_addr, a_data : read port, one cycle later, held while ``a_en`` is low or ``w_en`` is high
    b_en, b_addr, b_data : read port, one cycle later, held while ``b_en`` is low. A word that is written in the cycle
        in which it is read is unknown.
    """

    def __init__(self, *, shape: ShapeLike, depth: int) -> None:
        self.width, self.depth = Shape.cast(shape).width, depth
        address = bits_for(depth - 1)
        super().__init__({
            "w_en": In(1),
            "w_data": In(shape),
            "a_en": In(1, init=1),
            "a_addr": In(address),
            "a_data": Out(shape),
            "b_en": In(1, init=1),
            "b_addr": In(address),
            "b_data": Out(shape),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        w_data, a_data, b_data = (Value.cast(v) for v in (self.w_data, self.a_data, self.b_data))
        if is_verilog(platform):
            m.submodules.ram = Instance(
                "sdann_ram_2r",
                p_WIDTH=self.width, p_DEPTH=self.depth, p_ADDRESS=len(self.a_addr),
                i_clk=ClockSignal(), i_w_en=self.w_en, i_w_data=w_data,
                i_a_en=self.a_en, i_a_addr=self.a_addr, o_a_data=a_data,
                i_b_en=self.b_en, i_b_addr=self.b_addr, o_b_data=b_data,
            )  # fmt: skip
            return m
        m.submodules.ram = ram = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write, a, b = ram.write_port(), ram.read_port(), ram.read_port()
        clash = Signal()
        with m.If(self.b_en):
            m.d.sync += clash.eq(self.w_en & (self.a_addr == self.b_addr))
        m.d.comb += [
            write.en.eq(self.w_en), write.addr.eq(self.a_addr), write.data.eq(w_data),
            a.en.eq(self.a_en & ~self.w_en), a.addr.eq(self.a_addr), a_data.eq(a.data),
            b.en.eq(self.b_en), b.addr.eq(self.b_addr), b_data.eq(b.data ^ clash.replicate(self.width)),
        ]  # fmt: skip
        return m
