"""Routers wired as a mesh: random multicast traffic with random stalls, speed, and seeded faults."""

import random
from collections import defaultdict

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from hdl.config import ChipConfig
from hdl.flit import FlitKind
from hdl.router import Port, Router, route
from sim.benches.xy_model import destinations, rectangles


def config_of(rows, cols, **changes):
    return ChipConfig(rows=rows, cols=cols, lanes=4, map_side=8, map_groups=4, **changes)


def flit(config, dst, data_value=0, addr=0):
    x0, x1, y0, y1 = dst
    return {
        "kind": FlitKind.WRITE,
        "dst": {"x0": x0, "x1": x1, "y0": y0, "y1": y1},
        "payload": {"memory": {"data": data_value, "addr": addr}},
    }


class Mesh(wiring.Component):
    """Routers wired as a mesh, their local ports outside."""

    def __init__(self, config, router=Router):
        self.config = config
        self.routers = {tile: router(config) for tile in config.tiles}
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        for (y, x), router in self.routers.items():
            m.submodules[f"tile_{y}_{x}"] = router
            m.d.comb += [router.y.eq(y), router.x.eq(x)]
            if other := self.routers.get((y + 1, x)):
                wiring.connect(m, router.o_north, other.i_south)
                wiring.connect(m, router.i_north, other.o_south)
            if other := self.routers.get((y, x + 1)):
                wiring.connect(m, router.o_east, other.i_west)
                wiring.connect(m, router.i_east, other.o_west)
        return m


def run_mesh(config, traffic, *, send=0.7, accept=0.5, seed=0, router=Router, limit=6000):
    """Sends ``traffic[tile] = [dst, ...]``, flits numbered per sender.

    Returns the flits that reached each tile, as (sender, number), in order; and all routers' hop and drop counts.
    """
    mesh = Mesh(config, router)
    received, hops, drops, pending = defaultdict(list), [0], [0], {tile for tile in traffic if traffic[tile]}
    sim = Simulator(mesh)
    sim.add_clock(1e-6)
    tiles = config.tiles

    def sender(tile):
        async def process(ctx):
            rng, link = random.Random(f"send {seed} {tile}"), mesh.routers[tile].i_local
            for number, dst in enumerate(traffic[tile]):
                while rng.random() >= send:
                    await ctx.tick()
                ctx.set(link.payload, flit(config, dst, data_value=number, addr=tiles.index(tile)))
                ctx.set(link.valid, 1)
                await ctx.tick().until(link.ready)
                ctx.set(link.valid, 0)
            pending.discard(tile)

        return process

    def receiver(tile):
        async def process(ctx):
            rng, link = random.Random(f"accept {seed} {tile}"), mesh.routers[tile].o_local
            while True:
                ctx.set(link.ready, rng.random() < accept)
                _, _, valid, ready, payload = await ctx.tick().sample(link.valid, link.ready, link.payload)
                if valid and ready:
                    got = payload.payload.memory
                    received[tile].append((tiles[got.addr], got.data))

        return process

    async def monitor(ctx):
        quiet = 0
        routers = list(mesh.routers.values())
        for _ in range(limit):
            _, _, *flags = await ctx.tick().sample(*(s for r in routers for s in (r.hop, r.dropped, r.idle)))
            hops[0] += sum(flags[0::3])
            drops[0] += sum(flags[1::3])
            quiet = quiet + 1 if not pending and all(flags[2::3]) else 0
            if quiet == 5:
                return
        raise AssertionError(f"not quiet after {limit} cycles; senders left: {sorted(pending)}")

    for tile in traffic:
        sim.add_testbench(sender(tile), background=True)
    for tile in tiles:
        sim.add_testbench(receiver(tile), background=True)
    sim.add_testbench(monitor)
    sim.run()
    return received, hops[0], drops[0]


