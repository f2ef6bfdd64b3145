"""Router of one tile: XY routing, stateless rectangle multicast, one flit per port and cycle, two cycles a hop.

Deadlock freedom: only XY turns exist (:data:`TURNS`), queues are per input port, and the copies of a fork leave one
by one. So a queue waits only for queues further along X, then along Y, then for ejection: never in a cycle.
"""

import enum
from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for
from .flit import Flit

__all__ = ["TURNS", "Port", "Router", "route", "within_mesh"]


class Port(enum.IntEnum):
    """A router's ports. North is y + 1, east is x + 1."""

    LOCAL = 0
    NORTH = 1
    EAST = 2
    SOUTH = 3
    WEST = 4


_COLUMN = (Port.LOCAL, Port.NORTH, Port.SOUTH)

TURNS: Mapping[Port, tuple[Port, ...]] = {
    Port.LOCAL: (*_COLUMN, Port.EAST, Port.WEST),
    Port.WEST: (*_COLUMN, Port.EAST),
    Port.EAST: (*_COLUMN, Port.WEST),
    Port.SOUTH: (Port.LOCAL, Port.NORTH),
    Port.NORTH: (Port.LOCAL, Port.SOUTH),
}
"""Outputs that a flit may take, by the input port where it is queued: no Y to X turn, no U-turn."""


def route(port: Port, dst: Any, x: Value, y: Value) -> dict[Port, Value]:
    """The routing decision of tile (``y``, ``x``) for a flit at input ``port``, one bit per output in ``TURNS[port]``.

    ``dst`` is a view of :func:`hdl.flit.Rect` that satisfies :func:`within_mesh`. A flit runs along X over the
    rectangle's columns and forks into Y at each of them; along Y it runs over the rows and is delivered inside.
    """
    in_rows = (dst.y0 <= y) & (y <= dst.y1)
    if port in (Port.NORTH, Port.SOUTH):  # already in a column of the rectangle
        in_columns: Value | int = 1
    else:
        in_columns = (dst.x0 <= x) & (x <= dst.x1)
    wanted = {
        Port.LOCAL: in_columns & in_rows,
        Port.NORTH: in_columns & (dst.y1 > y),
        Port.SOUTH: in_columns & (dst.y0 < y),
        Port.EAST: dst.x1 > x,
        Port.WEST: dst.x0 < x,
    }
    return {out: wanted[out] for out in TURNS[port]}


def within_mesh(config: ChipConfig, dst: Any) -> Value:
    """Whether ``dst`` is a rectangle of tiles: x0 <= x1 < cols, y0 <= y1 < rows."""
    return (dst.x0 <= dst.x1) & (dst.x1 < config.cols) & (dst.y0 <= dst.y1) & (dst.y1 < config.rows)


