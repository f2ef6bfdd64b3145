"""The program guard's count and checksum against zlib's, and the order of its refusals."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.flit import Flit, FlitKind, flit_bits
from hdl.guard import COUNTED, ProgramGuard
from hdl.host import PROGRAM_VERSION, ErrorCode, HostIn, HostOp, Register
from hdl.pack import fields, pack
from hdl.program import Memory
from sdann.mapper.image import PROGRAM_MEMORIES
from sim.program import checksum

CONFIG = PRESETS["test"]


def run(body, config=CONFIG) -> None:
    dut = ProgramGuard(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        await body(ctx, dut)

    simulator.add_testbench(testbench)
    simulator.run()


async def write(ctx, dut, register, value) -> None:
    ctx.set(dut.set.address, register)
    ctx.set(dut.set.value, value)
    ctx.set(dut.set_valid, 1)
    await ctx.tick()
    ctx.set(dut.set_valid, 0)
    await ctx.tick()


def read(ctx, dut, register) -> int:
    ctx.set(dut.get, register)
    return ctx.get(dut.value)


async def send(ctx, dut, flit: int, config=CONFIG) -> None:
    ctx.set(dut.flit, Flit(config).from_bits(flit))
    ctx.set(dut.sent, 1)
    await ctx.tick()
    ctx.set(dut.sent, 0)


def random_flit(rng: random.Random, config, kind=FlitKind.WRITE, memory=Memory.WEIGHT) -> int:
    places = fields(Flit(config))
    flit = rng.getrandbits(flit_bits(config))
    for name, value in (("kind", kind.value), ("payload.memory.mem", memory.value)):
        place = places[name]
        flit = flit & ~(((1 << place.width) - 1) << place.offset) | value << place.offset
    return flit


def host_word(flit: int, config) -> int:
    layout = HostIn(config)
    return pack(layout, {"op": HostOp.FLIT}) | flit << layout["payload"].offset


def test_what_is_counted_is_what_an_image_fills():
    assert set(COUNTED) == set(PROGRAM_MEMORIES)


@pytest.mark.parametrize("name", ["test", "demo", "darwin"])
def test_count_and_checksum_are_zlibs(name):
    config = PRESETS[name]
    rng = random.Random(5)

    async def body(ctx, dut):
        assert read(ctx, dut, Register.LOADED_CHECKSUM) == 0
        for _ in range(2):
            sent: list[int] = []
            for _ in range(40):
                kind = rng.choice([FlitKind.WRITE, FlitKind.WRITE, FlitKind.READ])
                memory = rng.choice(list(Memory))
                flit = random_flit(rng, config, kind, memory)
                await send(ctx, dut, flit, config)
                if kind is FlitKind.WRITE and memory in PROGRAM_MEMORIES:
                    sent.append(host_word(flit, config))
                assert read(ctx, dut, Register.LOADED_FLITS) == len(sent)
                assert read(ctx, dut, Register.LOADED_CHECKSUM) == checksum(config, sent)
            assert len(sent) > 4
            assert checksum(config, [sent[1], sent[0], *sent[2:]]) != checksum(config, sent), "order counts"
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)

    run(body, config)


def test_refusals_and_their_order():
    rng = random.Random(1)
    flits = [random_flit(rng, CONFIG) for _ in range(3)]

    async def body(ctx, dut):
        async def verdict():
            await ctx.tick().repeat(2)
            return ErrorCode(ctx.get(dut.refusal))

        for flit in flits:
            await send(ctx, dut, flit)
        right = checksum(CONFIG, [host_word(flit, CONFIG) for flit in flits])
        assert await verdict() is ErrorCode.VERSION
        await write(ctx, dut, Register.PROGRAM_VERSION, PROGRAM_VERSION)
        assert await verdict() is ErrorCode.PROGRAM
        await write(ctx, dut, Register.PROGRAM_FLITS, len(flits))
        assert await verdict() is ErrorCode.CHECKSUM
        await write(ctx, dut, Register.PROGRAM_CHECKSUM, right)
        assert await verdict() is ErrorCode.PROGRAM, "a core complains"
        ctx.set(dut.sound, 1)
        assert await verdict() is ErrorCode.NONE
        for register, value in (
            (Register.PROGRAM_VERSION, PROGRAM_VERSION), (Register.PROGRAM_FLITS, len(flits)),
            (Register.PROGRAM_CHECKSUM, right),
        ):  # fmt: skip
            assert read(ctx, dut, register) == value
            await write(ctx, dut, register, value ^ 1)
            assert await verdict() is not ErrorCode.NONE
            await write(ctx, dut, register, value)
            assert await verdict() is ErrorCode.NONE
        ctx.set(dut.begin, 1)
        ctx.set(dut.reset, 1)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        ctx.set(dut.reset, 0)
        for register in (Register.PROGRAM_VERSION, Register.PROGRAM_FLITS, Register.PROGRAM_CHECKSUM):
            assert read(ctx, dut, register) == 0
        assert await verdict() is ErrorCode.VERSION

    run(body)
