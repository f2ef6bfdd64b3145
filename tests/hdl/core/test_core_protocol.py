"""What a core does at its edges: bad flits, back-pressure, commands without work, and how many cycles it takes."""

# ruff: noqa: C408 - fields of words read better as keywords

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Bench

from hdl.config import preset
from hdl.flit import FlitKind
from hdl.host import Command
from hdl.program import Counter, Memory, chunks_of, memory_depths

CONFIG = preset("test")
LANES = CONFIG.lanes
EVERYWHERE = dict(y0=0, y1=7, x0=0, x1=7, group0=0, group1=7)


def core_word(**changes) -> dict:
    """A 4 x 4 map of 2 groups on stage 1."""
    word = dict(
        enable=1, stage=1, height=4, width=4, groups=2, words=32, last_lanes=3, lo=0, hi=255, routes=1,
        slots=2, ages=1,
    )  # fmt: skip
    word |= changes
    return dict(out_width=word["width"], out_words=word["words"]) | word


def edge_word(**changes) -> dict:
    """3 x 3 convolution with padding 1."""
    word = dict(
        enable=1, kernel_h=3, kernel_w=3, y_offset=1, x_offset=1, groups=1, row_shift=2, stride_y=6, stride_g=18,
    )  # fmt: skip
    return word | changes


async def count(bench: Bench, counter: Counter) -> int:
    return await bench.read_bits(Memory.COUNTER.value, counter.value)


async def start(bench: Bench, core: dict, edge: dict, *, weights: int = 0) -> None:
    bench.write(Memory.CORE, 0, core)
    bench.write(Memory.EDGE, 0, edge)
    bench.write(Memory.ROUTE, 0, dict(EVERYWHERE, edge=0, dst=dict(x0=1, x1=1, y0=0, y1=0)))
    for address in range(weights):
        bench.write(Memory.WEIGHT, address, [(address + lane) % 100 - 50 for lane in range(LANES)])
    await bench.settle()
    await bench.command(Command.CLEAR)
    await bench.settle()


