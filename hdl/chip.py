"""The chip: host tile, rows of core tiles, links, broadcast and quiescence trees.

One description, two ways to assemble it: with the objects themselves (for Amaranth's simulator and small meshes), or
with Verilog instances of one tile module and one row module, each generated once, so that a 24 x 24 chip costs
little more than its tile.
"""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .assembly import add_part
from .barrier import BroadcastTree, QuiescenceTree, levels_for
from .config import ChipConfig
from .host import CommandWord, RunState, host_in_bits, host_out_bits
from .host_tile import HostTile
from .row import TILE_MODULE, Row, row_signature
from .tile import Tile
from .verilog import convert

__all__ = ["CHIP_MODULE", "TILE_MODULE", "Chip", "chip_verilog"]

CHIP_MODULE = "sdann_chip"
ROW_MODULE = "sdann_row"
FIRST_ROW_MODULE = "sdann_first_row"


class Chip(wiring.Component):
    """The whole mesh.

    Parameters
    ----------
    config : ChipConfig
    instances : bool
        Assemble rows as Verilog instances of modules ``sdann_first_row`` and ``sdann_row``.

    Members
    -------
    i, o : streams of host words (:mod:`hdl.host`)
    state : RunState
        The sequencer's state, for a status pin.
    """

    def __init__(self, config: ChipConfig, *, instances: bool = False) -> None:
        self.config = config
        self.instances = instances
        super().__init__({
            "i": In(stream.Signature(host_in_bits(config))),
            "o": Out(stream.Signature(host_out_bits(config))),
            "state": Out(RunState),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.quiescence = quiescence = QuiescenceTree(inputs=config.rows)
        m.submodules.broadcast = broadcast = BroadcastTree(CommandWord(config), outputs=config.rows)
        latency = broadcast.latency + quiescence.latency + 2 * levels_for(config.cols, broadcast.arity)
        # Command register and the core's own reaction take one cycle each; one more as a margin.
        m.submodules.host = host = HostTile(config, round_trip=latency + 3)
        # Column 0 of row 0 is the host's: where there is no other column, row 0 has no tiles of its own.
        rows: dict[int, Any] = {}
        for y in range(config.cols == 1, config.rows):
            below = rows[y - 1] if y > 1 else None
            rows[y] = self._row(m, y, {"i_south": below.o_north, "o_south": below.i_north} if below else {})
        for y, row in rows.items():
            m.d.comb += [row.y.eq(y), row.command.eq(broadcast.o[y]), quiescence.i[y].eq(row.idle)]
        if 0 in rows:
            connect(m, host.o_east, rows[0].i_west)
            connect(m, rows[0].o_west, host.i_east)
            m.d.comb += rows[0].host_idle.eq(host.idle)
        else:
            m.submodules.host_quiescence = alone = QuiescenceTree(inputs=config.cols)
            m.d.comb += [alone.i[0].eq(host.idle), quiescence.i[0].eq(alone.o)]
        if config.rows > 1:
            # Column 0 of the first row is the host tile; the others follow it in the bundle.
            above, up, down = rows[1], [host.o_north], [host.i_north]
            if 0 in rows:
                up, down = [*up, rows[0].o_north], [*down, rows[0].i_north]
            m.d.comb += [
                above.i_south.payload.eq(Cat(Value.cast(link.payload) for link in up)),
                above.i_south.valid.eq(Cat(link.valid for link in up)),
                Cat(link.ready for link in up).eq(above.i_south.ready),
                Cat(Value.cast(link.payload) for link in down).eq(above.o_south.payload),
                Cat(link.valid for link in down).eq(above.o_south.valid),
                above.o_south.ready.eq(Cat(link.ready for link in down)),
            ]
        m.d.comb += [host.quiescent.eq(quiescence.o), broadcast.i.eq(host.command), self.state.eq(host.state)]
        connect(m, flipped(self.i), host.i)
        connect(m, host.o, flipped(self.o))
        return m

    def _row(self, m: Module, y: int, links: dict[str, Any]) -> Any:
        first = y == 0
        module = (FIRST_ROW_MODULE if first else ROW_MODULE) if self.instances else None
        signature = row_signature(self.config, first=first)
        return add_part(m, f"row_{y}", lambda: Row(self.config, first=first), signature, module, links)


def chip_verilog(config: ChipConfig, *, progress: Callable[[str], None] | None = None) -> str:
    """The chip as one Verilog text: ``sdann_tile`` and the row modules once each, ``sdann_chip`` on top.

    The text depends on nothing but the configuration. ``progress`` is called with the name of each part.
    """
    parts: dict[str, Callable[[], wiring.Component]] = {TILE_MODULE: lambda: Tile(config)}
    if config.cols > 1:
        parts[FIRST_ROW_MODULE] = lambda: Row(config, first=True, instances=True)
    if config.rows > 1:
        parts[ROW_MODULE] = lambda: Row(config, first=False, instances=True)
    parts[CHIP_MODULE] = lambda: Chip(config, instances=True)
    texts = []
    for name, make in parts.items():
        if progress is not None:
            progress(name)
        texts.append(convert(make(), name))
    return "\n".join(texts)
