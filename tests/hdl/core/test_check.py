"""The core's program check against Python's, on words of which every field takes values around its limits."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, ChipConfig
from hdl.core.check import CHECKED, ProgramCheck, limits
from hdl.flit import payload_layouts
from hdl.pack import fields, pack, unpack
from hdl.program import Memory, chunks_of, memory_layouts
from sim.program import word_faults

CONFIGS = {
    "test": PRESETS["test"],
    # Limits that are no powers of two, so that every field can leave its range.
    "odd": ChipConfig(
        rows=3, cols=6, lanes=16, requant_lanes=4, time_steps=6, weight_words=100, neuron_words=20, act_regions=5,
        slots=6, parts=3, group_words=5, edges=3, routes=5, max_shift=40, max_edge_shift=5, map_side=11,
        map_groups=6, stages=5,
    ),
}  # fmt: skip

GOOD: dict[Memory, dict[str, int]] = {
    Memory.CORE: {
        "enable": 1, "stage": 1, "height": 2, "width": 2, "groups": 1, "words": 4, "last_lanes": 1, "lo": -3, "hi": 5,
        "out_width": 2, "out_words": 4, "slots": 2, "ages": 1, "pool_kernel": 2, "routes": 1,
    },
    Memory.EDGE: {"enable": 1, "kernel_h": 3, "kernel_w": 2, "groups": 1},
    Memory.ROUTE: {"y1": 3, "x1": 3, "phase_log2": 1, "phase_y": 1},
    Memory.REQUANT: {"0.shift": 5},
}  # fmt: skip


class Bench:
    """A check whose inputs a body drives."""

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self.dut = ProgramCheck(config)

    def run(self, body) -> None:
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)

        async def testbench(ctx):
            self.ctx = ctx
            await body()

        simulator.add_testbench(testbench)
        simulator.run()

    async def pulse(self, **values) -> int:
        """Inputs for one cycle; returns ``fault`` after the check is through."""
        if "word" in values:
            word, layouts = values.pop("word"), memory_layouts(self.config)
            self.ctx.set(self.dut.words, {m.name.lower(): word & (1 << layouts[m].size) - 1 for m in CHECKED})
        for name, value in values.items():
            self.ctx.set(getattr(self.dut, name), value)
        await self.ctx.tick()
        for name in ("en", "chunk_valid", "rejected", "clear", "load"):
            self.ctx.set(getattr(self.dut, name), 0)
        await self.ctx.tick().repeat(2)
        return self.ctx.get(self.dut.fault)

    async def word(self, memory: Memory, address: int, word: int) -> int:
        return await self.pulse(en=1, mem=memory, address=address, word=word)

    async def chunk(self, memory: Memory, addr: int, chunk: int, last: bool, rejected: bool = False) -> int:
        layout = payload_layouts(self.config)["memory"]
        payload = layout.const({"mem": memory, "addr": addr, "chunk": chunk, "last": int(last)})
        return await self.pulse(chunk_valid=1, chunk=payload, rejected=int(rejected))


def candidates(config: ChipConfig, memory: Memory, rng: random.Random):
    """Good words with one or two fields changed, often to the edges of their ranges."""
    layout = memory_layouts(config)[memory]
    places = fields(layout)
    ranges = limits(config, memory)
    yield pack(layout, GOOD[memory])
    for name, place in places.items():
        low, high = ranges.get(name.rpartition(".")[2], (0, 0))
        top = (1 << place.width) - 1
        for value in {low - 1, low, high, high + 1, top, rng.randint(0, top)}:
            if 0 <= value <= top:
                bits = pack(layout, GOOD[memory]) & ~(top << place.offset) | value << place.offset
                yield bits
                other = rng.choice(list(places.values()))
                yield bits ^ rng.randrange(1 << other.width) << other.offset


@pytest.mark.parametrize("name", CONFIGS)
def test_words_are_judged_as_in_python(name):
    config = CONFIGS[name]
    bench = Bench(config)
    rng = random.Random(3)
    judged = {memory: [0, 0] for memory in CHECKED}
    reasons: set[str] = set()

    async def body():
        for memory in CHECKED:
            assert word_faults(config, memory, pack(memory_layouts(config)[memory], GOOD[memory])) == []
            for word in candidates(config, memory, rng):
                faults = word_faults(config, memory, word)
                reasons.update(f"{memory.name} {fault.split()[0]}" for fault in faults)
                found = await bench.word(memory, 0, word)
                values = unpack(memory_layouts(config)[memory], word)
                assert found == bool(faults), f"{memory.name}: {faults}, {values}"
                judged[memory][found] += 1
                if found:
                    assert await bench.pulse(load=1) == 0

    bench.run(body)
    assert all(good > 5 for good, _ in judged.values())
    if name == "odd":
        assert all(bad > 5 for _, bad in judged.values())
        wanted = {
            f"{memory.name} {field}" for memory in CHECKED if memory is not Memory.REQUANT
            for field in limits(config, memory)
        }  # fmt: skip
        assert wanted <= reasons, f"never out of range: {sorted(wanted - reasons)}"


def test_a_fault_stays_until_a_good_word_takes_its_place():
    config = CONFIGS["odd"]
    bench = Bench(config)

    async def body():
        for memory, field in ((Memory.CORE, "groups"), (Memory.EDGE, "kernel_h"), (Memory.ROUTE, "edge")):
            layout = memory_layouts(config)[memory]
            good, bad = (
                pack(layout, GOOD[memory]),
                pack(layout, GOOD[memory] | {field: (1 << fields(layout)[field].width) - 1}),
            )
            address = 0 if memory is Memory.CORE else 2
            assert await bench.word(memory, address, good) == 0
            assert await bench.word(memory, address, bad) == 1
            assert await bench.pulse() == 1
            assert await bench.pulse(clear=1) == 1, "a new run does not forgive"
            if address:
                assert await bench.word(memory, 0, good) == 1, "another word is not in its place"
            assert await bench.word(memory, address, good) == 0
            assert await bench.word(memory, address, bad) == 1
            assert await bench.pulse(load=1) == 0
        for memory in (Memory.CORE, Memory.EDGE):
            layout = memory_layouts(config)[memory]
            assert await bench.word(memory, 0, (1 << layout.size) - 2) == 0, "what is not enabled is not looked at"

    bench.run(body)


def test_chunks_must_make_words():
    config = CONFIGS["test"]
    bench = Bench(config)
    core, edge = chunks_of(config, Memory.CORE), chunks_of(config, Memory.EDGE)
    assert core > 3 and edge > 1

    async def send(memory, addr, chunks, *, count):
        faults = [await bench.chunk(memory, addr, chunk, chunk == count - 1) for chunk in chunks]
        return faults[-1]

    async def body():
        for _ in range(2):
            assert await send(Memory.CORE, 0, range(core), count=core) == 0
            assert await send(Memory.EDGE, 1, range(edge), count=edge) == 0
        wrong = {
            "one left out": [(Memory.CORE, 0, 0, False), (Memory.CORE, 0, 2, False)],
            "one twice": [(Memory.CORE, 0, 0, False), (Memory.CORE, 0, 0, False)],
            "not from the first": [(Memory.CORE, 0, 1, False)],
            "another word's": [(Memory.EDGE, 0, 0, False), (Memory.EDGE, 1, 1, edge == 2)],
            "another memory's": [(Memory.CORE, 0, 0, False), (Memory.EDGE, 0, 1, edge == 2)],
            "too soon an end": [(Memory.CORE, 0, 0, True)],
            "too late an end": [(Memory.ACT, 0, chunk, False) for chunk in range(chunks_of(config, Memory.ACT))],
        }
        for name, flits in wrong.items():
            found = [await bench.chunk(*flit) for flit in flits]
            assert found[-1] == 1, name
            assert await bench.pulse(clear=1) == 1, name
            assert await bench.pulse(load=1) == 0, name
        assert await bench.chunk(Memory.CORE, 0, 0, False, rejected=True) == 1
        assert await bench.pulse(load=1) == 0
        # What an aborted run began is forgotten by the next.
        assert await bench.chunk(Memory.CORE, 0, 0, False) == 0
        assert await bench.pulse(clear=1) == 0
        assert await send(Memory.EDGE, 1, range(edge), count=edge) == 0

    bench.run(body)


@pytest.mark.parametrize("memory", [Memory.CORE, Memory.EDGE, Memory.ROUTE, Memory.REQUANT])
def test_a_limit_left_out_would_be_noticed(monkeypatch, memory):
    """The comparison above can fail: an RTL without one memory's limits differs from Python's."""
    config = CONFIGS["odd"]
    monkeypatch.setattr("hdl.core.check.limits", lambda c, m: {} if m is memory else limits(c, m))
    bench = Bench(config)
    differences = []

    async def body():
        for word in candidates(config, memory, random.Random(3)):
            found = await bench.word(memory, 0, word)
            differences.append(found != bool(word_faults(config, memory, word)))

    bench.run(body)
    assert any(differences)
