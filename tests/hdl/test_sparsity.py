"""RoT, truncation and DRLO in hardware against formulas on Python integers and bit strings, for every value."""

import pytest
from amaranth.sim import Simulator

from hdl.config import ChipConfig
from hdl.sparsity import Sparsify


def expected(a: int, hi: int, rot: int, drlo: int, bits: int, truncate: int = 0) -> int:
    if rot and truncate:
        a -= a % 2**rot
    elif rot:
        a = min(((a + (1 << (rot - 1))) >> rot) << rot, (hi >> rot) << rot)
    if drlo:
        text, kept, left = f"{a:0{bits}b}", "", drlo
        for digit in text:
            kept += digit if left else "0"
            left -= digit == "1" and left > 0
        a = int(kept, 2)
    return a


def mismatches(bits: int, values, wrong: int = 0, truncate: int = 0) -> int:
    """Simulates all (a, hi, rot, drlo) of ``values``; ``wrong`` flips bits of each expected value."""
    dut = Sparsify(ChipConfig(rows=1, cols=2, time_steps=bits))
    found = []

    async def bench(ctx):
        ctx.set(dut.truncate, truncate)
        for a, hi, rot, drlo in values:
            ctx.set(dut.a, a)
            ctx.set(dut.hi, hi)
            ctx.set(dut.rot, rot)
            ctx.set(dut.drlo, drlo)
            await ctx.tick()
            want = expected(a, hi, rot, drlo, bits, truncate) ^ wrong
            if (got := ctx.get(dut.o)) != want:
                found.append((a, hi, rot, drlo, got, want))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert wrong or not found, found[:3]
    return len(found)


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_exhaustive_small(bits):
    top = 1 << bits
    rots, drlos = 1 << (bits - 1).bit_length(), 1 << bits.bit_length()
    values = [
        (a, hi, rot, drlo)
        for hi in {top - 1, top // 2 - 1, top - 2}
        for a in range(hi + 1)
        for rot in range(rots)
        for drlo in range(drlos)
    ]
    assert not mismatches(bits, values)


def test_all_8_bit_activations():
    values = [(a, hi, k, 0) for hi in (255, 127) for a in range(hi + 1) for k in range(8)]
    values += [(a, 255, k, n) for a in range(256) for k in (0, 2) for n in range(9)]
    assert not mismatches(8, values)


def test_all_16_bit_activations_wide_fields():
    values = [(a, 65535, k, n) for a in range(0, 65536, 257) for k in (0, 1, 15) for n in (0, 1, 4, 16, 31)]
    assert not mismatches(16, values)


def test_truncation_of_all_8_bit_activations():
    values = [(a, hi, k, n) for hi in (255, 100) for a in range(hi + 1) for k in range(8) for n in (0, 2)]
    assert not mismatches(8, values, truncate=1)


def test_figure_10():
    dut = Sparsify(ChipConfig(rows=1, cols=2))
    seen = []

    async def bench(ctx):
        ctx.set(dut.hi, 255)
        for rot, drlo in ((2, 0), (2, 2), (0, 0)):
            ctx.set(dut.a, 83)
            ctx.set(dut.rot, rot)
            ctx.set(dut.drlo, drlo)
            await ctx.tick()
            seen.append(ctx.get(dut.o))

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert seen == [84, 80, 83]


def test_signed_value_passes_unchanged():
    assert not mismatches(8, [(a, 127, 0, 0) for a in range(256)])


def test_comparison_can_fail():
    values = [(a, 255, 2, 2) for a in range(256)]
    assert mismatches(8, values, wrong=1) == len(values)
