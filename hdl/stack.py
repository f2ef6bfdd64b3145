"""All rows of the mesh but the first, one above the other.

In Verilog this is a loop of instances, written here by hand: the text of a chip then does not grow with its rows.
"""

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .assembly import add_part
from .config import ChipConfig, bits_for
from .host import CommandWord
from .row import ROW_MODULE, Row, link_bundle, row_signature

__all__ = ["STACK_MODULE", "STACK_VERILOG", "RowStack", "stack_parameters", "stack_signature"]

STACK_MODULE = "sdann_row_stack"

STACK_VERILOG = """\
// Rows 1 .. ROWS of the mesh; row k + 1 lies north of row k.
module sdann_row_stack #(
  parameter ROWS = 1, parameter COLS = 1, parameter LINK = 1, parameter COMMAND = 1, parameter Y = 1
) (
  input clk,
  input rst,
  input [ROWS*COMMAND-1:0] command,
  output [ROWS-1:0] idle,
  output [ROWS-1:0] sound,
  input [LINK-1:0] i_south__payload,
  input [COLS-1:0] i_south__valid,
  output [COLS-1:0] i_south__ready,
  output [LINK-1:0] o_south__payload,
  output [COLS-1:0] o_south__valid,
  input [COLS-1:0] o_south__ready
);
  // Links below row k + 1: k = 0 is the border to the first row, k = ROWS the mesh's northern edge.
  wire [LINK-1:0] up_payload [0:ROWS];
  wire [COLS-1:0] up_valid [0:ROWS];
  wire [COLS-1:0] up_ready [0:ROWS];
  wire [LINK-1:0] down_payload [0:ROWS];
  wire [COLS-1:0] down_valid [0:ROWS];
  wire [COLS-1:0] down_ready [0:ROWS];
  assign up_payload[0] = i_south__payload;
  assign up_valid[0] = i_south__valid;
  assign i_south__ready = up_ready[0];
  assign o_south__payload = down_payload[0];
  assign o_south__valid = down_valid[0];
  assign down_ready[0] = o_south__ready;
  assign up_ready[ROWS] = {COLS{1'b0}};
  assign down_payload[ROWS] = {LINK{1'b0}};
  assign down_valid[ROWS] = {COLS{1'b0}};
  genvar k;
  generate
    for (k = 0; k < ROWS; k = k + 1) begin : rows
      localparam [Y-1:0] ROW = k + 1;
      sdann_row row (
        .clk(clk), .rst(rst), .y(ROW), .command(command[k*COMMAND +: COMMAND]), .idle(idle[k]), .sound(sound[k]),
        .i_south__payload(up_payload[k]), .i_south__valid(up_valid[k]), .i_south__ready(up_ready[k]),
        .o_south__payload(down_payload[k]), .o_south__valid(down_valid[k]), .o_south__ready(down_ready[k]),
        .o_north__payload(up_payload[k+1]), .o_north__valid(up_valid[k+1]), .o_north__ready(up_ready[k+1]),
        .i_north__payload(down_payload[k+1]), .i_north__valid(down_valid[k+1]), .i_north__ready(down_ready[k+1])
      );
    end
  endgenerate
endmodule
"""


def stack_parameters(config: ChipConfig) -> dict[str, int]:
    """Parameters of the Verilog module."""
    return {
        "ROWS": config.rows - 1,
        "COLS": config.cols,
        "LINK": link_bundle(config, config.cols).members["payload"].shape,
        "COMMAND": CommandWord(config).size,
        "Y": bits_for(config.rows - 1),
    }


def stack_signature(config: ChipConfig) -> wiring.Signature:
    """The ports of a row stack, see :class:`RowStack`."""
    links = link_bundle(config, config.cols)
    return wiring.Signature({
        "i_south": In(links),
        "o_south": Out(links),
        "command": In(CommandWord(config).size * (config.rows - 1)),
        "idle": Out(config.rows - 1),
        "sound": Out(config.rows - 1),
    })  # fmt: skip


class RowStack(wiring.Component):
    """Rows 1 to ``rows - 1`` as Amaranth objects; the Verilog module of the same ports is :data:`STACK_VERILOG`.

    Members
    -------
    i_south, o_south : link bundles to the first row (:func:`hdl.row.link_bundle`)
    command : one CommandWord per row, row 1 lowest
    idle, sound : one flag per row each
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__(stack_signature(config))

    def elaborate(self, platform):
        config = self.config
        m = Module()
        signature = row_signature(config, first=False)
        below_out, below_in = wiring.flipped(self.i_south), wiring.flipped(self.o_south)
        flags, sounds = [], []
        for index in range(config.rows - 1):
            links = {"i_south": below_out, "o_south": below_in}
            row = add_part(
                m, f"row_{index + 1}", lambda: Row(config, first=False), signature, ROW_MODULE, platform, links=links
            )
            command = self.command.word_select(index, CommandWord(config).size)
            m.d.comb += [row.y.eq(index + 1), row.command.eq(command)]
            flags.append(row.idle)
            sounds.append(row.sound)
            below_out, below_in = row.o_north, row.i_north
        m.d.comb += [self.idle.eq(Cat(flags)), self.sound.eq(Cat(sounds))]
        return m
