"""The router: one flit is marked when it enters, whichever the solver likes, and followed to its outputs.

The payload is never looked at by a router, so the mark is a bit of it. What should happen to the flit comes from whole
paths (:mod:`sim.benches.xy_model`), for every tile and rectangle of a 3 x 3 mesh, which has all kinds of tiles.
"""

from functools import cache, partial

from amaranth.hdl import Assume, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data

from hdl.config import ChipConfig
from hdl.flit import Flit
from hdl.queue import Queue
from hdl.router import Port, Router, within_mesh
from sim.benches.xy_model import expected_turns

from .engine import Harness, Proof
from .queue import level_of

__all__ = ["CONFIG", "PROOFS", "Progress", "RouterExact"]

CONFIG = ChipConfig(
    name="proof", rows=3, cols=3, lanes=2, weight_words=4, neuron_words=2, group_words=1, edges=1, routes=1,
    requant_lanes=1, isum_bits=8, membrane_bits=8, map_side=2, map_groups=1, stages=1, queue_depth=2, readout_depth=32,
    data_bits=8,
)  # fmt: skip
"""A router with narrow flits and short queues; nothing in it depends on either but the sizes."""


@cache
def _table(rows: int, cols: int) -> dict[tuple[int, int, int], dict[int, int]]:
    """Outputs as bits, by rectangle bits (Rect's order), for each (input port, y, x)."""
    column_bits, row_bits = max(1, (cols - 1).bit_length()), max(1, (rows - 1).bit_length())
    found: dict[tuple[int, int, int], dict[int, int]] = {}
    for ((y, x), port, (x0, x1, y0, y1)), outs in expected_turns(rows, cols).items():
        dst = x0 | x1 << column_bits | y0 << 2 * column_bits | y1 << (2 * column_bits + row_bits)
        bits = sum(1 << Port[out.upper()] for out in outs)
        found.setdefault((int(Port[port.upper()]), y, x), {})[dst] = bits
    return found


class Marked(Harness):
    """A router with free neighbours, and one marked flit.

    Neighbours send what a neighbour may send: sound rectangles that this tile is on the way to (that a router keeps
    this is what the proofs show). The core sends anything.
    """

    def __init__(self, *, router: type[Router] = Router, config: ChipConfig = CONFIG) -> None:
        self.config, self.router = config, router(config)
        width = Flit(config).size
        ports = {port.name.lower(): port for port in Port}
        super().__init__(
            {f"valid_{name}": 1 for name in ports} | {f"flit_{name}": width for name in ports}
            | {f"ready_{name}": 1 for name in ports}
            | {"x": 2, "y": 2, "mark": 1, "mark_port": 3}
        )  # fmt: skip

    def statements(self, m: Module) -> None:
        """Connects the router and marks a flit."""
        m.submodules.router = router = self.router
        config, layout = self.config, Flit(self.config)
        self.tag_at = layout["payload"].offset
        x, y, port = (Signal.like(s) for s in (self.x, self.y, self.mark_port))
        started = Signal()
        m.d.sync += [x.eq(self.x), y.eq(self.y), port.eq(self.mark_port), started.eq(1)]
        m.d.comb += [
            router.x.eq(self.x), router.y.eq(self.y),
            Assume(self.x < config.cols), Assume(self.y < config.rows), Assume(self.mark_port < len(Port)),
            Assume(~started | ((self.x == x) & (self.y == y) & (self.mark_port == port))),
        ]  # fmt: skip
        self.marked = Signal()
        self.was = Signal(layout)
        self.marking = Signal(len(Port))
        for source in Port:
            name, link = source.name.lower(), router.link_in(source)
            bits = getattr(self, f"flit_{name}")
            flit = data.View(layout, bits)
            marking = self.marking[source]
            m.d.comb += [
                link.valid.eq(getattr(self, f"valid_{name}")),
                marking.eq(link.valid & link.ready & self.mark & (self.mark_port == source) & ~self.marked),
                link.payload.eq(Cat(bits[: self.tag_at], marking, bits[self.tag_at + 1 :])),
                router.link_out(source).ready.eq(getattr(self, f"ready_{name}")),
            ]  # fmt: skip
            if source is not Port.LOCAL:
                m.d.comb += Assume(~link.valid | self.may_arrive(source, flit.dst))
            with m.If(marking):
                m.d.sync += [self.marked.eq(1), self.was.eq(link.payload)]

    def may_arrive(self, source: Port, dst: data.View) -> Value:
        """Whether a neighbour may send a flit for ``dst`` to input ``source`` of this tile."""
        here_or_on = {
            Port.WEST: dst.x1 >= self.x, Port.EAST: dst.x0 <= self.x,
            Port.SOUTH: (dst.x0 <= self.x) & (self.x <= dst.x1) & (dst.y1 >= self.y),
            Port.NORTH: (dst.x0 <= self.x) & (self.x <= dst.x1) & (dst.y0 <= self.y),
        }  # fmt: skip
        exists = {
            Port.WEST: self.x > 0, Port.EAST: self.x < self.config.cols - 1,
            Port.SOUTH: self.y > 0, Port.NORTH: self.y < self.config.rows - 1,
        }  # fmt: skip
        return within_mesh(self.config, dst) & here_or_on[source] & exists[source]

    def expected(self, m: Module) -> Signal:
        """Outputs that the flit being marked must leave by, one bit per port."""
        wanted = Signal(len(Port))
        dst = data.View(Flit(self.config), Mux(self.marking[0], self._dst(Port.LOCAL), self._other())).dst
        with m.Switch(Cat(self.x, self.y, self.mark_port)):
            for (port, y, x), outs in _table(self.config.rows, self.config.cols).items():
                with m.Case(x | y << 2 | port << 4):
                    with m.Switch(Value.cast(dst)):
                        for rectangle, bits in outs.items():
                            with m.Case(rectangle):
                                m.d.comb += wanted.eq(bits)
        return wanted

    def _dst(self, port: Port) -> Value:
        return getattr(self, f"flit_{port.name.lower()}")

    def _other(self) -> Value:
        chosen: Value = Const(0, Flit(self.config).size)
        for port in Port:
            if port is not Port.LOCAL:
                chosen = Mux(self.marking[port], self._dst(port), chosen)
        return chosen

    def tag(self, flit: Value) -> Value:
        """The mark of a flit's bits."""
        return Value.cast(flit)[self.tag_at]