class Router(wiring.Component):
    """Five-port router. Every output comes from a register, every input ``ready`` depends on registers only.

    A flit waits in its input's queue (``queue_depth`` flits) until each output that it needs has taken a copy; the
    outputs serve their inputs round-robin, and a turn passes on only with a transfer, so no input starves.

    Parameters
    ----------
    config: chip configuration (mesh size, ``queue_depth`` and the flit's widths).

    Members
    -------
    i_local, i_north, i_east, i_south, i_west: flits from the core and from the neighbours.
    o_local, o_north, o_east, o_south, o_west: flits to them. At the mesh's border the missing neighbour's ``o`` never
        becomes valid.
    x, y: this tile's coordinates, constant.
    idle: no flit in any queue or output register.
    hop: number of flits handed to neighbours in this cycle, 0..4.
    dropped: pulse: a flit from the core was discarded because its rectangle is empty or outside the mesh.
    """

    decide = staticmethod(route)
    """Routing function; a subclass in a test replaces it by a wrong one."""

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        link = stream.Signature(Flit(config))
        super().__init__(
            {f"i_{port.name.lower()}": In(link) for port in Port}
            | {f"o_{port.name.lower()}": Out(link) for port in Port}
            | {
                "x": In(bits_for(config.cols - 1)),
                "y": In(bits_for(config.rows - 1)),
                "idle": Out(1),
                "hop": Out(3),
                "dropped": Out(1),
            }
        )

    def link_in(self, port: Port) -> stream.Interface:
        """The stream that enters at ``port``."""
        return getattr(self, f"i_{port.name.lower()}")

    def link_out(self, port: Port) -> stream.Interface:
        """The stream that leaves at ``port``."""
        return getattr(self, f"o_{port.name.lower()}")

    def elaborate(self, platform) -> Module:
        m = Module()
        layout = Flit(self.config)
        queues = {port: SyncFIFO(width=layout.size, depth=self.config.queue_depth) for port in Port}
        heads: dict[Port, data.View] = {}
        requests: dict[tuple[Port, Port], Signal] = {}
        taken: dict[tuple[Port, Port], Signal] = {}

        for source, queue in queues.items():
            name, link = source.name.lower(), self.link_in(source)
            m.submodules[f"queue_{name}"] = queue
            head = heads[source] = data.View(layout, queue.r_data)
            m.d.comb += [
                queue.w_data.eq(link.payload),
                queue.w_en.eq(link.valid),
                link.ready.eq(queue.w_rdy),
            ]
            # Only the core can inject a malformed rectangle: neighbours pass on what was checked here.
            sound = within_mesh(self.config, head.dst) if source is Port.LOCAL else 1
            if source is Port.LOCAL:
                m.d.comb += self.dropped.eq(queue.r_rdy & ~sound)

            left = []  # copies that are still due after this cycle
            for out, wanted in self.decide(source, head.dst, self.x, self.y).items():
                turn = f"{name}_{out.name.lower()}"
                served = Signal(name=f"served_{turn}")  # this head flit's copy has left in an earlier cycle
                request = requests[source, out] = Signal(name=f"request_{turn}")
                take = taken[source, out] = Signal(name=f"take_{turn}")
                m.d.comb += request.eq(queue.r_rdy & wanted & sound & ~served)
                m.d.sync += served.eq((served | take) & ~queue.r_en)
                left.append(request & ~take)
            m.d.comb += queue.r_en.eq(queue.r_rdy & ~Cat(left).any())

        for out in Port:
            self._output(m, out, heads, requests, taken)

        neighbours = [self.link_out(port) for port in Port if port is not Port.LOCAL]
        empty = [~queue.r_rdy for queue in queues.values()] + [~self.link_out(port).valid for port in Port]
        m.d.comb += self.hop.eq(sum(link.valid & link.ready for link in neighbours))
        m.d.comb += self.idle.eq(Cat(empty).all())
        return m

    def _output(
        self,
        m: Module,
        out: Port,
        heads: dict[Port, data.View],
        requests: dict[tuple[Port, Port], Signal],
        taken: dict[tuple[Port, Port], Signal],
    ) -> None:
        """One output: round-robin choice among the inputs that can turn to it, and the link's register."""
        name, link = out.name.lower(), self.link_out(out)
        sources = [source for source in Port if (source, out) in requests]
        count = len(sources)
        last = Signal(range(count), name=f"last_{name}")  # index of the latest sender, now the last in turn
        choice = Signal(range(count), name=f"choice_{name}")
        wanting = Signal(count, name=f"wanting_{name}")
        free = Signal(name=f"free_{name}")  # the link's register is empty, or becomes so in this cycle
        m.d.comb += wanting.eq(Cat(requests[source, out] for source in sources))
        m.d.comb += free.eq(~link.valid | link.ready)
        with m.Switch(last):
            for latest in range(count):
                with m.Case(latest):
                    for distance in range(count, 0, -1):  # the nearest one after `latest` is assigned last and wins
                        index = (latest + distance) % count
                        with m.If(wanting[index]):
                            m.d.comb += choice.eq(index)

        with m.If(free):
            m.d.sync += link.valid.eq(wanting.any())
            with m.If(wanting.any()):
                m.d.sync += last.eq(choice)
            with m.Switch(choice):
                for index, source in enumerate(sources):
                    with m.Case(index):
                        m.d.sync += link.payload.eq(heads[source])
                        m.d.comb += taken[source, out].eq(wanting[index])
