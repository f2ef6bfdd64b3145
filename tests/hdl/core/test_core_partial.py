"""Split fan-in: what a part sends, and what the core that adds it makes of it."""

import random
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Bench
from scenario import CONFIG, INTEGRATED, LANES, Scenario

from hdl.config import ChipConfig
from hdl.flit import Flit, FlitKind
from hdl.host import Command
from hdl.program import Counter, Memory, Partials, chunks_of, memory_depths

CONFIGS = {
    "two": CONFIG,
    "one": CONFIG.replace(requant_lanes=4),
    "four": CONFIG.replace(requant_lanes=1),
    "narrow": CONFIG.replace(membrane_bits=12, parts=3),
}


def parts_of(config: ChipConfig, membranes: np.ndarray) -> list[list[int]]:
    """Words of Memory.PARTIAL for membranes [y, x, channel]."""
    return [[int(v) for v in word] for word in membranes.reshape(-1, config.requant_lanes)]


def send(bench: Bench, address: int, word: list[int]) -> None:
    bench.write_bits(Memory.PARTIAL, address, Partials(bench.config).const(word).as_bits())


@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.long), 0.4])
@pytest.mark.parametrize("name", CONFIGS)
def test_sums_are_exact(name: str, stall: float) -> None:
    config = CONFIGS[name]
    scenario = Scenario(len(name), config=config, size=(2, 3), kernel=2, groups=2, steps=3)
    limit = (1 << config.membrane_bits - 1) - 1
    rng = random.Random(name)

    async def body(bench: Bench) -> None:
        layer = scenario.layer
        await scenario.start(bench)
        for _ in range(2):
            await scenario.all_steps(bench, valid=INTEGRATED, probes=0)
            for phase in range(1, config.parts):
                del bench.o_flits[:]
                await bench.command(Command.PARTIAL, first=phase == 1, plane=phase, valid=INTEGRATED)
                if phase == 1:
                    layer.integrate()
                draws = [
                    rng.choice((-limit - 1, limit, rng.randint(-limit, limit))) for _ in range(layer.membrane.size)
                ]
                more = np.array(draws, dtype=object).reshape(layer.membrane.shape)
                layer.membrane = layer.membrane + more
                words = parts_of(config, more)
                for address in rng.sample(range(len(words)), len(words)):
                    send(bench, address, words[address])
                before = bench.cycle
                await bench.settle()
                assert bench.o_flits == []
                if not stall:  # a flit in every cycle, after the integration of twelve words
                    passing = 12 * config.requant_subwords + 14 if phase == 1 else 0
                    assert bench.cycle - before <= len(words) * chunks_of(config, Memory.PARTIAL) + passing + 10
                await scenario.check_words(bench, Memory.MEMBRANE, layer.membrane, f"V after phase {phase}")
            await scenario.requantize(bench, first=False, valid=INTEGRATED)
        assert np.abs(layer.membrane).max() > limit
        await scenario.check_counters(bench)

    scenario.run(stall, body)


