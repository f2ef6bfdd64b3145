"""The host's words on a byte line: the protocol, and the bridge that speaks it.

To the board: :attr:`FromHost.WORD` and the bytes of a host word, least significant first, or :attr:`FromHost.RESET`.
From the board: :attr:`ToHost.TAKEN` for every word that the chip has taken, :attr:`ToHost.WORD` and the bytes of a word
to the host, or :attr:`ToHost.RESET` when a reset is over.

The line has no flow control of its own, so the host may have at most :data:`QUEUE_WORDS` words on their way. A host
that does not know where the board stands sends RESET as often as a word has bytes, and once more: at least one of them
is not taken for a word's byte.
"""

import enum

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig
from ..host import host_in_bits, host_out_bits
from ..queue import Queue

__all__ = ["QUEUE_WORDS", "RESET_CYCLES", "FromHost", "SerialBridge", "ToHost"]

QUEUE_WORDS = 256
"""Words that the board keeps for the chip."""

RESET_CYCLES = 16
"""How long a RESET holds the chip."""


class FromHost(enum.IntEnum):
    """First byte of what the host sends."""

    WORD = 0xA5
    RESET = 0x5A


class ToHost(enum.IntEnum):
    """First byte of what the board sends."""

    TAKEN = 0x01
    WORD = 0x02
    RESET = 0x03


class SerialBridge(wiring.Component):
    """Bytes on one side, the chip's two streams and its reset on the other.

    Members
    -------
    i, o : streams of bytes, from and to the host. ``i`` is always ready.
    words, answers : streams of host words, to and from the chip
    reset : bit
        Resets the chip; high for :data:`RESET_CYCLES` cycles.
    overrun : bit
        Sticky: a word came that found no room. It is lost; the host did not keep to the protocol.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.in_bits, self.out_bits = host_in_bits(config), host_out_bits(config)
        super().__init__({
            "i": In(stream.Signature(8)),
            "o": Out(stream.Signature(8)),
            "words": Out(stream.Signature(self.in_bits)),
            "answers": In(stream.Signature(self.out_bits)),
            "reset": Out(1),
            "overrun": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        clear = Signal()
        queue = SyncFIFOBuffered(width=self.in_bits, depth=QUEUE_WORDS)
        m.submodules.queue = ResetInserter(clear)(queue)

        # From the host.
        in_bytes, out_bytes = self.in_bits // 8, self.out_bits // 8
        word, left = Signal(self.in_bits), Signal(range(in_bytes + 1))
        complete, asked = Signal(), Signal()
        resetting = Signal(range(RESET_CYCLES + 1))
        m.d.comb += [self.i.ready.eq(1), asked.eq(self.i.valid & (left == 0) & (self.i.payload == FromHost.RESET))]
        m.d.comb += [queue.w_data.eq(word), queue.w_en.eq(complete), self.reset.eq(clear)]
        m.d.sync += complete.eq(0)
        with m.If(self.i.valid):
            with m.If(left != 0):
                m.d.sync += [word.eq((word >> 8) | (self.i.payload << (self.in_bits - 8))), left.eq(left - 1)]
                m.d.sync += complete.eq(left == 1)
            with m.Elif(self.i.payload == FromHost.WORD):
                m.d.sync += left.eq(in_bytes)
        with m.If(complete & ~queue.w_rdy):
            m.d.sync += self.overrun.eq(1)
        with m.If(asked):  # `clear` is `resetting != 0`, in a register
            m.d.sync += [resetting.eq(RESET_CYCLES), clear.eq(1)]
        with m.Elif(clear):
            m.d.sync += [resetting.eq(resetting - 1), clear.eq(resetting != 1), self.overrun.eq(0)]
        # The chip decides late whether it takes a word; this queue's status bits are registers.
        m.submodules.short = short = ResetInserter(clear)(Queue(width=self.in_bits, depth=2))
        m.d.comb += [
            short.i.valid.eq(queue.r_rdy & ~clear), short.i.payload.eq(queue.r_data),
            queue.r_en.eq(short.i.ready & ~clear),
            self.words.valid.eq(short.o.valid & ~clear), self.words.payload.eq(short.o.payload),
            short.o.ready.eq(self.words.ready & ~clear),
        ]  # fmt: skip

        # To the host: what has been taken first, so that the host never starves for credits.
        taken = Signal(range(2 * QUEUE_WORDS))
        took, reported, done = Signal(), Signal(), Signal()
        m.d.sync += [took.eq(self.words.valid & self.words.ready), taken.eq(taken + took - reported)]
        with m.If(resetting == 1):
            m.d.sync += done.eq(1)
        answer, rest = Signal(self.out_bits), Signal(range(out_bytes + 1))
        with m.If(rest != 0):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(answer[:8])]
            with m.If(self.o.ready):
                m.d.sync += [answer.eq(answer >> 8), rest.eq(rest - 1)]
        with m.Elif(done):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(ToHost.RESET)]
            with m.If(self.o.ready):
                m.d.sync += done.eq(0)
        with m.Elif(taken != 0):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(ToHost.TAKEN), reported.eq(self.o.ready)]
        with m.Elif(self.answers.valid & ~clear):
            m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(ToHost.WORD), self.answers.ready.eq(self.o.ready)]
            with m.If(self.o.ready):
                m.d.sync += [answer.eq(self.answers.payload), rest.eq(out_bytes)]
        with m.If(clear):
            m.d.sync += [taken.eq(0), rest.eq(0)]
        return m
