"""Router of one tile: XY routing, stateless rectangle multicast, one flit per port and cycle, two cycles a hop.

Deadlock freedom: only XY turns exist (:data:`TURNS`), queues belong to one input port, and the copies of a fork leave
one by one. So a queue waits only for queues further along X, then along Y, then for ejection: never in a cycle.
"""

import enum
from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .arbiter import RoundRobin
from .config import ChipConfig, bits_for
from .flit import Flit
from .queue import Queue

__all__ = ["QUEUES", "TURNS", "Port", "Router", "route", "within_mesh"]


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

QUEUES: Mapping[Port, tuple[tuple[Port, ...], ...]] = {
    Port.LOCAL: ((*_COLUMN, Port.EAST, Port.WEST),),
    Port.WEST: (_COLUMN, (Port.EAST,)),
    Port.EAST: (_COLUMN, (Port.WEST,)),
    Port.SOUTH: ((Port.LOCAL,), (Port.NORTH,)),
    Port.NORTH: ((Port.LOCAL,), (Port.SOUTH,)),
}
"""The turns of each input, grouped by the queue where a flit waits for them: what goes straight on does not wait behind
what turns or is delivered. Figures of other groupings: docs/decisions/0007-router-queues.md."""


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


_Turn = tuple[Value, Signal, Signal]
"""A queue's way to one output: the flit at its head, whether that wants to go there, whether it goes now."""


class Router(wiring.Component):
    """Five-port router. Every output comes from a register, every input ``ready`` depends on registers only.

    Where a flit goes is decided when it arrives. It is put into each of its input's queues (``queue_depth`` flits,
    :data:`QUEUES`) that has an output for it, with a bit per output, and waits there until each of these outputs has
    taken a copy. An input accepts flits while all its queues have room. The outputs serve their queues round-robin, and
    a turn passes on only with a transfer, so no queue starves.

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
    stores, arbiters, served, taken (attributes): queues by input, arbiters by output, and by turn whether the flit at
        the queue's head has left there before, and leaves in this cycle; the state, for proofs.
    """

    decide = staticmethod(route)
    """Routing function; a subclass in a test replaces it by a wrong one."""

    queues = QUEUES
    """Grouping of the turns; a subclass that is measured has another. LOCAL has one queue (malformed flits wait there
    for their turn to be dropped)."""

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self.stores = {source: [self._store(len(outs)) for outs in groups] for source, groups in self.queues.items()}
        turns = [(source, out) for source in Port for outs in self.queues[source] for out in outs]
        self.served = {(s, o): Signal(name=f"served_{s.name.lower()}_{o.name.lower()}") for s, o in turns}
        self.taken = {(s, o): Signal(name=f"take_{s.name.lower()}_{o.name.lower()}") for s, o in turns}
        self.arbiters = {out: RoundRobin(sum(o == out for _, o in turns)) for out in Port}
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

    def word(self, outs: int) -> data.StructLayout:
        """A word of a queue that leads to ``outs`` outputs."""
        return data.StructLayout({"flit": Flit(self.config), "wanted": outs})

    def _store(self, outs: int) -> Queue:
        """A queue that leads to ``outs`` outputs; which of them a flit wants decides much, so it is known early."""
        return Queue(width=self.word(outs).size, depth=self.config.queue_depth, ahead=outs)

    def link_in(self, port: Port) -> stream.Interface:
        """The stream that enters at ``port``."""
        return getattr(self, f"i_{port.name.lower()}")

    def link_out(self, port: Port) -> stream.Interface:
        """The stream that leaves at ``port``."""
        return getattr(self, f"o_{port.name.lower()}")

    def elaborate(self, platform) -> Module:
        m = Module()
        turns: dict[Port, list[_Turn]] = {out: [] for out in Port}
        filled: list[Value] = [self.link_out(port).valid for port in Port]
        for source in Port:
            filled += self._input(m, source, turns)
        for out in Port:
            self._output(m, out, turns[out])
        neighbours = [self.link_out(port) for port in Port if port is not Port.LOCAL]
        m.d.comb += self.hop.eq(sum(link.valid & link.ready for link in neighbours))
        m.d.comb += self.idle.eq(~Cat(filled).any())
        return m

    def _input(self, m: Module, source: Port, turns: dict[Port, list[_Turn]]) -> list[Value]:
        """One input: its decision and its queues. Adds to ``turns``; returns whether each queue holds a flit."""
        link = self.link_in(source)
        decision = self.decide(source, link.payload.dst, self.x, self.y)
        # Only the core can inject a malformed rectangle: neighbours pass on what was checked there.
        sound = within_mesh(self.config, link.payload.dst) if source is Port.LOCAL else 1
        filled, rooms = [], []
        for outs, queue in zip(self.queues[source], self.stores[source], strict=True):
            name = "_".join(port.name.lower() for port in (source, *outs))
            m.submodules[f"queue_{name}"] = queue
            word = self.word(len(outs))
            arriving, head = Signal(word, name=f"arriving_{name}"), data.View(word, queue.o.payload)
            m.d.comb += [
                arriving.flit.eq(link.payload),
                arriving.wanted.eq(Cat(decision[out] & sound for out in outs)),
                queue.i.payload.eq(arriving),
                # Of several queues, those get the flit that have an output for it; the only one always gets it.
                queue.i.valid.eq(link.valid & link.ready & (arriving.wanted.any() | (len(self.queues[source]) == 1))),
            ]
            left = []  # copies that are still due after this cycle
            for number, out in enumerate(outs):
                served, take = self.served[source, out], self.taken[source, out]
                request = Signal(name=f"request_{source.name.lower()}_{out.name.lower()}")
                m.d.comb += request.eq(queue.o.valid & head.wanted[number] & ~served)
                if len(outs) > 1:  # else the flit leaves with its only copy
                    m.d.sync += served.eq((served | take) & ~queue.o.ready)
                left.append(request & ~take)
                turns[out].append((head.flit.as_value(), request, take))
            m.d.comb += queue.o.ready.eq(~Cat(left).any())
            if source is Port.LOCAL:
                m.d.comb += self.dropped.eq(queue.o.valid & ~head.wanted.any())
            filled.append(queue.o.valid)
            rooms.append(queue.i.ready)
        m.d.comb += link.ready.eq(Cat(rooms).all())
        return filled

    def _output(self, m: Module, out: Port, turns: list[_Turn]) -> None:
        """One output: round-robin choice among the queues that can turn to it, and the link's register."""
        name, link = out.name.lower(), self.link_out(out)
        flits, requests, takes = zip(*turns, strict=True)
        m.submodules[f"turn_{name}"] = turn = self.arbiters[out]
        free = Signal(name=f"free_{name}")  # the link's register is empty, or becomes so in this cycle
        m.d.comb += [free.eq(~link.valid | link.ready), turn.advance.eq(free), turn.request.eq(Cat(requests))]
        with m.If(free):
            m.d.sync += [link.valid.eq(turn.request.any()), link.payload.eq(_select(turn.choice, flits))]
        for index, (request, take) in enumerate(zip(requests, takes, strict=True)):
            m.d.comb += take.eq(free & request & (turn.choice == index))


def _select(index: Value, values: Sequence[Value]) -> Value:
    """``values[index]`` by two-way multiplexers on the bits of ``index``, with no gate to decode it."""
    if len(values) == 1:
        return values[0]
    half = 1 << (len(values) - 1).bit_length() - 1
    return Mux(index[half.bit_length() - 1], _select(index, values[half:]), _select(index, values[:half]))
