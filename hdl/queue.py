"""First-in first-out queue of a router, in one LUT RAM: status bits are registers, so a link's ``ready`` is one too."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Queue"]


class Queue(wiring.Component):
    """Queue of ``depth`` words of ``width`` bits; one word in and one word out per cycle, latency one cycle.

    Parameters
    ----------
    width: bits of a word.
    depth: words, a power of two, at least 2.
    ahead: the word's last bits of this number are read a cycle ahead: they come from registers, at no cycle's cost, for
        what decides late.

    Members
    -------
    i: stream of words; ``ready`` is a register and does not depend on ``o``.
    o: stream of words; ``valid`` is a register, the payload is read asynchronously and stays until it is taken.

    words, head, tail, early (attributes): the state, for proofs; ``early`` are the bits that are read ahead. The
    payload is undefined while ``valid`` is low.
    """

    def __init__(self, *, width: int, depth: int, ahead: int = 0) -> None:
        if isinstance(depth, bool) or not isinstance(depth, int) or depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 2, not {depth!r}")
        if not 0 <= ahead <= width:
            raise ValueError(f"ahead must be 0..{width}, the bits of a word, not {ahead!r}")
        self.width, self.depth, self.ahead = width, depth, ahead
        self.early = Signal(ahead)
        self.words = memory.Memory(shape=width, depth=depth, init=[])
        self._write, self._read = self.words.write_port(), self.words.read_port(domain="comb")
        self.head = Signal(range(depth))  # next word to read
        self.tail = Signal(range(depth))  # and to write
        super().__init__({
            "i": In(stream.Signature(width)),
            "o": Out(stream.Signature(width)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.words = self.words
        write, read, head, tail = self._write, self._read, self.head, self.tail
        after_head, after_tail = Signal.like(head), Signal.like(tail)
        room, filled = Signal(init=1), Signal()
        push, pop = Signal(), Signal()
        m.d.comb += [
            after_head.eq(head + 1), after_tail.eq(tail + 1),
            push.eq(self.i.valid & room), pop.eq(self.o.ready & filled),
            self.i.ready.eq(room), self.o.valid.eq(filled),
            write.en.eq(push), write.addr.eq(tail), write.data.eq(self.i.payload),
            read.addr.eq(head), self.o.payload.eq(read.data),
        ]  # fmt: skip
        if self.ahead:
            following = self.words.read_port(domain="comb")
            m.d.comb += [following.addr.eq(after_head), self.o.payload[self.width - self.ahead :].eq(self.early)]
            last = Signal()  # what comes next is not there yet, or in this cycle
            m.d.comb += last.eq(~filled | (after_head == tail))
            with m.If(pop | ~filled):
                m.d.sync += self.early.eq(Mux(last, self.i.payload, following.data)[self.width - self.ahead :])
        with m.If(push):
            m.d.sync += tail.eq(after_tail)
        with m.If(pop):
            m.d.sync += head.eq(after_head)
        # The comparisons look at registers only, so that a late `pop` passes one gate.
        with m.If(push & ~pop):
            m.d.sync += [filled.eq(1), room.eq(after_tail != head)]
        with m.Elif(pop & ~push):
            m.d.sync += [room.eq(1), filled.eq(after_head != tail)]
        return m