class RouterExact(Marked):
    """The marked flit leaves once by each output that it should, unchanged, and by no other; until then it is in the
    router, which is not idle. Impossible flits of the core are dropped and counted.
    """

    def statements(self, m: Module) -> None:
        """See :class:`RouterExact`."""
        super().statements(m)
        router = self.router
        expected, wanted = Signal(len(Port)), self.expected(m)
        with m.If(self.marking.any()):
            m.d.sync += expected.eq(wanted)
        # What can be seen from outside.
        seen, register = Signal(len(Port)), Signal(len(Port))  # left; lies in the output register
        for out in Port:
            link = router.link_out(out)
            leaves = link.valid & link.ready & self.tag(link.payload)
            with m.If(leaves):
                m.d.sync += seen[out].eq(1)
                self.claim(m, "leaves_where_it_should", expected[out])
                self.claim(m, "leaves_once", ~seen[out])
                self.claim(m, "leaves_unchanged", link.payload.as_value() == self.was.as_value())
            if out is not Port.LOCAL:
                self.claim(m, "next_router_may_get_it", ~expected[out] | self._may_leave(out))
            # A copy is where the register says it is, and only there.
            self.claim(m, "copy_in_register", (link.valid & self.tag(link.payload)) == register[out])
            with m.If(link.valid & self.tag(link.payload)):
                self.claim(m, "unchanged_in_register", link.payload.as_value() == self.was.as_value())
        inside_any = []
        waiting: list[Value] = [Const(0) for _ in Port]
        taken = [Const(0) for _ in Port]
        for source in Port:
            for outs, queue in zip(router.queues[source], router.stores[source], strict=True):
                inside, at_head = self._queue(m, source, outs, queue, expected, register | seen)
                inside_any.append(inside)
                for out in outs:
                    served = router.served[source, out]
                    waiting[out] = waiting[out] | (inside & expected[out] & ~(at_head & served))
                    taken[out] = taken[out] | (at_head & router.taken[source, out])
        for out in Port:
            link, arbiter = router.link_out(out), router.arbiters[out]
            self.claim(m, "last_exists", arbiter.last < arbiter.count)
            with m.If(taken[out]):
                m.d.sync += register[out].eq(1)
            with m.Elif(link.ready):
                m.d.sync += register[out].eq(0)
            places = waiting[out] + register[out] + seen[out]
            self.claim(m, "neither_lost_nor_doubled", places == (self.marked & expected[out]))
        m.d.comb += self.reached.eq((seen == expected) & (seen == 0b01111))  # all copies of a fork of four
        self.claim(m, "idle_only_without_it", ~router.idle | ~(Cat(inside_any).any() | register.any()))
        # Only the core can send a flit that goes nowhere; it is counted when it goes.
        nowhere = self.marked & (expected == 0)
        self.claim(m, "goes_somewhere", ~nowhere | (self.mark_port == Port.LOCAL))
        (queue,), inside = router.stores[Port.LOCAL], inside_any[0]
        gone = inside & queue.o.valid & queue.o.ready & self.tag(queue.o.payload)
        self.claim(m, "dropped_is_counted", ~gone | ((expected == 0) == router.dropped))
        self.claim(m, "expected_when_marked", self.marked | (expected == 0))

    def _may_leave(self, out: Port) -> Value:
        """The neighbour's assumption, said by this tile."""
        dst = self.was.dst
        column = (dst.x0 <= self.x) & (self.x <= dst.x1)
        on = {
            Port.EAST: dst.x1 > self.x, Port.WEST: dst.x0 < self.x,
            Port.NORTH: column & (dst.y1 > self.y), Port.SOUTH: column & (dst.y0 < self.y),
        }  # fmt: skip
        return within_mesh(self.config, dst) & on[out]

    def _queue(
        self, m: Module, source: Port, outs: tuple[Port, ...], queue: Queue, expected: Signal, left: Value
    ) -> tuple[Signal, Value]:
        """Where the marked flit is in ``queue``: (inside, at its head). The invariants of the queue's words."""
        name = "_".join(port.name.lower() for port in (source, *outs))
        level = level_of(m, self, queue)
        pushed, popped = queue.i.valid & queue.i.ready, queue.o.valid & queue.o.ready
        inside, before = Signal(name=f"inside_{name}"), Signal(range(queue.depth + 1), name=f"before_{name}")
        with m.If(pushed & self.marking[source]):
            m.d.sync += [inside.eq(1), before.eq(level - popped)]
        with m.If(inside & popped):
            m.d.sync += before.eq(before - 1)
            with m.If(before == 0):
                m.d.sync += inside.eq(0)
        here = Signal(name=f"here_{name}")
        m.d.comb += here.eq(inside & (before == 0))
        self.claim(m, "inside_its_queue", ~inside | (self.marked & (self.mark_port == source) & (before < level)))
        word = self.router.word(len(outs))
        for position in range(queue.depth):
            probe = queue.words.read_port(domain="comb")
            m.d.comb += probe.addr.eq(queue.head + position)
            held = data.View(word, probe.data)
            with m.If(position < level):
                self.claim(m, "mark_lies_there", self.tag(held.flit.as_value()) == (inside & (before == position)))
                if source is not Port.LOCAL:
                    self.claim(m, "wants_something", held.wanted.any())
                with m.If(inside & (before == position)):
                    self.claim(m, "unchanged_in_queue", held.flit.as_value() == self.was.as_value())
                    self.claim(m, "wants_what_it_should", held.wanted == Cat(expected[out] for out in outs))
        head = data.View(word, queue.o.payload)
        if len(outs) > 1:
            served = Cat(self.router.served[source, out] for out in outs)
            self.claim(m, "served_what_it_wants", (served & ~Mux(queue.o.valid, head.wanted, 0)) == 0)
            self.claim(m, "head_waits_for_one", ~queue.o.valid | (head.wanted == 0) | (head.wanted & ~served).any())
            with m.If(here):
                self.claim(m, "served_has_left", served == (Cat(left[out] for out in outs) & head.wanted))
        with m.If(inside & (before != 0)):
            self.claim(m, "nothing_left_before_its_turn", (Cat(left[out] & expected[out] for out in outs)) == 0)
        return inside, here


