"""Trees of the barrier: exact values, one latency for all leaves, bounded fan-in and fan-out."""

import random

import pytest
from amaranth.hdl import signed
from amaranth.sim import Simulator

from hdl.barrier import BroadcastTree, QuiescenceTree, levels_for
from hdl.config import PRESETS
from hdl.host import Command, CommandWord


def trace(dut, stimulus, port="o"):
    """Value of ``port`` in each cycle in which ``stimulus[cycle]`` is applied."""
    seen = []

    async def bench(ctx):
        for value in stimulus:
            ctx.set(dut.i, value)
            _, _, result = await ctx.tick().sample(getattr(dut, port))
            seen.append(result)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return seen


@pytest.mark.parametrize(("inputs", "arity"), [(1, 4), (2, 2), (4, 4), (5, 4), (6, 4), (17, 4), (7, 2), (576, 4)])
def test_quiescence(inputs, arity):
    dut, rng = QuiescenceTree(inputs=inputs, arity=arity), random.Random(inputs)
    every = (1 << inputs) - 1
    # Each input in turn is the only low one for one cycle: its dip must arrive, `latency` cycles later.
    stimulus = [every] * 3
    for bit in range(inputs):
        stimulus += [every ^ 1 << bit, every]
    stimulus += [rng.choice([every, rng.getrandbits(inputs)]) for _ in range(50)]
    seen = trace(dut, stimulus)
    assert dut.latency == levels_for(inputs, arity)
    expected = [0] * dut.latency + [int(value == every) for value in stimulus]
    assert seen == expected[: len(stimulus)]
    assert seen != ([0] * (dut.latency + 1) + expected[dut.latency :])[: len(stimulus)]


@pytest.mark.parametrize(("outputs", "arity"), [(1, 4), (3, 2), (4, 4), (6, 4), (17, 4), (33, 2)])
def test_broadcast(outputs, arity):
    dut, rng = BroadcastTree(signed(7), outputs=outputs, arity=arity), random.Random(outputs)
    stimulus = [rng.randint(-64, 63) for _ in range(40)]
    seen = trace(dut, stimulus)
    assert dut.latency == levels_for(outputs, arity)
    expected = ([0] * dut.latency + stimulus)[: len(stimulus)]
    assert [[view[index] for view in seen] for index in range(outputs)] == [expected] * outputs


def test_broadcast_of_commands():
    config = PRESETS["test"]
    dut = BroadcastTree(CommandWord(config), outputs=len(config.tiles))
    word = {"op": Command.STEP, "first": 1, "plane": 5, "valid": 0b101}
    idle = {"op": Command.NONE, "first": 0, "plane": 0, "valid": 0}
    seen = trace(dut, [word, *[idle] * 6])
    for cycle, view in enumerate(seen):
        for tile in range(len(config.tiles)):
            assert (view[tile].op is Command.STEP) == (cycle == dut.latency)
            assert view[tile].plane == (5 if cycle == dut.latency else 0)


@pytest.mark.parametrize(
    ("leaves", "arity", "levels"), [(1, 4, 1), (4, 4, 1), (5, 4, 2), (16, 4, 2), (17, 4, 3), (576, 4, 5), (8, 2, 3)]
)
def test_levels(leaves, arity, levels):
    assert levels_for(leaves, arity) == levels


@pytest.mark.parametrize(("leaves", "arity"), [(0, 4), (-1, 4), (True, 4), (4, 1), (4, 2.0)])
def test_bad_sizes(leaves, arity):
    with pytest.raises(ValueError, match="must be"):
        levels_for(leaves, arity)
