"""The router alone: exhaustive decisions, forks, arbitration and speed."""

import random

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hdl.config import ChipConfig
from hdl.flit import FlitKind, Rect
from hdl.router import TURNS, Port, Router, route, within_mesh
from sim.benches.xy_model import destinations, expected_turns

ROWS, COLS = 2, 3


def config_of(rows, cols, **changes):
    return ChipConfig(rows=rows, cols=cols, lanes=4, map_side=8, map_groups=4, **changes)


def flit(config, dst, data_value=0, addr=0):
    x0, x1, y0, y1 = dst
    return {
        "kind": FlitKind.WRITE,
        "dst": {"x0": x0, "x1": x1, "y0": y0, "y1": y1},
        "payload": {"memory": {"data": data_value, "addr": addr}},
    }


class Decision(wiring.Component):
    """The routing function alone, for all input ports at once: bit ``port * 5 + out``."""

    def __init__(self, config):
        self.config = config
        super().__init__({"dst": In(Rect(config)), "x": In(2), "y": In(1), "o": Out(25), "sound": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.sound.eq(within_mesh(self.config, self.dst))
        for port in Port:
            for out, wanted in route(port, self.dst, self.x, self.y).items():
                m.d.comb += self.o[port * 5 + out].eq(wanted)
        return m


def test_decisions_exhaustive():
    """Every tile, input port and rectangle that can occur in a 2 x 3 mesh; and every malformed rectangle."""
    config = config_of(ROWS, COLS)
    dut, turns = Decision(config), expected_turns(ROWS, COLS)
    checked = set()

    async def bench(ctx):
        for index in range(64):
            dst = (index & 3, index >> 2 & 3, index >> 4 & 1, index >> 5)
            ctx.set(dut.dst, flit(config, dst)["dst"])
            for y in range(ROWS):
                for x in range(COLS):
                    ctx.set(dut.x, x)
                    ctx.set(dut.y, y)
                    await ctx.delay(1e-6)
                    assert ctx.get(dut.sound) == bool(destinations(dst, ROWS, COLS)), dst
                    bits = ctx.get(dut.o)
                    for port in Port:
                        key = ((y, x), port.name.lower(), dst)
                        if key in turns:
                            outs = {out.name.lower() for out in Port if bits >> (port * 5 + out) & 1}
                            assert outs == turns[key], key
                            checked.add(key)

    sim = Simulator(dut)
    sim.add_testbench(bench)
    sim.run()
    assert checked == set(turns)


def single_router_outputs(config, tile, port, dst, router=Router):
    """Sends one flit through a lone router; (outputs it left by, cycles with `dropped`, flit came out unchanged)."""
    dut = router(config)
    sent = flit(config, dst, data_value=0xA5C3, addr=3)
    seen, drops = [], []

    async def bench(ctx):
        ctx.set(dut.y, tile[0])
        ctx.set(dut.x, tile[1])
        for out in Port:
            ctx.set(dut.link_out(out).ready, 1)
        assert ctx.get(dut.idle) == 1
        link = dut.link_in(port)
        ctx.set(link.payload, sent)
        ctx.set(link.valid, 1)
        assert ctx.get(link.ready) == 1
        for cycle in range(6):
            await ctx.tick()
            ctx.set(link.valid, 0)
            drops.append(ctx.get(dut.dropped))
            valid = [out for out in Port if ctx.get(dut.link_out(out).valid)]
            assert ctx.get(dut.hop) == sum(out is not Port.LOCAL for out in valid)
            for out in valid:
                assert cycle == 1, "one cycle in the queue, then the output register"
                got = ctx.get(dut.link_out(out).payload)
                assert (got.payload.memory.data, got.payload.memory.addr, got.kind) == (0xA5C3, 3, FlitKind.WRITE)
                assert (got.dst.x0, got.dst.x1, got.dst.y0, got.dst.y1) == dst
                seen.append(out.name.lower())
            assert ctx.get(dut.idle) == (cycle > 1 or (cycle == 1 and not valid))
        assert ctx.get(dut.idle) == 1

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert len(seen) == len(set(seen))
    return set(seen), sum(drops)


def test_router_follows_the_decision():
    """A sample of tiles and rectangles over every input port, the malformed ones included."""
    config, turns = config_of(ROWS, COLS), expected_turns(ROWS, COLS)
    keys = sorted(turns)
    for key in random.Random(1).sample(keys, 60):
        tile, port, dst = key
        assert single_router_outputs(config, tile, Port[port.upper()], dst) == (turns[key], 0), key
    for dst in ((2, 1, 0, 0), (0, 3, 0, 1), (0, 0, 1, 0), (3, 3, 0, 0)):
        assert single_router_outputs(config, (0, 1), Port.LOCAL, dst) == (set(), 1), dst


def test_only_xy_turns():
    for source, outs in TURNS.items():
        assert source is Port.LOCAL or source not in outs
        if source in (Port.NORTH, Port.SOUTH):
            assert not {Port.EAST, Port.WEST} & set(outs)


def test_five_streams_cross_at_full_speed():
    """Uncontended turns at one router: every port passes one flit per cycle at once."""
    config = config_of(3, 3)
    dut = Router(config)
    goals = {  # input: (rectangle, output); the tile is (1, 1)
        Port.LOCAL: ((1, 1, 1, 1), Port.LOCAL), Port.WEST: ((2, 2, 1, 1), Port.EAST),
        Port.EAST: ((0, 0, 1, 1), Port.WEST), Port.SOUTH: ((1, 1, 2, 2), Port.NORTH),
        Port.NORTH: ((1, 1, 0, 0), Port.SOUTH),
    }  # fmt: skip
    passed = dict.fromkeys(Port, 0)

    async def bench(ctx):
        ctx.set(dut.x, 1)
        ctx.set(dut.y, 1)
        for port, (dst, out) in goals.items():
            ctx.set(dut.link_in(port).payload, flit(config, dst))
            ctx.set(dut.link_in(port).valid, 1)
            ctx.set(dut.link_out(out).ready, 1)
        for _ in range(2):
            await ctx.tick()
        for _ in range(30):
            flags = await ctx.tick().sample(dut.hop, *(dut.link_out(out).valid for out in Port))
            assert flags[2] == 4
            for out, valid in zip(Port, flags[3:], strict=True):
                passed[out] += valid

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert set(passed.values()) == {30}


def test_contended_output_is_shared_fairly():
    """All five inputs want LOCAL: each gets every fifth flit, whatever the core's stalls."""
    config, order = config_of(3, 3), []
    dut = Router(config)

    async def bench(ctx):
        rng = random.Random(7)
        ctx.set(dut.x, 1)
        ctx.set(dut.y, 1)
        for port in Port:
            ctx.set(dut.link_in(port).payload, flit(config, (1, 1, 1, 1), data_value=int(port)))
            ctx.set(dut.link_in(port).valid, 1)
        while len(order) < 100:
            ctx.set(dut.o_local.ready, rng.random() < 0.5)
            _, _, valid, ready, got = await ctx.tick().sample(dut.o_local.valid, dut.o_local.ready, dut.o_local.payload)
            if valid and ready:
                order.append(got.payload.memory.data)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    steady = order[10:]
    assert all(set(steady[i : i + 5]) == set(range(5)) for i in range(0, 85, 5))


def test_fork_copies_do_not_wait_for_each_other():
    """A blocked copy leaves the other copy of the same fork free, and only the blocked one is left."""
    config = config_of(3, 3)
    dut = Router(config)

    async def bench(ctx):
        ctx.set(dut.x, 1)
        ctx.set(dut.y, 1)
        ctx.set(dut.i_west.payload, flit(config, (1, 2, 1, 2)))
        ctx.set(dut.o_north.ready, 1)
        ctx.set(dut.o_local.ready, 1)  # east blocked
        counts = dict.fromkeys(Port, 0)
        for cycle in range(12):
            ctx.set(dut.i_west.valid, cycle < 2)
            flags = await ctx.tick().sample(*(dut.link_out(out).valid & dut.link_out(out).ready for out in Port))
            for out, passed in zip(Port, flags[2:], strict=True):
                counts[out] += passed
        assert counts == {Port.LOCAL: 2, Port.NORTH: 2, Port.EAST: 0, Port.SOUTH: 0, Port.WEST: 0}
        assert ctx.get(dut.idle) == 0
        ctx.set(dut.o_east.ready, 1)
        hops = 0
        for _ in range(6):
            _, _, hop = await ctx.tick().sample(dut.hop)
            hops += hop
        assert hops == 2
        assert ctx.get(dut.idle) == 1

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
