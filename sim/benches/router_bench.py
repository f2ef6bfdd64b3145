"""cocotb bench of one router: random multicast traffic on all ports with random stalls, against whole-path routing.

Environment: ``SDANN_CONFIG`` (a ``ChipConfig`` as JSON) and ``SDANN_TILE`` ("y,x", where the router sits).

Signals change just after the falling edge and are sampled in the read-only phase of the same time step: nothing
changes from there to the rising edge, so no simulator's order of evaluation at an edge matters.
"""

import json
import os
import random
from collections.abc import Mapping, Sequence
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from hdl.config import ChipConfig
from hdl.flit import Flit, FlitKind
from sim.benches.xy_model import LOCAL, Rectangle, Tile, expected_turns

PORTS = (LOCAL, "north", "east", "south", "west")
TIMEOUT_US = 100
LATENCY = 2  # cycles from an offered flit to the output: queue, output register


class Driver:
    """Offers flits on one input; ``sent`` holds those that were accepted."""

    def __init__(self, dut: Any, port: str) -> None:
        self._clk = dut.clk
        self._valid, self._ready, self._payload = (
            getattr(dut, f"i_{port}__{w}") for w in ("valid", "ready", "payload")
        )
        self.sent: list[int] = []

    async def run(self, flits: Sequence[int], stall: float, rng: random.Random) -> None:
        """Sends ``flits``, waiting with probability ``stall`` in each cycle in which none is offered."""
        for flit in flits:
            while rng.random() < stall:
                await FallingEdge(self._clk)
            self._valid.value, self._payload.value = 1, flit
            accepted = False
            while not accepted:
                await ReadOnly()
                accepted = bool(int(self._ready.value))
                await FallingEdge(self._clk)
            self.sent.append(flit)
            self._valid.value = 0


class Monitor:
    """Takes flits from one output and watches that an offered flit neither changes nor vanishes."""

    def __init__(self, dut: Any, port: str) -> None:
        self._clk = dut.clk
        self._valid, self._ready, self._payload = (
            getattr(dut, f"o_{port}__{w}") for w in ("valid", "ready", "payload")
        )
        self.port = port
        self.received: list[int] = []

    async def run(self, stall: float, rng: random.Random) -> None:
        """Refuses with probability ``stall`` in each cycle."""
        held: int | None = None
        while True:
            taking = rng.random() >= stall
            self._ready.value = int(taking)
            await ReadOnly()
            # int() raises on an unknown bit, so an X in a simulator that has it fails the test.
            offered = int(self._payload.value) if int(self._valid.value) else None
            assert held is None or offered == held, f"o_{self.port}: the offered flit changed before it was taken"
            held = None if taking else offered
            if taking and offered is not None:
                self.received.append(offered)
            await FallingEdge(self._clk)


