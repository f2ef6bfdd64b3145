"""Asynchronous serial line, 8 data bits, no parity, one stop bit: bytes to and from one wire each."""

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["UartReceiver", "UartTransmitter"]


def _check(divisor: int) -> int:
    if divisor < 4:
        raise ValueError(f"divisor must be at least 4 cycles per bit, not {divisor!r}")
    return divisor


class UartReceiver(wiring.Component):
    """Samples each bit in its middle. A byte whose stop bit is low is dropped.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, at least 4.

    Members
    -------
    rx : wire, from any clock domain
    o : stream of bytes; a byte that is not taken before the next one is complete is lost, so the receiver behind it
        must always be ready.
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _check(divisor)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        wait = Signal(range(2 * self.divisor))
        bits, left = Signal(8), Signal(range(9))
        busy, broken = Signal(), Signal()
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(~busy):
            with m.If(~line):  # half a bit into the start bit, then a whole one for each data bit
                m.d.sync += [busy.eq(1), left.eq(8), wait.eq(self.divisor + self.divisor // 2 - 2)]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(left != 0):
            m.d.sync += [bits.eq(Cat(bits[1:], line)), left.eq(left - 1), wait.eq(self.divisor - 1)]
        with m.Else():
            with m.If(line):
                m.d.sync += [self.o.valid.eq(~broken), self.o.payload.eq(bits), busy.eq(0), broken.eq(0)]
            with m.Else():  # no stop bit: the byte is lost, and the line must come to rest first
                m.d.sync += broken.eq(1)
        return m


class UartTransmitter(wiring.Component):
    """Sends a byte in ten bits.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit, at least 4.

    Members
    -------
    i : stream of bytes
    tx : wire, high at rest
    """

    def __init__(self, *, divisor: int) -> None:
        self.divisor = _check(divisor)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        frame, left = Signal(10, init=1), Signal(range(11))
        wait = Signal(range(self.divisor))
        m.d.comb += [self.tx.eq(frame[0]), self.i.ready.eq(left == 0)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [frame.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))), left.eq(10)]
            m.d.sync += wait.eq(self.divisor - 1)
        with m.Elif(left != 0):
            m.d.sync += wait.eq(wait - 1)
            with m.If(wait == 0):
                m.d.sync += [frame.eq(Cat(frame[1:], Const(1, 1))), left.eq(left - 1), wait.eq(self.divisor - 1)]
        return m
