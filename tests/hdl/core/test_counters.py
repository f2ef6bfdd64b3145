"""Counters against plain sums, every total read at random times; widths at which the totals wrap."""

import random
from itertools import pairwise

import pytest
from amaranth.sim import Simulator

from hdl.config import bits_for, preset
from hdl.core.counters import Counters
from hdl.program import Counter

NAMES = {counter: counter.name.lower() for counter in Counter}


def drive(dut: Counters, *, cycles: int, seed: int, clear_at: int) -> dict[Counter, list[tuple[int, int]]]:
    """(found, expected) of each counter: whenever it was ``taken`` while its address was asked for."""
    rng = random.Random(seed)
    bits = dut.config.counter_bits
    seen: dict[Counter, list[tuple[int, int]]] = {counter: [] for counter in Counter}

    async def bench(ctx) -> None:
        totals = dict.fromkeys(Counter, 0)
        asked, level = Counter.SOPS, 0.0
        for cycle in range(cycles):
            if cycle % 50 == 0:  # quiet times, busy ones, and all that can be added in every cycle
                level = rng.choice([0.0, rng.random(), 1.0])
            added = {c: (1 << len(getattr(dut, n))) - 1 if rng.random() < level else 0 for c, n in NAMES.items()}
            added[Counter.OVERFLOW] = int(cycle == clear_at // 2)
            for counter, name in NAMES.items():
                ctx.set(getattr(dut, name), added[counter])
            clear = cycle == clear_at
            ctx.set(dut.clear, clear)
            if cycle % 25 == 0:
                asked = rng.choice([Counter.SOPS] * 5 + list(Counter))
            ctx.set(dut.address, asked)
            if ctx.get(dut.taken) and not clear:
                seen[asked].append((ctx.get(dut.value), totals[asked]))
            await ctx.tick()
            for counter, amount in added.items():
                if counter is Counter.OVERFLOW:
                    totals[counter] |= amount
                else:
                    totals[counter] = (totals[counter] + amount) % (1 << bits)
            if clear:
                totals = dict.fromkeys(Counter, 0)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def counters(lanes: int, bits: int) -> Counters:
    return Counters(preset("test").replace(lanes=lanes, requant_lanes=lanes, counter_bits=bits))


@pytest.mark.parametrize(("lanes", "bits"), [(4, 40), (64, 16)])
def test_totals_are_exact(lanes: int, bits: int) -> None:
    seen = drive(counters(lanes, bits), cycles=4500, seed=lanes, clear_at=3500)
    assert all(found == expected for pairs in seen.values() for found, expected in pairs)
    assert all(len({expected for _, expected in pairs}) > 1 for pairs in seen.values())
    falls = sum(after < before for (_, before), (_, after) in pairwise(seen[Counter.SOPS]))
    assert falls > (lanes == 64), "at the clear, and where 16 bits are too few before it"


def test_a_register_that_is_too_small_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr("hdl.core.counters.bits_for", lambda most: bits_for(most) - (most > 300))
    seen = drive(counters(16, 40), cycles=1000, seed=1, clear_at=999)
    assert any(found != expected for found, expected in seen[Counter.SOPS])
