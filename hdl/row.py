"""One row of the mesh: tiles side by side, and the row's share of the broadcast and quiescence trees.

All rows but the first are one module, as all tiles are, so that the text of a chip grows with its columns plus its
rows. In the first row the host tile stands in column 0; it lies outside this module.
"""

from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .assembly import add_part
from .barrier import BroadcastTree, QuiescenceTree
from .config import ChipConfig, bits_for
from .flit import flit_bits
from .host import CommandWord
from .tile import Tile, tile_signature

__all__ = ["FIRST_ROW_MODULE", "ROW_MODULE", "TILE_MODULE", "Row", "link_bundle", "row_signature"]

TILE_MODULE = "sdann_tile"
ROW_MODULE = "sdann_row"
FIRST_ROW_MODULE = "sdann_first_row"


def link_bundle(config: ChipConfig, columns: int) -> wiring.Signature:
    """One direction of the links between two rows, as three vectors: column k has payload word k, valid bit k, ready
    bit k.

    Vectors, because the cost of a chip's text is its number of signals.
    """
    return wiring.Signature({
        "payload": Out(flit_bits(config) * columns),
        "valid": Out(columns),
        "ready": In(columns),
    })  # fmt: skip


def row_signature(config: ChipConfig, *, first: bool) -> wiring.Signature:
    """The ports of a row, see :class:`Row`."""
    flits = stream.Signature(flit_bits(config))  # no named fields: each would cost a signal
    links = link_bundle(config, config.cols - first)
    members = {
        "i_north": In(links),
        "o_north": Out(links),
        "i_south": In(links),
        "o_south": Out(links),
        "y": In(bits_for(config.rows - 1)),
        "command": In(CommandWord(config)),
        "idle": Out(1),
        "sound": Out(1),
    }
    if first:
        members |= {"i_west": In(flits), "o_west": Out(flits), "host_idle": In(1)}
    return wiring.Signature(members)


class Row(wiring.Component):
    """Tiles of one row.

    Parameters
    ----------
    config : ChipConfig
    first : bool
        Row 0: its column 0 is the host tile, outside; the bundles then begin with column 1.

    Members
    -------
    i_north, o_north, i_south, o_south : link bundles (:func:`link_bundle`)
    i_west, o_west : flit streams
        Links to the host tile (first row only).
    y : bits
        The row's coordinate.
    command, idle, sound : CommandWord, bits
        The row's branches of the broadcast and quiescence trees, and of a tree like the latter that says that no core
        complains about its program.
    host_idle : bit
        The host tile's flag, on an equal footing with the row's tiles (first row only).
    """

    def __init__(self, config: ChipConfig, *, first: bool) -> None:
        self.config = config
        self.first = first
        super().__init__(row_signature(config, first=first))

    def elaborate(self, platform):
        config, first = self.config, self.first
        m = Module()
        # Trees of `cols` leaves in every row, so that all rows have one latency.
        m.submodules.broadcast = broadcast = BroadcastTree(CommandWord(config), outputs=config.cols)
        m.submodules.quiescence = quiescence = QuiescenceTree(inputs=config.cols)
        m.submodules.soundness = soundness = QuiescenceTree(inputs=config.cols)
        m.d.comb += [broadcast.i.eq(self.command), self.idle.eq(quiescence.o), self.sound.eq(soundness.o)]
        tiles: list[Any] = []
        for x in range(int(first), config.cols):
            links = {"i_west": tiles[-1].o_east, "o_west": tiles[-1].i_east} if tiles else {}
            tile = add_part(
                m, f"tile_{x}", lambda: Tile(config), tile_signature(config), TILE_MODULE, platform, links=links
            )
            m.d.comb += [
                tile.x.eq(x),
                tile.y.eq(self.y),
                tile.command.eq(broadcast.o[x]),
                quiescence.i[x].eq(tile.idle),
                soundness.i[x].eq(tile.sound),
            ]
            tiles.append(tile)
        width = flit_bits(config)
        for side in ("north", "south"):
            incoming, outgoing = getattr(self, f"i_{side}"), getattr(self, f"o_{side}")
            ins = [getattr(tile, f"i_{side}") for tile in tiles]
            outs = [getattr(tile, f"o_{side}") for tile in tiles]
            m.d.comb += [
                outgoing.payload.eq(Cat(Value.cast(o.payload) for o in outs)),
                outgoing.valid.eq(Cat(o.valid for o in outs)),
                incoming.ready.eq(Cat(i.ready for i in ins)),
            ]
            for index in range(len(tiles)):
                m.d.comb += [
                    Value.cast(ins[index].payload).eq(incoming.payload.word_select(index, width)),
                    ins[index].valid.eq(incoming.valid[index]),
                    outs[index].ready.eq(outgoing.ready[index]),
                ]
        if first:
            connect(m, flipped(self.i_west), tiles[0].i_west)
            connect(m, tiles[0].o_west, flipped(self.o_west))
            m.d.comb += [quiescence.i[0].eq(self.host_idle), soundness.i[0].eq(1)]
        return m
