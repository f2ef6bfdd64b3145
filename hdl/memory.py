"""The memory that all larger storage of the chip is made of: one write port, one read port.

In Amaranth's simulator it is Amaranth's own memory. In Verilog it is an instance of one small module, ``sdann_ram``, so
that a flow with memory macros has one place to put them, and a chip's text does not grow with its memories.
Its contents are unknown until written, as a chip's are: a four-valued simulator shows every read of such a word.
"""

from amaranth.hdl import ClockSignal, Instance, Module, Shape, ShapeLike, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from .config import bits_for
from .target import is_verilog

__all__ = ["RAM_MODULE", "RAM_VERILOG", "Ram"]

RAM_MODULE = "sdann_ram"

RAM_VERILOG = """\
// One write port with an enable per part of the word, one read port. A word that is read and written in
// the same cycle reads as it was before.
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
  reg [PARTS*PART-1:0] words [0:DEPTH-1];
  genvar k;
  generate
    for (k = 0; k < PARTS; k = k + 1) begin : part
      always @(posedge clk)
        if (w_en[k]) words[w_addr][k*PART +: PART] <= w_data[k*PART +: PART];
    end
  endgenerate
  reg [PARTS*PART-1:0] read;
  always @(posedge clk)
    if (r_en) read <= words[r_addr];
  assign r_data = read;
endmodule
"""


class Ram(wiring.Component):
    """Memory of ``depth`` words of ``shape``.

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
    r_en, r_addr, r_data : read port, one cycle later, held while ``r_en`` is low. A word written in the cycle in
    which it is read reads as it was before.
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
        if is_verilog(platform):
            m.submodules.ram = Instance(
                RAM_MODULE,
                p_PART=self.width // self.parts, p_PARTS=self.parts, p_DEPTH=self.depth, p_ADDRESS=len(self.w_addr),
                i_clk=ClockSignal(), i_w_en=self.w_en, i_w_addr=self.w_addr, i_w_data=w_data,
                i_r_en=self.r_en, i_r_addr=self.r_addr, o_r_data=r_data,
            )  # fmt: skip
            return m
        m.submodules.ram = ram = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = ram.write_port(granularity=self.width // self.parts)
        read = ram.read_port()
        m.d.comb += [
            write.en.eq(self.w_en), write.addr.eq(self.w_addr), write.data.eq(w_data),
            read.en.eq(self.r_en), read.addr.eq(self.r_addr), r_data.eq(read.data),
        ]  # fmt: skip
        return m
