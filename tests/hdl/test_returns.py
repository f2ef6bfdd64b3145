"""The way back to the host: what is due, what is not, and what is forgotten."""

from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.flit import Flit, FlitKind
from hdl.host import HostOut, HostTag
from hdl.pack import pack, unpack
from hdl.returns import ReturnPath

CONFIG = PRESETS["test"]


def run(body) -> None:
    dut = ReturnPath(CONFIG)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx):
        await body(ctx, dut)

    simulator.add_testbench(testbench)
    simulator.run()


async def arrive(ctx, dut, addr: int, kind: FlitKind = FlitKind.READOUT) -> int:
    """One flit from the network; returns ``lost``."""
    flit = pack(Flit(CONFIG), {"kind": kind, "payload.readout.addr": addr})
    ctx.set(dut.flit_i.payload, Flit(CONFIG).from_bits(flit))
    ctx.set(dut.flit_i.valid, 1)
    lost = ctx.get(dut.lost)
    await ctx.tick()
    ctx.set(dut.flit_i.valid, 0)
    return lost


async def expect(ctx, dut, count: int) -> None:
    ctx.set(dut.expect, count)
    ctx.set(dut.expecting, 1)
    await ctx.tick()
    ctx.set(dut.expecting, 0)


async def drain(ctx, dut) -> list[tuple[int, int]]:
    """(address, last) of what the host gets within 30 cycles."""
    found = []
    ctx.set(dut.o.ready, 1)
    for _ in range(30):
        if ctx.get(dut.o.valid):
            word = unpack(HostOut(CONFIG), ctx.get(dut.o.payload))
            assert word["tag"] == HostTag.READOUT.value
            found.append((word["payload.readout.addr"], ctx.get(dut.o_last)))
        await ctx.tick()
    ctx.set(dut.o.ready, 0)
    return found


def test_what_is_due_comes_with_an_end():
    async def body(ctx, dut):
        for count in (3, 1, 2):
            await expect(ctx, dut, count)
            for addr in range(count):
                assert await arrive(ctx, dut, addr) == 0
        assert await drain(ctx, dut) == [(0, 0), (1, 0), (2, 1), (0, 1), (0, 0), (1, 1)]
        assert (ctx.get(dut.missing), ctx.get(dut.free)) == (0, CONFIG.readout_depth)

    run(body)


def test_what_nobody_asked_for_is_lost_but_for_the_rest_of_an_aborted_run():
    async def body(ctx, dut):
        assert await arrive(ctx, dut, 1) == 1
        await expect(ctx, dut, 1)
        assert await arrive(ctx, dut, 2, FlitKind.WRITE) == 1
        assert await arrive(ctx, dut, 3) == 0
        ctx.set(dut.draining, 1)
        assert await arrive(ctx, dut, 4) == 0
        assert await drain(ctx, dut) == [(3, 1)]

    run(body)


def test_forget_empties_the_queue_and_keeps_the_offered_word():
    async def body(ctx, dut):
        await expect(ctx, dut, 5)
        for addr in range(4):
            await arrive(ctx, dut, addr)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.o.valid)
        ctx.set(dut.forget, 1)
        await ctx.tick()
        ctx.set(dut.forget, 0)
        assert ctx.get(dut.o.valid), "a word that is offered may not vanish"
        assert (ctx.get(dut.missing), ctx.get(dut.free)) == (0, CONFIG.readout_depth)
        assert await arrive(ctx, dut, 4) == 1
        assert await drain(ctx, dut) == [(0, 0)]

    run(body)
