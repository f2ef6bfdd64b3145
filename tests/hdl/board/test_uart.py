import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hdl.board.uart import UartReceiver, UartTransmitter


class Line(wiring.Component):
    """Transmitter and receiver on one wire, with divisors of their own."""

    def __init__(self, sender: int, receiver: int) -> None:
        self.transmitter, self.receiver = UartTransmitter(divisor=sender), UartReceiver(divisor=receiver)
        super().__init__({})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.transmitter, m.submodules.receiver = self.transmitter, self.receiver
        m.d.comb += self.receiver.rx.eq(self.transmitter.tx)
        return m


def carry(data: list[int], *, sender: int, receiver: int, gap: float = 0.0) -> list[int]:
    """What arrives of ``data``."""
    line, rng, found = Line(sender, receiver), random.Random(1), []
    simulator = Simulator(line)
    simulator.add_clock(1e-6)

    async def send(ctx) -> None:
        for byte in data:
            while rng.random() < gap:
                await ctx.tick()
            ctx.set(line.transmitter.i.payload, byte)
            ctx.set(line.transmitter.i.valid, 1)
            await ctx.tick().until(line.transmitter.i.ready)
            ctx.set(line.transmitter.i.valid, 0)
        await ctx.tick().repeat(12 * sender)

    async def receive(ctx) -> None:
        ctx.set(line.receiver.o.ready, 1)
        while True:
            *_, valid, payload = await ctx.tick().sample(line.receiver.o.valid, line.receiver.o.payload)
            if valid:
                found.append(payload)

    simulator.add_testbench(send)
    simulator.add_testbench(receive, background=True)
    simulator.run()
    return found


@pytest.mark.parametrize("divisor", [4, 5, 16, 33])
@pytest.mark.parametrize("gap", [0.0, 0.9])
def test_bytes_arrive(divisor: int, gap: float) -> None:
    data = [0, 255, 0x55, 0xAA, *random.Random(2).choices(range(256), k=20)]
    assert carry(data, sender=divisor, receiver=divisor, gap=gap) == data


def test_clocks_may_differ_by_three_percent() -> None:
    data = random.Random(3).choices(range(256), k=20)
    assert carry(data, sender=33, receiver=32) == data
    assert carry(data, sender=32, receiver=33) == data


def test_another_speed_is_noticed() -> None:
    data = random.Random(4).choices(range(256), k=20)
    assert carry(data, sender=32, receiver=24) != data


def test_a_byte_without_stop_bit_is_dropped() -> None:
    receiver, found = UartReceiver(divisor=4), []
    simulator = Simulator(receiver)
    simulator.add_clock(1e-6)

    async def drive(ctx) -> None:
        ctx.set(receiver.o.ready, 1)
        for bits in ([0] * 20, [1] * 5, [0, 1, 0, 1, 1, 0, 0, 1, 0, 1], [1] * 3):  # a break, rest, 0x4D, rest
            for bit in bits:
                ctx.set(receiver.rx, bit)
                for _ in range(4):
                    *_, valid, payload = await ctx.tick().sample(receiver.o.valid, receiver.o.payload)
                    if valid:
                        found.append(payload)

    simulator.add_testbench(drive)
    simulator.run()
    assert found == [0x4D]


def test_divisor_is_checked() -> None:
    with pytest.raises(ValueError, match="at least 4 cycles per bit, not 3"):
        UartReceiver(divisor=3)
