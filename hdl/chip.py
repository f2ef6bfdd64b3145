"""The chip: host tile, core tiles, links, broadcast and quiescence trees.

One description, two ways to assemble it: with the tile objects themselves (for Amaranth's simulator and small
meshes), or with Verilog instances of one tile module that is generated once, so that a 24 x 24 chip costs
one tile plus wiring.
"""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .barrier import BroadcastTree, QuiescenceTree
from .config import ChipConfig
from .host import CommandWord, RunState, host_in_bits, host_out_bits
from .host_tile import HostTile
from .tile import DIRECTIONS, Tile, tile_signature
from .verilog import convert

__all__ = ["CHIP_MODULE", "TILE_MODULE", "Chip", "chip_verilog"]

CHIP_MODULE = "sdann_chip"
TILE_MODULE = "sdann_tile"

OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}


class Chip(wiring.Component):
    """The whole mesh.

    Parameters
    ----------
    config : ChipConfig
    instances : bool
        Assemble core tiles as Verilog instances of module ``sdann_tile`` instead of elaborating each.

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
        m.submodules.quiescence = quiescence = QuiescenceTree(inputs=len(config.tiles))
        m.submodules.broadcast = broadcast = BroadcastTree(CommandWord(config), outputs=len(config.cores))
        # Command register and the core's own reaction take one cycle each; one more as a margin.
        m.submodules.host = host = HostTile(config, round_trip=broadcast.latency + quiescence.latency + 3)
        make = self._instance if self.instances else self._object
        tiles: dict[tuple[int, int], Any] = {(0, 0): host}
        for index, (y, x) in enumerate(config.cores):
            tiles[y, x] = tile = make(m, f"tile_{y}_{x}")
            m.d.comb += [tile.y.eq(y), tile.x.eq(x), tile.command.eq(broadcast.o[index])]
        for (y, x), tile in tiles.items():
            for direction, (dy, dx) in DIRECTIONS.items():
                if neighbour := tiles.get((y + dy, x + dx)):
                    connect(m, getattr(tile, f"o_{direction}"), getattr(neighbour, f"i_{OPPOSITE[direction]}"))
        m.d.comb += [
            *(quiescence.i[index].eq(tiles[at].idle) for index, at in enumerate(config.tiles)),
            host.quiescent.eq(quiescence.o),
            broadcast.i.eq(host.command),
            self.state.eq(host.state),
        ]
        connect(m, flipped(self.i), host.i)
        connect(m, host.o, flipped(self.o))
        return m

    def _object(self, m: Module, name: str) -> Tile:
        m.submodules[name] = tile = Tile(self.config)
        return tile

    def _instance(self, m: Module, name: str) -> Any:
        """Signals of one tile, as seen from outside, bound to an instance of the tile module."""
        signature = tile_signature(self.config)
        tile = signature.create()
        ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, value in signature.flatten(tile):
            flow = "o" if member.flow == Out else "i"
            ports[f"{flow}_{'__'.join(map(str, path))}"] = value.as_value() if hasattr(value, "as_value") else value
        m.submodules[name] = Instance(TILE_MODULE, **ports)
        return tile


def chip_verilog(config: ChipConfig, *, progress: Callable[[str], None] | None = None) -> str:
    """The chip as one Verilog text: ``sdann_tile`` once, ``sdann_chip`` on top.

    The text depends on nothing but the configuration. ``progress`` is called with the name of each part.
    """
    report = progress or (lambda part: None)
    report("tile")
    tile = convert(Tile(config), TILE_MODULE)
    report("mesh")
    return tile + "\n" + convert(Chip(config, instances=True), CHIP_MODULE)