class Bench:
    """The router with a driver or monitor on every link, and the counts of its status outputs."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.config = ChipConfig.from_dict(json.loads(os.environ["SDANN_CONFIG"]))
        y, x = (int(part) for part in os.environ["SDANN_TILE"].split(","))
        self.tile: Tile = (y, x)
        self.layout = Flit(self.config)
        self.turns = {
            (port, dst): outputs
            for (tile, port, dst), outputs in expected_turns(self.config.rows, self.config.cols).items()
            if tile == self.tile
        }
        self.inputs = sorted({port for port, _ in self.turns})
        self.drivers = {port: Driver(dut, port) for port in PORTS}
        self.monitors = {port: Monitor(dut, port) for port in PORTS}
        self.hops = 0
        self.drops = 0

    def flit(self, dst: Rectangle, port: str, number: int) -> int:
        """Flit ``number`` of the traffic that enters at ``port``, as bits."""
        x0, x1, y0, y1 = dst
        memory = {"addr": PORTS.index(port), "data": number}
        rectangle = {"x0": x0, "x1": x1, "y0": y0, "y1": y1}
        return int(
            self.layout.const({"kind": FlitKind.WRITE, "dst": rectangle, "payload": {"memory": memory}}).as_bits()
        )

    async def start(self) -> None:
        """Clock, reset, and quiet inputs; ends just after a falling edge."""
        Clock(self.dut.clk, 2, unit="ns").start(start_high=False)
        self.dut.y.value, self.dut.x.value = self.tile
        for port in PORTS:
            getattr(self.dut, f"i_{port}__valid").value = 0
            getattr(self.dut, f"i_{port}__payload").value = 0
            getattr(self.dut, f"o_{port}__ready").value = 0
        self.dut.rst.value = 1
        for _ in range(2):
            await RisingEdge(self.dut.clk)
        await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0
        cocotb.start_soon(self._count())

    async def _count(self) -> None:
        while True:
            await ReadOnly()
            self.hops += int(self.dut.hop.value)
            self.drops += int(self.dut.dropped.value)
            await FallingEdge(self.dut.clk)

    async def drain(self) -> None:
        """Waits until the router has been idle for some cycles."""
        quiet = 0
        while quiet < 4:
            await ReadOnly()
            quiet = quiet + 1 if int(self.dut.idle.value) else 0
            await FallingEdge(self.dut.clk)

    def check(self, traffic: Mapping[str, Sequence[tuple[int, Rectangle]]]) -> None:
        """Every copy left once, unchanged, where it should, in the order of its input; the counts are exact."""
        expected: dict[tuple[str, str], list[int]] = {(source, out): [] for source in PORTS for out in PORTS}
        drops = 0
        for source, flits in traffic.items():
            assert self.drivers[source].sent == [bits for bits, _ in flits], f"i_{source}: not all flits were accepted"
            for bits, dst in flits:
                outputs = self.turns.get((source, dst), set())
                drops += not outputs
                for out in outputs:
                    expected[source, out].append(bits)
        for out, monitor in self.monitors.items():
            for source in PORTS:
                entered = [f for f in monitor.received if PORTS[self._source_of(f)] == source]
                assert entered == expected[source, out], f"{source} to {out}: {len(entered)} flits"
        hops = sum(len(flits) for (_, out), flits in expected.items() if out != LOCAL)
        assert (self.hops, self.drops) == (hops, drops), "hop and dropped counts"

    def _source_of(self, bits: int) -> int:
        return int(self.layout.from_bits(bits).payload.memory.addr)


@cocotb.test(timeout_time=TIMEOUT_US, timeout_unit="us")
@cocotb.parametrize(stalls=[(0.0, 0.0), (0.5, 0.5), (0.0, 0.8), (0.8, 0.0)])
async def random_traffic(dut: Any, stalls: tuple[float, float]) -> None:
    """All inputs at once; from the core also rectangles that are empty or outside the mesh."""
    bench, send_stall, take_stall = Bench(dut), *stalls
    rng = random.Random(random.getrandbits(64))
    malformed = [(1, 0, 0, 0), (0, 0, 1, 0), (0, 3, 0, 0), (0, 0, 0, 3), (3, 3, 3, 3)]
    traffic: dict[str, list[tuple[int, Rectangle]]] = {}
    for port in bench.inputs:
        choices = [dst for source, dst in bench.turns if source == port]
        rectangles = [rng.choice(choices) for _ in range(150)]
        if port == LOCAL:
            rectangles[::10] = [rng.choice(malformed) for _ in rectangles[::10]]
        traffic[port] = [(bench.flit(dst, port, number), dst) for number, dst in enumerate(rectangles)]
    await bench.start()
    for monitor in bench.monitors.values():
        cocotb.start_soon(monitor.run(take_stall, random.Random(rng.random())))
    senders = [
        cocotb.start_soon(bench.drivers[port].run([b for b, _ in flits], send_stall, random.Random(rng.random())))
        for port, flits in traffic.items()
    ]
    for sender in senders:
        await sender
    await bench.drain()
    bench.check(traffic)


@cocotb.test(timeout_time=TIMEOUT_US, timeout_unit="us")
async def latency(dut: Any) -> None:
    """A lone flit needs two cycles, and the router is idle in no cycle in which it holds it."""
    bench = Bench(dut)
    await bench.start()
    y, x = bench.tile
    dut.i_local__payload.value = bench.flit((x, x, y, y), LOCAL, 7)
    seen = []
    for cycle in range(5):
        dut.i_local__valid.value = int(cycle == 0)
        dut.o_local__ready.value = 1
        await ReadOnly()
        seen.append((int(dut.o_local__valid.value), int(dut.idle.value)))
        await FallingEdge(dut.clk)
    assert seen == [(int(cycle == LATENCY), int(cycle not in (1, LATENCY))) for cycle in range(5)]
