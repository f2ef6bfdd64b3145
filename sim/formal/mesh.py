"""Four real tiles: routers, links, rows and quiescence trees as the chip wires them. Cores and bridge are left out.

They send and take whatever the solver likes; what each must do is not to call itself idle while it offers a flit.
"""

from functools import partial
from typing import Any
from unittest.mock import patch

from amaranth.hdl import Assume, Cat, Fragment, Module, Signal, Value
from amaranth.lib import data

import hdl.chip
import hdl.host_tile
import hdl.tile
from hdl.barrier import levels_for
from hdl.bridge import HostBridge
from hdl.chip import Chip
from hdl.config import ChipConfig
from hdl.core import Core
from hdl.flit import Flit, Rect
from hdl.host_tile import HostTile
from hdl.router import Router
from sim.benches.xy_model import destinations

from .engine import Harness, Proof
from .parts import collect
from .router import CONFIG

__all__ = ["PROOFS", "InFlight"]


class AnyCore(Core):
    """Sends and takes flits as it is told from outside."""

    def __init__(self, config: ChipConfig) -> None:
        super().__init__(config)
        self.sends, self.takes = self.o, self.i
        self.quiet = Signal()

    def elaborate(self, platform: object) -> Module:
        """One wire."""
        m = Module()
        m.d.comb += self.idle.eq(self.quiet)
        return m


class AnyBridge(HostBridge):
    """The same in the host tile."""

    def __init__(self, config: ChipConfig) -> None:
        super().__init__(config)
        self.sends, self.takes = self.flit_o, self.flit_i
        self.quiet = Signal()

    elaborate = AnyCore.elaborate


class InFlight(Harness):
    """One flit is marked when it enters, whichever the solver likes. It is delivered to each tile of its rectangle once
    and nowhere else, and no quiescence is reported of a cycle in which it was on its way.
    """

    def __init__(self, *, router: type[Router] = Router, config: ChipConfig) -> None:
        self.config = config
        self.agents: list[Any] = []
        hosts: list[HostTile] = []
        with (
            patch.object(hdl.tile, "Core", collect(self.agents, AnyCore)),
            patch.object(hdl.host_tile, "HostBridge", collect(self.agents, AnyBridge)),
            patch.object(hdl.chip, "HostTile", collect(hosts, HostTile)),
            patch.object(hdl.tile, "Router", router),
            patch.object(hdl.host_tile, "Router", router),
        ):
            self.chip = Fragment.get(Chip(config), None)
        (self.host,) = hosts
        count = len(config.tiles)
        rectangle = Rect(config).size
        super().__init__(
            {f"dst_{n}": rectangle for n in range(count)}
            | {"valid": count, "ready": count, "busy": count, "mark": 1, "marker": range(count)}
        )

    def statements(self, m: Module) -> None:
        """See :class:`InFlight`."""
        m.submodules.chip = self.chip
        config, layout = self.config, Flit(self.config)
        count, tag_at = len(config.tiles), layout["payload"].offset
        # Tiles are made in the order of their coordinates, the host's first.
        marked, wanted, served = Signal(), Signal(count), Signal(count)
        marker, started = Signal.like(self.marker), Signal()
        m.d.sync += [marker.eq(self.marker), started.eq(1)]
        m.d.comb += [Assume(self.marker < count), Assume(~started | (self.marker == marker))]
        for number, agent in enumerate(self.agents):
            flit = data.View(layout, Value.cast(agent.sends.payload))
            marking = Signal(name=f"marking_{number}")
            dst = getattr(self, f"dst_{number}")
            m.d.comb += [
                agent.sends.valid.eq(self.valid[number]), Value.cast(flit.dst).eq(dst),
                Value.cast(flit)[tag_at].eq(marking),
                agent.takes.ready.eq(self.ready[number]),
                marking.eq(self.valid[number] & agent.sends.ready & self.mark & (self.marker == number) & ~marked),
                agent.quiet.eq(~(self.valid[number] | self.busy[number])),
            ]  # fmt: skip
            with m.If(marking):
                m.d.sync += marked.eq(1)
                with m.Switch(dst):
                    for bits, tiles in self._rectangles():
                        with m.Case(bits):
                            m.d.sync += wanted.eq(tiles)
            taken = agent.takes.valid & agent.takes.ready & Value.cast(agent.takes.payload)[tag_at]
            with m.If(taken):
                m.d.sync += served[number].eq(1)
                self.claim(m, "delivered_where_it_should", wanted[number])
                self.claim(m, "delivered_once", ~served[number])
        latency = levels_for(config.cols, 4) + levels_for(config.rows, 4)
        history = Signal(latency)  # whether it was on its way, or another flit was offered, by age
        on_its_way = Signal()
        m.d.comb += on_its_way.eq((served != wanted) | self.valid.any())
        m.d.sync += history.eq(Cat(on_its_way, history))
        self.claim(m, "quiescent_only_without_it", ~self.host.quiescent | ~history[-1])
        m.d.comb += self.reached.eq(wanted.all() & served.all() & self.host.quiescent)

    def _rectangles(self) -> list[tuple[int, int]]:
        """Bits of each rectangle, and of the tiles in it."""
        config, layout = self.config, Rect(self.config)
        found = []
        for bits in range(1 << layout.size):
            dst = layout.from_bits(bits)
            tiles = destinations((dst.x0, dst.x1, dst.y0, dst.y1), config.rows, config.cols)
            found.append((bits, sum(1 << y * config.cols + x for y, x in tiles)))
        return found


PROOFS = [
    Proof(
        name="mesh_2x2", make=partial(InFlight, config=CONFIG.replace(rows=2, cols=2)),
        states="in a mesh of 2 x 2, a flit is delivered to each tile of its rectangle once, and to no other; the "
        "quiescence tree is not true of a cycle with a flit in flight",
        method="bounded", depth=12, reach=10, long=True,
    ),
]  # fmt: skip