def test_one_word_again_and_again() -> None:
    """Sums of the same word follow each other as fast as flits can."""

    async def body(bench: Bench) -> None:
        await bench.command(Command.CLEAR)
        await bench.settle()
        total = [[0] * LANES for _ in range(2)]
        rng = random.Random(1)
        for _ in range(40):
            word, sub = rng.choice((0, 0, 1)), rng.randrange(2)
            values = [rng.randint(-(1 << 26), 1 << 26) for _ in range(2)]
            send(bench, word * 2 + sub, values)
            for n, value in enumerate(values):
                total[word][sub * 2 + n] += value
        await bench.settle()
        assert [await bench.read(Memory.MEMBRANE, word) for word in range(2)] == total

    Bench(CONFIG).run(body)


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_part_sends_its_membranes(name: str, stall: float) -> None:
    config = CONFIGS[name]
    scenario = Scenario(50 + len(name), config=config, size=(2, 2), kernel=2, groups=2, steps=3, part=(2, 1, 0), ages=0)

    async def body(bench: Bench) -> None:
        layer = scenario.layer
        await scenario.start(bench)
        await scenario.all_steps(bench, valid=INTEGRATED, probes=1)
        del bench.o_flits[:]
        await bench.command(Command.PARTIAL, first=True, plane=1, valid=INTEGRATED)
        layer.integrate()
        await bench.settle()
        assert bench.o_flits == []
        await bench.command(Command.PARTIAL, plane=2, valid=INTEGRATED)
        before = bench.cycle
        await bench.settle()
        words = parts_of(config, layer.membrane)
        chunks = chunks_of(config, Memory.PARTIAL)
        if not stall:
            assert bench.cycle - before <= len(words) * chunks + 10
        expected = []
        for address, word in enumerate(words):
            bits = Partials(config).const(word).as_bits()
            expected += [
                (address, c, int(c == chunks - 1), bits >> c * config.data_bits & (1 << config.data_bits) - 1)
                for c in range(chunks)
            ]
        got = []
        for flit in bench.o_flits:
            assert flit.kind == FlitKind.WRITE
            assert (flit.dst.y0, flit.dst.y1, flit.dst.x0, flit.dst.x1) == (1, 1, 0, 0)
            write = flit.payload.memory
            assert write.mem == Memory.PARTIAL
            got.append((write.addr, write.chunk, write.last, write.data))
        assert got == expected
        del bench.o_flits[:]
        # Nothing more happens to it: neither another phase nor requantization changes V or sends anything.
        await bench.command(Command.PARTIAL, plane=2, valid=0)
        await bench.settle()
        await bench.command(Command.REQUANT, valid=INTEGRATED)
        await bench.settle()
        assert bench.o_flits == []
        await scenario.check_words(bench, Memory.MEMBRANE, layer.membrane, "V of a part")
        await scenario.check_counters(bench)

    scenario.run(stall, body)


def test_writes_out_of_range_or_turn_are_rejected_and_reads_answer_zeros() -> None:
    config = CONFIG
    end, chunks = memory_depths(config)[Memory.PARTIAL], chunks_of(config, Memory.PARTIAL)

    async def body(bench: Bench) -> None:
        await bench.command(Command.CLEAR)
        await bench.settle()
        send(bench, end, [1, 2])
        fields = [
            {"mem": Memory.PARTIAL, "addr": 3, "chunk": c, "last": int(c == chunks - 1), "data": 7}
            for c in range(chunks)
        ]
        for wrong in (
            fields[1:],  # no beginning: none of it is taken
            [*fields[:2], fields[3]],  # a gap
            [*fields[:2], fields[2] | {"addr": 4}],  # another word
            [fields[0], fields[1] | {"last": 1}],  # an early end
            [*fields[:-1], fields[-1] | {"last": 0}],  # no end
        ):
            for chunk in wrong:
                bench.send(FlitKind.WRITE, {"memory": chunk})
        await bench.settle()
        rejected = chunks + (chunks - 1) + 1 + 1 + 1 + 1
        assert await bench.read_bits(Memory.COUNTER.value, Counter.REJECTED.value) == rejected
        assert await bench.read_bits(Memory.PARTIAL.value, 0) == 0
        assert await bench.read_bits(Memory.COUNTER.value, Counter.REJECTED.value) == rejected + 1
        for word in range(4):
            assert await bench.read(Memory.MEMBRANE, word) == [0] * LANES
        send(bench, 3, [-5, 6])  # the next one is taken
        assert await bench.read(Memory.MEMBRANE, 1) == [0, 0, -5, 6]

    Bench(config, 2, i_stall=0.2, o_stall=0.2).run(body)


def test_without_parts_there_is_nothing_to_write_to() -> None:
    config = CONFIG.replace(parts=1)

    async def body(bench: Bench) -> None:
        await bench.command(Command.CLEAR)
        await bench.settle()
        send(bench, 0, [1, 1])
        await bench.settle()
        assert await bench.read_bits(Memory.COUNTER.value, Counter.REJECTED.value) == chunks_of(config, Memory.PARTIAL)
        assert await bench.read(Memory.MEMBRANE, 0) == [0] * LANES

    Bench(config).run(body)
    assert Flit(config).size <= Flit(CONFIG).size
