"""Host words through beats of every width, with random pauses and faults."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.axi_stream import WordsIn, WordsOut, beats_of
from hdl.config import PRESETS
from hdl.host import HostIn, HostOp, host_in_bits, host_out_bits
from hdl.pack import pack

CONFIG = PRESETS["test"]
TIME_OUT = 6000


def beats(word: int, data_bytes: int) -> list[int]:
    return [
        word >> 8 * data_bytes * n & (1 << 8 * data_bytes) - 1
        for n in range(beats_of(host_in_bits(CONFIG), data_bytes))
    ]


def word(op: HostOp, rng: random.Random) -> int:
    layout = HostIn(CONFIG)
    return pack(layout, {"op": op, "payload.register.value": rng.getrandbits(32)})


def take(packets: list[list[tuple[int, int, int]]], data_bytes: int, seed: int) -> list[int]:
    """Host words of packets of (tdata, tkeep, tlast)."""
    dut = WordsIn(CONFIG, data_bytes=data_bytes)
    found: list[int] = []
    rng = random.Random(seed)
    todo = [beat for packet in packets for beat in packet]

    async def source(ctx):
        for tdata, tkeep, tlast in todo:
            while rng.random() < 0.3:
                await ctx.tick()
            for name, value in {"tdata": tdata, "tkeep": tkeep, "tlast": tlast, "tvalid": 1}.items():
                ctx.set(getattr(dut.axis, name), value)
            ready = 0
            while not ready:
                *_, ready = await ctx.tick().sample(dut.axis.tready)
            ctx.set(dut.axis.tvalid, 0)
        for _ in range(40):
            await ctx.tick()

    async def sink(ctx):
        shown = None
        for _ in range(TIME_OUT):
            ctx.set(dut.o.ready, rng.random() >= 0.4)
            *_, valid, ready, payload = await ctx.tick().sample(dut.o.valid, dut.o.ready, dut.o.payload)
            assert shown is None or (valid and payload == shown), "an offered word stays"
            shown = payload if valid and not ready else None
            if valid and ready:
                found.append(payload)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source)
    simulator.add_testbench(sink, background=True)
    simulator.run()
    return found


@pytest.mark.parametrize("data_bytes", [1, 2, 4, 8, 16])
def test_words_in(data_bytes):
    rng = random.Random(data_bytes)
    whole, end = (1 << data_bytes) - 1, HostOp.SAMPLE_END.value
    packets, expected = [], []
    for _ in range(12):
        op = rng.choice([HostOp.FLIT, HostOp.SAMPLE, HostOp.SET])
        words = [word(op, rng) for _ in range(rng.randint(1, 4))]
        flat = [beat for value in words for beat in beats(value, data_bytes)]
        keeps = [whole] * len(flat)
        expected += words
        if op is HostOp.SAMPLE:
            expected.append(end)
        packets.append(
            [(beat, keep, int(n == len(flat) - 1)) for n, (beat, keep) in enumerate(zip(flat, keeps, strict=True))]
        )
    assert take(packets, data_bytes, data_bytes) == expected


@pytest.mark.parametrize("data_bytes", [1, 2, 4, 8, 16])
def test_a_byte_left_out_breaks_its_word_and_no_other(data_bytes):
    rng = random.Random(data_bytes)
    count = beats_of(host_in_bits(CONFIG), data_bytes)
    for hole in range(count * data_bytes):
        words = [word(HostOp.SAMPLE, rng) for _ in range(3)]
        flat = [beat for value in words for beat in beats(value, data_bytes)]
        keeps = [(1 << data_bytes) - 1] * len(flat)
        keeps[count + hole // data_bytes] ^= 1 << hole % data_bytes
        packet = [(beat, keep, int(n == len(flat) - 1)) for n, (beat, keep) in enumerate(zip(flat, keeps, strict=True))]
        if hole < host_in_bits(CONFIG) // 8:
            words[1] = HostOp.BROKEN.value
        assert take([packet], data_bytes, hole) == [*words, HostOp.SAMPLE_END.value]


@pytest.mark.parametrize("data_bytes", [1, 2, 4])
def test_tlast_in_a_word_breaks_it_and_the_next_one_is_whole(data_bytes):
    rng = random.Random(data_bytes)
    keep = (1 << data_bytes) - 1
    first, second = word(HostOp.SAMPLE, rng), word(HostOp.FLIT, rng)
    for cut in range(1, beats_of(host_in_bits(CONFIG), data_bytes)):
        packets = [
            [(beat, keep, int(n == cut - 1)) for n, beat in enumerate(beats(first, data_bytes)[:cut])],
            [(beat, keep, 0) for beat in beats(second, data_bytes)],
        ]
        assert take(packets, data_bytes, cut) == [HostOp.BROKEN.value, second]


@pytest.mark.parametrize("data_bytes", [1, 2, 4, 8])
def test_words_out(data_bytes):
    dut = WordsOut(CONFIG, data_bytes=data_bytes)
    rng = random.Random(3)
    words = [(rng.getrandbits(host_out_bits(CONFIG)), rng.randint(0, 1)) for _ in range(10)]
    found: list[tuple[int, int]] = []

    async def source(ctx):
        for value, last in words:
            ctx.set(dut.i.payload, value)
            ctx.set(dut.i_last, last)
            ctx.set(dut.i.valid, 1)
            ready = 0
            while not ready:
                *_, ready = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            while rng.random() < 0.3:
                await ctx.tick()

    async def sink(ctx):
        for _ in range(TIME_OUT):
            ctx.set(dut.axis.tready, rng.random() >= 0.4)
            axis = dut.axis
            *_, valid, ready, data, last = await ctx.tick().sample(axis.tvalid, axis.tready, axis.tdata, axis.tlast)
            if valid and ready:
                found.append((data, last))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(source)
    simulator.add_testbench(sink, background=True)
    simulator.run()
    count = beats_of(host_out_bits(CONFIG), data_bytes)
    assert len(found) == count * len(words)
    for n, (value, last) in enumerate(words):
        own = found[n * count : (n + 1) * count]
        assert sum(data << 8 * data_bytes * k for k, (data, _) in enumerate(own)) == value
        assert [tlast for _, tlast in own] == [0] * (count - 1) + [last]