@pytest.mark.parametrize("depthwise", [0, 1])
@pytest.mark.parametrize("kernel", [1, 3])
def test_one_visit_in_every_cycle(depthwise: int, kernel: int) -> None:
    groups = 1 if depthwise else 2

    async def body(bench: Bench) -> None:
        pad = kernel // 2
        edge = edge_word(
            kernel_h=kernel, kernel_w=kernel, y_offset=pad, x_offset=pad, depthwise=depthwise, groups=2,
            row_shift=0 if depthwise else 2, stride_y=2 * kernel, stride_g=2 * kernel * kernel,
        )  # fmt: skip
        await start(bench, core_word(), edge)
        await bench.command(Command.STEP, first=True, valid=1)
        visits, sops = 0, 0
        for y, x, mask in [(y, x, mask) for y in range(4) for x in range(4) for mask in (15, 5, 12)]:
            bench.spike(y=y, x=x, mask=mask)
            hits = (min(y, 3 - y, pad) + 1 + pad) * (min(x, 3 - x, pad) + 1 + pad)
            visits += hits * (1 if depthwise else -(-mask.bit_count() // bench.config.weight_ports) * groups)
            sops += hits * mask.bit_count() * (1 if depthwise else 7)
        before = bench.cycle
        await bench.settle()
        # From the first flit: registers on the way in and out, and the visits without a gap.
        slack = 18
        bundles = 48
        assert max(visits, bundles) <= bench.cycle - before <= max(visits, bundles) + slack
        assert await count(bench, Counter.BUSY) == visits
        assert await count(bench, Counter.SOPS) == sops

    Bench(CONFIG).run(body)


def test_neighbouring_visits_of_one_word_are_forwarded() -> None:
    """1 x 1 kernels: the same few words again and again at every distance, without stalls."""
    rng = random.Random(3)
    sent = [(rng.randrange(2), rng.randrange(1, 16)) for _ in range(150)]

    async def body(bench: Bench) -> None:
        edge = edge_word(kernel_h=1, kernel_w=1, y_offset=0, x_offset=0, stride_y=1, stride_g=1)
        await start(bench, core_word(groups=1, words=16), edge, weights=4)
        await bench.command(Command.STEP, first=True, valid=1)
        expected = [[0] * LANES for _ in range(2)]
        for x, mask in sent:
            bench.spike(x=x, mask=mask)
            for bit in range(LANES):
                for lane in range(LANES):
                    expected[x][lane] += (mask >> bit & 1) * (bit + lane - 50)
        await bench.settle()
        assert [await bench.read(Memory.ISUM, address) for address in range(2)] == expected

    Bench(CONFIG).run(body)


@pytest.mark.parametrize("routes", [0, 1, 2])
def test_emission_takes_one_cycle_per_word_and_route(routes: int) -> None:
    """But three cycles for two words with spikes and one route."""
    scanned = 48 if routes < 2 else 32 * routes

    async def body(bench: Bench) -> None:
        await start(bench, core_word(stage=0, routes=routes), edge_word())
        bench.write(Memory.ROUTE, 1, dict(EVERYWHERE, edge=1, dst=dict(x0=0, x1=0, y0=0, y1=0)))
        for address in range(32):
            bench.write(Memory.ACT, address, [1, 3, 1, 0])
        await bench.settle()
        for plane, expected in ((2, 32), (1, scanned), (0, scanned)):
            del bench.o_flits[:]
            await bench.command(Command.STEP, first=plane == 2, plane=plane, valid=1)
            before = bench.cycle
            await bench.settle()
            assert expected <= bench.cycle - before <= expected + 8
            assert len(bench.o_flits) == (32 * routes if plane < 2 else 0)
            assert all(f.payload.spike.mask == (2, 2 + 5)[plane == 0] for f in bench.o_flits) if plane < 2 else True
        assert await count(bench, Counter.SPIKES_OUT) == 32 * 4
        assert await count(bench, Counter.STALLED) == 0

    Bench(CONFIG).run(body)


def test_input_tile_emits_what_the_host_wrote_into_the_back_slot() -> None:
    rng = random.Random(5)
    samples = [[[rng.randrange(256) for _ in range(LANES)] for _ in range(32)] for _ in range(2)]

    async def emitted(bench: Bench, first: bool, plane: int, valid: int = 1) -> list[int]:
        del bench.o_flits[:]
        await bench.command(Command.STEP, first=first, plane=plane, valid=valid)
        await bench.settle()
        masks = [0] * 32
        for flit in bench.o_flits:
            spike = flit.payload.spike
            masks[((spike.y - 2) * 4 + spike.x - 1) * 2 + spike.group - 3] = spike.mask
        return masks

    def plane_of(sample, plane):
        return [sum((v >> plane & 1) << n for n, v in enumerate(word)) for word in sample]

    async def body(bench: Bench) -> None:
        await start(bench, core_word(stage=0, y0=2, x0=1, group0=3), edge_word())
        for address, word in enumerate(samples[0]):
            bench.write(Memory.ACT, address, word)
        await bench.settle()
        assert await emitted(bench, True, 7) == plane_of(samples[0], 7)
        for address, word in enumerate(samples[1]):  # the next sample, while this one is emitted
            bench.write(Memory.ACT, address, word)
        assert await emitted(bench, False, 6) == plane_of(samples[0], 6)
        await bench.command(Command.REQUANT, valid=1)
        await bench.settle()
        assert await emitted(bench, True, 7, valid=0b10) == [0] * 32  # no sample: nothing, and the slot stays
        assert await emitted(bench, True, 7) == plane_of(samples[1], 7)
        assert await bench.read(Memory.ACT, 5) == samples[0][5]

    Bench(CONFIG, 1, i_stall=0.2, o_stall=0.4).run(body)


def test_windows_without_a_sample_change_nothing() -> None:
    async def body(bench: Bench) -> None:
        await start(bench, core_word(), edge_word(), weights=72)
        bench.write(Memory.ACT, 0, [255] * LANES)
        bench.spike(y=1, x=1, mask=15)
        await bench.settle()
        before = [await bench.read(m, 2) for m in (Memory.ISUM, Memory.MEMBRANE)]
        assert any(before[0])
        del bench.o_flits[:]
        for step in range(3):
            await bench.command(Command.STEP, first=step == 0, plane=7 - step, valid=0)
            assert bench.ctx.get(bench.dut.idle)
            await bench.settle()
        await bench.command(Command.REQUANT, valid=0b10)
        await bench.settle()
        assert bench.o_flits == []
        assert [await bench.read(m, 2) for m in (Memory.ISUM, Memory.MEMBRANE)] == before

    Bench(CONFIG).run(body)


def test_bad_flits_are_counted_and_change_nothing() -> None:
    config = CONFIG.replace(edges=3, neuron_words=20, act_regions=2)

    async def body(bench: Bench) -> None:
        await start(bench, core_word(height=2, width=2, groups=2, words=8), edge_word(group0=2, groups=2), weights=72)
        rejected = 0
        for fields in (
            dict(edge=1, group=2), dict(edge=3, group=2), dict(edge=0, group=1), dict(edge=0, group=4),
        ):  # fmt: skip
            bench.spike(y=0, x=0, mask=15, **fields)
            rejected += 1
        bench.spike(y=7, x=7, group=2, mask=15)  # reaches no neuron: no error
        bench.spike(y=0, x=0, group=2, mask=0)
        bench.send(FlitKind.READOUT, {"readout": dict(addr=1)})
        rejected += 1
        depths = memory_depths(config)
        for memory, address in (
            (Memory.EDGE, 3), (Memory.CORE, 1), (Memory.ACT, 20), (Memory.ISUM, 0), (Memory.MEMBRANE, 0),
            (Memory.COUNTER, 0), (Memory.ROUTE, depths[Memory.ROUTE]), (Memory.REQUANT, depths[Memory.REQUANT]),
        ):  # fmt: skip
            bench.write_bits(memory, address, (1 << 60) - 1)
            rejected += chunks_of(config, memory)
        await bench.settle()
        assert await count(bench, Counter.REJECTED) == rejected
        assert await bench.read_bits(Memory.ACT.value, 20) == 0
        assert await bench.read_bits(Memory.EDGE.value, 3) == 0
        assert await bench.read_bits(14, 0, count=1) == 0
        assert await bench.read_bits(15, 3, count=1) == 0
        assert await count(bench, Counter.REJECTED) == rejected + 4
        assert await count(bench, Counter.SPIKES_IN) == LANES
        for address in range(8):
            assert await bench.read(Memory.ISUM, address) == [0] * LANES
        bench.write(Memory.CORE, 0, core_word(enable=0))
        bench.spike(y=0, x=0, group=2, mask=15)
        await bench.settle()
        assert await count(bench, Counter.REJECTED) == rejected + 5

    Bench(config, 4, i_stall=0.3, o_stall=0.3).run(body)


def test_every_writable_memory_reads_back() -> None:
    rng = random.Random(9)
    sizes = {
        Memory.EDGE: 2, Memory.ROUTE: 4, Memory.REQUANT: 8, Memory.WEIGHT: 128, Memory.ACT: 32,
    }  # fmt: skip

    async def body(bench: Bench) -> None:
        words = {(m, a): rng.getrandbits(24) for m, depth in sizes.items() for a in (0, depth - 1)}
        for (memory, address), word in words.items():
            bench.write_bits(memory, address, word)
        bench.write_bits(Memory.CORE, 0, 0x123456)
        for (memory, address), word in words.items():
            assert await bench.read_bits(memory.value, address) == word
        assert await bench.read_bits(Memory.CORE.value, 0) == 0x123456

    Bench(CONFIG, 2, i_stall=0.3, o_stall=0.3).run(body)


def test_spikes_are_taken_while_an_answer_waits() -> None:
    """The network does not take the answer to READ: accumulation goes on all the same."""

    async def body(bench: Bench) -> None:
        await start(bench, core_word(), edge_word(), weights=72)
        bench.o_stall = 1.0
        await bench.command(Command.STEP, first=True, valid=1)
        bench.send(FlitKind.READ, {"memory": dict(mem=Memory.MEMBRANE)})
        for n in range(30):
            bench.spike(y=n % 4, x=n // 4 % 4, mask=15)
        for _ in range(3000):
            await bench.ctx.tick()
        assert not bench.i_flits and not bench.ctx.get(bench.dut.idle)

    class Stuck(Bench):
        async def _collect(self, ctx) -> None:
            ctx.set(self.dut.o.ready, 0)

    Stuck(CONFIG).run(body)


def test_nothing_is_taken_during_a_pass_and_idle_is_low() -> None:
    async def body(bench: Bench) -> None:
        await start(bench, core_word(), edge_word(), weights=72)
        dut, ctx = bench.dut, bench.ctx
        await bench.command(Command.STEP, first=True, valid=1)
        await bench.settle()
        await bench.command(Command.STEP, plane=6, valid=1)
        idle = []
        for n in range(8):
            bench.spike(y=2, x=2, mask=1 << n % LANES)
        while not ctx.get(dut.i.ready):
            idle.append(ctx.get(dut.idle))
            assert len(bench.i_flits) == 8
            await ctx.tick()
        assert not any(idle[:-1])  # `ready` is a register, a cycle late
        assert 64 <= len(idle) <= 64 + 14  # 32 words in two parts
        await bench.settle()
        assert await count(bench, Counter.SPIKES_IN) == 8

    Bench(CONFIG).run(body)


def test_clear_zeroes_everything_but_the_program() -> None:
    async def body(bench: Bench) -> None:
        await start(bench, core_word(), edge_word(), weights=72)
        for address in range(32):
            bench.write(Memory.ACT, address, [200 + address] * LANES)
        await bench.settle()
        await bench.command(Command.STEP, first=True, plane=7, valid=0b11)  # advances the slot
        for address in range(32):
            bench.write(Memory.ACT, address, [100 + address] * LANES)
        bench.spike(y=1, x=1, mask=15)
        await bench.settle()
        await bench.command(Command.STEP, plane=6, valid=0b11)
        bench.spike(y=1, x=1, mask=15)
        await bench.settle()
        assert any(await bench.read(Memory.MEMBRANE, 0)) and any(await bench.read(Memory.ISUM, 0))
        await bench.command(Command.CLEAR)
        await bench.settle()
        for counter in Counter:
            assert await count(bench, counter) == 0
        for address in (0, 1, 15, 31):
            for memory in (Memory.ACT, Memory.ISUM, Memory.MEMBRANE):
                assert await bench.read(memory, address) == [0] * LANES
        await bench.command(Command.STEP, first=True, plane=7, valid=0b11)  # ... and the other slot is empty, too
        await bench.settle()
        for address in (0, 1, 15, 31):
            assert await bench.read(Memory.ACT, address) == [0] * LANES
        assert await bench.read(Memory.WEIGHT, 3) == [3 + lane - 50 for lane in range(LANES)]

    Bench(CONFIG).run(body)


def test_stalls_hops_and_drops_are_counted() -> None:
    async def body(bench: Bench) -> None:
        await start(bench, core_word(stage=0), edge_word())
        for address in range(32):
            bench.write(Memory.ACT, address, [1] * LANES)
        await bench.settle()
        dut, ctx = bench.dut, bench.ctx
        await bench.command(Command.STEP, first=True, plane=0, valid=1)
        stalled = 0
        for _ in range(400):
            *_, valid, ready = await ctx.tick().sample(dut.o.valid, dut.o.ready)
            stalled += valid and not ready
        assert stalled > 10
        for _ in range(5):
            ctx.set(dut.hop, 3)
            ctx.set(dut.dropped, 1)
            await ctx.tick()
        ctx.set(dut.hop, 0)
        ctx.set(dut.dropped, 0)
        assert await count(bench, Counter.STALLED) == stalled
        assert await count(bench, Counter.HOPS) == 15
        assert await count(bench, Counter.DROPPED) == 5

    Bench(CONFIG, 8, o_stall=0.6).run(body)
