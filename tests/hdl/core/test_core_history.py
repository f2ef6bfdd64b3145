"""The history ring: what is emitted of every age, where samples come with gaps."""

# ruff: noqa: C408 - fields of words read better as keywords

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Bench
from scenario import EVERYWHERE, STAGE, Scenario

from hdl.config import preset
from hdl.flit import FlitKind
from hdl.host import Command
from hdl.program import Counter, Memory

CONFIG = preset("test")
LANES, STAGES = CONFIG.lanes, 7


def windows(rng: random.Random, count: int) -> list[int]:
    """``valid`` of successive windows: samples move on by a stage in each; some windows take none."""
    found, valid = [], 0
    for _ in range(count):
        valid = (valid << 1 | int(rng.random() < 0.7)) & ((1 << STAGES + 1) - 1)
        found.append(valid)
    return found


@pytest.mark.parametrize(("slots", "ages"), [(2, 1), (3, 2), (4, 3), (4, 2)])
def test_layer_emits_every_age(slots: int, ages: int) -> None:
    seed = 10 * slots + ages
    scenario = Scenario(seed, size=(3, 2), kernel=1, source=3, groups=2, steps=3, hi=7, slots=slots, ages=ages)

    async def body(bench: Bench) -> None:
        await scenario.start(bench)
        valid = 0
        for more in windows(scenario.rng, 9):
            valid = (valid << 1 | (more & 1) << STAGE - 1) & 0xFF
            await scenario.window(bench, valid=valid, probes=0)
        await scenario.check_counters(bench)
        assert scenario.spikes_out > 0

    scenario.run(0.3, body)


@pytest.mark.parametrize(("slots", "ages", "words"), [(2, 1, 32), (4, 3, 32), (4, 3, 6), (3, 2, 42)])
def test_input_tile_has_slots_for_samples_only(slots: int, ages: int, words: int) -> None:
    """The sample of age a lies as many slots back as samples came after it."""
    rng = random.Random(words + slots)
    groups = 2
    width = 4 if words % 8 == 0 else 3

    async def body(bench: Bench) -> None:
        bench.write(Memory.CORE, 0, dict(
            enable=1, stage=0, height=words // groups // width, width=width, groups=groups, last_lanes=LANES,
            out_width=width, out_words=words, slots=slots, ages=ages, routes=ages,
        ))  # fmt: skip
        for age in range(ages):
            route = {"y0": 0, "y1": 7, "x0": 0, "x1": 7, "group0": 0, "group1": 7, "edge": age % 2, "age": age}
            bench.write(Memory.ROUTE, age, route | {"dst": {"x0": age % 3, "x1": age % 3}})
        await bench.settle()
        await bench.command(Command.CLEAR)
        await bench.settle()
        samples, spikes = [], 0  # newest first
        for valid in windows(rng, 12):
            if valid & 1:
                sample = [[rng.choice((0, rng.randrange(256))) for _ in range(LANES)] for _ in range(words)]
                for address in rng.sample(range(words), words):
                    bench.write(Memory.ACT, address, sample[address])
                await bench.settle()
                samples.insert(0, sample)
            for plane, first in ((5, True), (3, False)):
                del bench.o_flits[:]
                await bench.command(Command.STEP, first=first, plane=plane, valid=valid)
                await bench.settle()
                expected = []
                for age in (a for a in range(ages) if valid >> a & 1):
                    for address, word in enumerate(samples[(valid & (1 << age) - 1).bit_count()]):
                        mask = sum((value >> plane & 1) << lane for lane, value in enumerate(word))
                        spikes += mask.bit_count()
                        if mask:
                            place, group = divmod(address, groups)
                            expected.append((age % 2, age % 3, *divmod(place, width), group, mask))
                found = [f.payload.spike for f in bench.o_flits]
                got = [(s.edge, f.dst.x0, s.y, s.x, s.group, s.mask) for f, s in zip(bench.o_flits, found, strict=True)]
                assert all(f.kind == FlitKind.SPIKE for f in bench.o_flits)
                assert got == expected
        assert len(samples) > slots
        assert await bench.read_bits(Memory.COUNTER.value, Counter.SPIKES_OUT.value) == spikes

    Bench(CONFIG, slots, i_stall=0.1, o_stall=0.3).run(body)


def test_a_wrong_age_is_caught() -> None:
    """The comparison sees it when a route says another age than the model's."""
    scenario = Scenario(3, size=(2, 2), kernel=1, source=3, groups=1, steps=2, hi=3, slots=4, ages=3)
    scenario.routes = [EVERYWHERE | {"age": age} for age in range(3)]

    async def body(bench: Bench) -> None:
        await scenario.start(bench)
        scenario.routes[1] |= {"age": 2}
        for valid in (4, 12, 28, 56, 48):
            await scenario.window(bench, valid=valid, probes=0)

    with pytest.raises(AssertionError, match="seed 3"):
        scenario.run(0.0, body)
