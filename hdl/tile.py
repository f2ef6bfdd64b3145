"""The tile: one router and one core. All core tiles of a chip are this one module."""

from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import ChipConfig, bits_for
from .core import Core
from .flit import Flit, FlitKind
from .host import CommandWord
from .router import Router

__all__ = ["DIRECTIONS", "Tile", "links", "tile_signature"]

DIRECTIONS = {"north": (1, 0), "east": (0, 1), "south": (-1, 0), "west": (0, -1)}
"""Neighbour (dy, dx) behind each link."""


def links(config: ChipConfig) -> dict[str, wiring.Member]:
    """The link members that every tile has: ``i_<direction>`` and ``o_<direction>``."""
    flits = stream.Signature(Flit(config))
    return {f"i_{d}": In(flits) for d in DIRECTIONS} | {f"o_{d}": Out(flits) for d in DIRECTIONS}


def tile_signature(config: ChipConfig) -> wiring.Signature:
    """The ports of a tile, see :class:`Tile`."""
    return wiring.Signature({
        **links(config),
        "y": In(bits_for(config.rows - 1)),
        "x": In(bits_for(config.cols - 1)),
        "command": In(CommandWord(config)),
        "idle": Out(1),
        "sound": Out(1),
    })  # fmt: skip


class Tile(wiring.Component):
    """Router and core.

    Members
    -------
    i_north, ..., o_west : flit streams
        Links to the neighbours. No combinational path leads from link to link.
    y, x : bits
        Coordinates; constants from outside, so that all tiles are one module.
    command : CommandWord
        From the broadcast tree.
    idle : bit
        No flit, no pending work: to the quiescence tree.
    sound : bit
        The core has nothing against its program.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__(tile_signature(config))

    def elaborate(self, platform):
        m = Module()
        m.submodules.router = router = Router(self.config)
        m.submodules.neurons = core = Core(self.config)
        for direction in DIRECTIONS:
            connect(m, flipped(getattr(self, f"i_{direction}")), getattr(router, f"i_{direction}"))
            connect(m, getattr(router, f"o_{direction}"), flipped(getattr(self, f"o_{direction}")))
        connect(m, router.o_local, core.i)
        connect(m, core.o, router.i_local)
        m.d.comb += [
            router.y.eq(self.y), router.x.eq(self.x), core.y.eq(self.y), core.x.eq(self.x),
            core.command.eq(self.command),
            core.hop.eq(sum(self._hops())), core.dropped.eq(router.dropped),
            self.idle.eq(router.idle & core.idle), self.sound.eq(~core.fault),
        ]  # fmt: skip
        return m

    def _hops(self) -> list[Value]:
        """One bit per link: a spike bundle leaves. What the host reads and writes is not the network's work."""
        outs = [getattr(self, f"o_{direction}") for direction in DIRECTIONS]
        return [o.valid & o.ready & (o.payload.kind == FlitKind.SPIKE) for o in outs]
