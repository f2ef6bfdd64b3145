"""Masks of every small width, and random wide ones."""

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from hdl.core.mask import index_of, lowest_and_highest, popcount


@pytest.mark.parametrize("width", [2, 4, 6, 8, 16, 64])
def test_counts_and_ends(width: int) -> None:
    rng = random.Random(width)
    mask = Signal(width)
    m = Module()
    low, high, between = lowest_and_highest(m, mask)
    outputs = []
    for value in (popcount(mask), low, high, between, index_of(low), index_of(high)):
        outputs.append(Signal.like(value))
        m.d.comb += outputs[-1].eq(value)
    values = range(1 << width) if width <= 8 else [rng.getrandbits(width) & rng.getrandbits(width) for _ in range(200)]

    async def bench(ctx) -> None:
        for value in values:
            ctx.set(mask, value)
            await ctx.delay(1e-9)
            bits = [n for n in range(width) if value >> n & 1]
            first, last = (bits[0], bits[-1]) if bits else (0, 0)
            ends = (1 << first, 1 << last) if bits else (0, 0)
            rest = value & ~ends[0] & ~ends[1]
            assert [ctx.get(o) for o in outputs] == [len(bits), *ends, rest, first, last], f"mask {value:#x}"

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