def random_traffic(config, rng, flits):
    valid = list(rectangles(config.rows, config.cols))
    traffic = {tile: [rng.choice(valid) for _ in range(flits)] for tile in config.tiles}
    for dsts in traffic.values():
        for _ in range(flits // 6):
            x0, x1, y0, y1 = rng.choice(valid)
            dsts.insert(rng.randrange(len(dsts)), rng.choice([(x1 + 1, x0, y0, y1), (x0, x1, y1, 3), (3, 3, y0, y1)]))
    return traffic


def tree_edges(source, targets):
    """Links of the multicast tree: as many hops as the flit must take."""
    edges = set()
    for ty, tx in targets:
        y, x = source
        while x != tx:
            step = 1 if tx > x else -1
            edges.add((y, x, y, x + step))
            x += step
        while y != ty:
            step = 1 if ty > y else -1
            edges.add((y, x, y + step, x))
            y += step
    return edges


def check_mesh(config, traffic, result):
    """Everything arrives exactly once where it should, in the sender's order; hops and drops are exact."""
    received, hops, drops = result
    expected, expected_hops, expected_drops = defaultdict(list), 0, 0
    for source, dsts in traffic.items():
        for number, dst in enumerate(dsts):
            targets = destinations(dst, config.rows, config.cols)
            expected_drops += not targets
            expected_hops += len(tree_edges(source, targets))
            for target in targets:
                expected[target, source].append(number)
    for target in config.tiles:
        for source in config.tiles:
            numbers = [number for sender, number in received[target] if sender == source]
            assert numbers == expected[target, source], f"{source} to {target}"
    assert (hops, drops) == (expected_hops, expected_drops)


@pytest.mark.parametrize(("seed", "depth", "send", "accept"), [(1, 4, 0.7, 0.5), (2, 2, 1.0, 0.2), (3, 2, 0.3, 1.0)])
def test_mesh_random_multicast(seed, depth, send, accept):
    config = config_of(3, 3, queue_depth=depth)
    traffic = random_traffic(config, random.Random(seed), 18)
    check_mesh(config, traffic, run_mesh(config, traffic, send=send, accept=accept, seed=seed))


@pytest.mark.parametrize(("rows", "cols"), [(1, 3), (3, 1)])
def test_line_meshes(rows, cols):
    config = config_of(rows, cols)
    rng = random.Random(rows)
    valid = list(rectangles(rows, cols))
    traffic = {tile: [rng.choice(valid) for _ in range(20)] for tile in config.tiles}
    check_mesh(config, traffic, run_mesh(config, traffic))


def broken(port, mistake):
    """A router whose decision at ``port`` is changed by ``mistake(wanted, dst, x, y)``."""

    def decide(source, dst, x, y):
        wanted = route(source, dst, x, y)
        return wanted | mistake(wanted, dst, x, y) if source is port else wanted

    return type("BrokenRouter", (Router,), {"decide": staticmethod(decide)})


MISTAKES = {
    "column fork one late": broken(Port.WEST, lambda w, dst, x, y: {Port.NORTH: (dst.y1 > y) & (dst.x0 < x)}),
    "passes one tile too far": broken(Port.SOUTH, lambda w, dst, x, y: {Port.NORTH: (dst.y1 >= y) & (y != 2)}),
    "never forwards south": broken(Port.NORTH, lambda w, dst, x, y: {Port.SOUTH: 0 & y}),
    "delivers outside": broken(Port.EAST, lambda w, dst, x, y: {Port.LOCAL: (dst.y0 <= y) & (y <= dst.y1)}),
    "sender forgets itself": broken(Port.LOCAL, lambda w, dst, x, y: {Port.LOCAL: w[Port.LOCAL] & (dst.x0 != x)}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_broken_router_is_caught(mistake):
    config = config_of(3, 3)
    traffic = random_traffic(config, random.Random(4), 18)
    result = run_mesh(config, traffic, router=MISTAKES[mistake])
    with pytest.raises(AssertionError, match="to|!="):
        check_mesh(config, traffic, result)


@pytest.mark.parametrize("fault", ["lost", "duplicated", "reordered", "hop", "drop"])
def test_check_notices(fault):
    config = config_of(3, 3)
    traffic = random_traffic(config, random.Random(5), 6)
    received, hops, drops = run_mesh(config, traffic)
    arrivals = received[1, 1]
    if fault == "lost":
        del arrivals[2]
    elif fault == "duplicated":
        arrivals.append(arrivals[0])
    elif fault == "reordered":
        sender = next(s for s, _ in arrivals if sum(t == s for t, _ in arrivals) > 1)
        first, second = [i for i, (s, _) in enumerate(arrivals) if s == sender][:2]
        arrivals[first], arrivals[second] = arrivals[second], arrivals[first]
    with pytest.raises(AssertionError):
        check_mesh(config, traffic, (received, hops + (fault == "hop"), drops + (fault == "drop")))


def timed_line(config, count):
    """Arrival cycles at the far end of a row of routers, counted from the cycle in which the first flit is offered."""
    mesh, arrivals = Mesh(config), []
    sim = Simulator(mesh)
    sim.add_clock(1e-6)
    far = (0, config.cols - 1)

    async def process(ctx):
        source, sink = mesh.routers[0, 0].i_local, mesh.routers[far].o_local
        ctx.set(source.valid, 1)
        ctx.set(source.payload, flit(config, (far[1], far[1], 0, 0)))
        ctx.set(sink.ready, 1)
        sent = 0
        for cycle in range(4 * count + 40):
            _, _, ready, valid = await ctx.tick().sample(source.ready, sink.valid)
            sent += ready and sent < count
            ctx.set(source.valid, sent < count)
            if valid:
                arrivals.append(cycle)

    sim.add_testbench(process)
    sim.run()
    return arrivals


@pytest.mark.parametrize("depth", [2, 4])
def test_two_cycles_per_hop_and_one_flit_per_cycle(depth):
    """A flit passes k + 1 routers on k hops: 2 (k + 1) cycles; a stream of flits then arrives without a gap."""
    for cols in (2, 3, 5):
        arrivals = timed_line(config_of(1, cols, queue_depth=depth), 20)
        assert arrivals == list(range(2 * cols, 2 * cols + 20))
