"""The routers' queue delivers what it takes, once and in order."""

from amaranth.hdl import Module, Mux, Signal

from hdl.queue import Queue

from .engine import Harness, Proof

__all__ = ["PROOFS", "QueueOrder", "level_of"]


def level_of(m: Module, harness: Harness, queue: Queue) -> Signal:
    """Words in ``queue``, from its state; claims that its status bits fit its pointers."""
    level, apart = Signal(range(queue.depth + 1)), Signal(range(queue.depth))
    room, filled = queue.i.ready, queue.o.valid
    m.d.comb += apart.eq(queue.tail - queue.head)
    m.d.comb += level.eq(Mux(room, apart, queue.depth))
    harness.claim(m, "status_fits_pointers", Mux(apart == 0, room != filled, room & filled))
    if queue.ahead:
        probe = queue.words.read_port(domain="comb")
        m.d.comb += probe.addr.eq(queue.head)
        harness.claim(m, "early_is_the_head_s", ~filled | (queue.early == probe.data[queue.width - queue.ahead :]))
    return level


class QueueOrder(Harness):
    """One word of all that enter is marked when it enters, whichever the solver likes. It leaves exactly when all words
    that were before it have left, and unchanged.
    """

    def __init__(self, *, width: int = 3, depth: int = 16, ahead: int = 1, queue: type[Queue] = Queue) -> None:
        self.queue = queue(width=width, depth=depth, ahead=ahead)
        super().__init__({"i_valid": 1, "payload": width, "o_ready": 1, "mark": 1})

    def statements(self, m: Module) -> None:
        """See :class:`QueueOrder`."""
        m.submodules.queue = queue = self.queue
        probe = queue.words.read_port(domain="comb")
        m.d.comb += [
            queue.i.valid.eq(self.i_valid), queue.i.payload.eq(self.payload), queue.o.ready.eq(self.o_ready),
        ]  # fmt: skip
        level = level_of(m, self, queue)
        pushed, popped = queue.i.valid & queue.i.ready, queue.o.valid & queue.o.ready
        inside, marked, was, before = Signal(), Signal(), Signal(queue.width), Signal(range(queue.depth + 1))
        with m.If(pushed & self.mark & ~marked):
            m.d.sync += [marked.eq(1), inside.eq(1), was.eq(self.payload), before.eq(level - popped)]
        with m.If(inside & popped):
            m.d.sync += before.eq(before - 1)
            with m.If(before == 0):
                m.d.sync += inside.eq(0)
                self.claim(m, "leaves_unchanged", queue.o.payload == was)
        # The invariant that makes it inductive: where the marked word lies.
        m.d.comb += probe.addr.eq(queue.head + before)
        with m.If(inside):
            self.claim(m, "lies_where_it_should", marked & (before < level) & (probe.data == was))
        self.claim(m, "offers_what_it_has", queue.o.valid == (level != 0))
        self.claim(m, "takes_while_there_is_room", queue.i.ready == (level != queue.depth))
        m.d.comb += self.reached.eq(inside & popped & (before == 0) & (was == 5))


PROOFS = [
    Proof(
        name="queue_order", states="a queue's words leave once, unchanged, in their order", make=QueueOrder,
        method="induction", depth=4, reach=6,
    ),
]  # fmt: skip