class Progress(Marked):
    """While all outputs are taken from, every copy of the marked flit has left ``most`` cycles after it was accepted,
    whatever else arrives.
    """

    def __init__(self, *, router: type[Router] = Router, config: ChipConfig = CONFIG, most: int) -> None:
        self.most = most
        super().__init__(router=router, config=config)

    def statements(self, m: Module) -> None:
        """See :class:`Progress`."""
        super().statements(m)
        router = self.router
        for port in Port:
            m.d.comb += Assume(getattr(self, f"ready_{port.name.lower()}"))
        age = Signal(range(self.most + 2))
        with m.If(self.marked & (age <= self.most)):
            m.d.sync += age.eq(age + 1)
        inside = [self.tag(router.link_out(port).payload) & router.link_out(port).valid for port in Port]
        for source in Port:
            for queue in router.stores[source]:
                for position in range(queue.depth):
                    probe = queue.words.read_port(domain="comb")
                    m.d.comb += probe.addr.eq(queue.head + position)
                    inside.append((position < level_of(m, self, queue)) & self.tag(probe.data))
        self.claim(m, "has_left_in_time", ~Cat(inside).any() | (age <= self.most))
        m.d.comb += self.reached.eq(Cat(inside).any() & (age == self.most - 1))


PROOFS = [
    Proof(
        name="router_exact", make=RouterExact, method="induction", depth=4, reach=12, long=True,
        states="a flit leaves once by each output on its paths, unchanged, by no other; the router is not idle before",
    ),
    Proof(
        name="router_progress", make=partial(Progress, most=9), method="bounded", depth=20, reach=14, long=True,
        states="a flit has left 9 cycles after it was accepted where the links take one a cycle (queues of 2)",
    ),
]  # fmt: skip
