"""The chip: host tile, rows of core tiles, links, broadcast and quiescence trees.

One description, two ways to assemble it: with the objects themselves (for Amaranth's simulator and small meshes), or
with Verilog instances of one tile module and two row modules, each generated once, so that a 24 x 24 chip costs
little more than its tile.
"""

from collections.abc import Callable, Mapping

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .assembly import add_part
from .barrier import ARITY, BroadcastTree, QuiescenceTree, levels_for
from .config import ChipConfig
from .host import CommandWord, RunState, host_in_bits, host_out_bits
from .host_tile import HostTile, RegisterBus
from .row import FIRST_ROW_MODULE, ROW_MODULE, TILE_MODULE, Row, row_signature
from .stack import STACK_MODULE, STACK_VERILOG, RowStack, stack_parameters, stack_signature
from .tile import Tile
from .verilog import convert, with_support

__all__ = [
    "CHIP_MODULE",
    "TILE_MODULE",
    "Chip",
    "assemble",
    "chip_signature",
    "chip_verilog",
    "round_trip",
    "tree_latency",
]

CHIP_MODULE = "sdann_chip"


def chip_signature(config: ChipConfig) -> wiring.Signature:
    """The ports of a chip, see :class:`Chip`."""
    return wiring.Signature({
        "i": In(stream.Signature(host_in_bits(config))),
        "o": Out(stream.Signature(host_out_bits(config))),
        "state": Out(RunState),
    })  # fmt: skip


def tree_latency(config: ChipConfig) -> int:
    """Cycles from the sequencer to every tile, and as many from every tile back: a tree over the rows, one in each."""
    return levels_for(config.rows, ARITY) + levels_for(config.cols, ARITY)


def round_trip(config: ChipConfig) -> int:
    """Cycles after which the quiescence tree's output reflects a command, see :class:`hdl.sequencer.Sequencer`."""
    # Command register and the core's own reaction take one cycle each; one more as a margin.
    return 2 * tree_latency(config) + 3


class Chip(wiring.Component):
    """The whole mesh.

    Members
    -------
    i, o : streams of host words (:mod:`hdl.host`)
    state : RunState
        The sequencer's state, for a status pin.
    o_last, bus, reset : bit, RegisterBus, bit
        With ``ports``: as the host tile's, for a port that is no word stream.
    """

    def __init__(self, config: ChipConfig, *, ports: bool = False) -> None:
        self.config = config
        self.ports = ports
        more = {"o_last": Out(1), "bus": In(RegisterBus()), "reset": Out(1)} if ports else {}
        super().__init__({**chip_signature(config).members, **more})

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.quiescence = quiescence = QuiescenceTree(inputs=config.rows)
        m.submodules.soundness = soundness = QuiescenceTree(inputs=config.rows)
        m.submodules.broadcast = broadcast = BroadcastTree(CommandWord(config), outputs=config.rows)
        m.submodules.host = host = HostTile(config, round_trip=round_trip(config))
        # What the first row offers to the one above, and takes from it: column 0 is the host tile.
        up, down = [host.o_north], [host.i_north]
        if config.cols > 1:
            first = add_part(
                m,
                "row_0",
                lambda: Row(config, first=True),
                row_signature(config, first=True),
                FIRST_ROW_MODULE,
                platform,
            )
            m.d.comb += [first.y.eq(0), first.command.eq(broadcast.o[0]), quiescence.i[0].eq(first.idle)]
            connect(m, host.o_east, first.i_west)
            connect(m, first.o_west, host.i_east)
            m.d.comb += [first.host_idle.eq(host.idle), soundness.i[0].eq(first.sound)]
            up, down = [*up, first.o_north], [*down, first.i_north]
        else:  # the host tile is all of row 0, and still as far from the sequencer as every other tile
            m.submodules.host_quiescence = alone = QuiescenceTree(inputs=config.cols)
            m.d.comb += [alone.i[0].eq(host.idle), quiescence.i[0].eq(alone.o), soundness.i[0].eq(1)]
        if config.rows > 1:
            rows = add_part(
                m, "rows", lambda: RowStack(config), stack_signature(config), STACK_MODULE, platform,
                parameters=stack_parameters(config),
            )  # fmt: skip
            m.d.comb += [
                rows.command.eq(Cat(broadcast.o[y] for y in range(1, config.rows))),
                Cat(quiescence.i[y] for y in range(1, config.rows)).eq(rows.idle),
                Cat(soundness.i[y] for y in range(1, config.rows)).eq(rows.sound),
                rows.i_south.payload.eq(Cat(Value.cast(link.payload) for link in up)),
                rows.i_south.valid.eq(Cat(link.valid for link in up)),
                Cat(link.ready for link in up).eq(rows.i_south.ready),
                Cat(Value.cast(link.payload) for link in down).eq(rows.o_south.payload),
                Cat(link.valid for link in down).eq(rows.o_south.valid),
                rows.o_south.ready.eq(Cat(link.ready for link in down)),
            ]
        m.d.comb += [
            host.quiescent.eq(quiescence.o), host.sound.eq(soundness.o), broadcast.i.eq(host.command),
            self.state.eq(host.state),
        ]  # fmt: skip
        if self.ports:
            m.d.comb += [self.o_last.eq(host.o_last), self.reset.eq(host.reset)]
            connect(m, flipped(self.bus), host.bus)
        connect(m, flipped(self.i), host.i)
        connect(m, host.o, flipped(self.o))
        return m


def chip_verilog(config: ChipConfig, *, progress: Callable[[str], None] | None = None) -> str:
    """The chip as one Verilog text: ``sdann_tile`` and the row modules once each, ``sdann_chip`` on top.

    The text depends on nothing but the configuration. ``progress`` is called with the name of each part.
    """
    return assemble(config, {CHIP_MODULE: lambda: Chip(config)}, progress)


def assemble(
    config: ChipConfig,
    tops: Mapping[str, Callable[[], wiring.Component]],
    progress: Callable[[str], None] | None = None,
) -> str:
    """One Verilog text of what every chip consists of, and ``tops``: by module name, components that contain a Chip."""
    parts: dict[str, Callable[[], wiring.Component]] = {TILE_MODULE: lambda: Tile(config)}
    if config.cols > 1:
        parts[FIRST_ROW_MODULE] = lambda: Row(config, first=True)
    if config.rows > 1:
        parts[ROW_MODULE] = lambda: Row(config, first=False)
    parts |= tops
    texts = []
    for name, make in parts.items():
        if progress is not None:
            progress(name)
        texts.append(convert(make(), name, closed=False))
    if config.rows > 1:
        texts.append(STACK_VERILOG)
    return with_support("\n".join(texts))
