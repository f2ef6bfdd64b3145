"""A core alone in Amaranth's simulator: program words and spikes as flits, stalls on both streams."""

import random
from dataclasses import dataclass, field

from amaranth.sim import Simulator

from hdl.config import ChipConfig
from hdl.core import Core
from hdl.flit import Flit, FlitKind
from hdl.host import Command
from hdl.program import Memory, chunks_of, memory_layouts

TIME_OUT = 4000


@dataclass
class Bench:
    """Runs coroutines ``body(bench)`` against one core at tile (1, 2).

    ``o_flits`` collects what the core sends, ``cycle`` counts clock cycles, ``i_stall`` and ``o_stall`` are the
    probabilities that a stream pauses in a cycle.
    """

    config: ChipConfig
    seed: int = 0
    i_stall: float = 0.0
    o_stall: float = 0.0
    i_flits: list = field(default_factory=list)
    o_flits: list = field(default_factory=list)
    cycle: int = 0

    def run(self, body) -> None:
        self.dut = Core(self.config)
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)

        async def main(ctx):
            self.ctx = ctx
            ctx.set(self.dut.y, 1)
            ctx.set(self.dut.x, 2)
            await body(self)

        simulator.add_testbench(main)
        simulator.add_testbench(self._count, background=True)
        simulator.add_testbench(self._feed, background=True)
        simulator.add_testbench(self._collect, background=True)
        simulator.run()

    async def _count(self, ctx) -> None:
        while True:
            await ctx.tick()
            self.cycle += 1

    async def _feed(self, ctx) -> None:
        rng = random.Random(self.seed + 1)
        i = self.dut.i
        while True:
            while not self.i_flits or rng.random() < self.i_stall:
                await ctx.tick()
            ctx.set(i.payload, Flit(self.config).from_bits(self.i_flits[0]))
            ctx.set(i.valid, 1)
            ready = 0
            while not ready:
                *_, ready = await ctx.tick().sample(i.ready)
            ctx.set(i.valid, 0)
            self.i_flits.pop(0)

    async def _collect(self, ctx) -> None:
        rng = random.Random(self.seed + 2)
        o = self.dut.o
        while True:
            ready = rng.random() >= self.o_stall
            ctx.set(o.ready, ready)
            *_, valid, payload = await ctx.tick().sample(o.valid, o.payload.as_value())
            if valid and ready:
                self.o_flits.append(Flit(self.config).from_bits(payload))

    # -- what bodies call -------------------------------------------------------------------------

    async def settle(self, limit: int = TIME_OUT) -> None:
        """Waits until all flits are taken and the core is idle."""
        for _ in range(limit):
            *_, idle = await self.ctx.tick().sample(self.dut.idle)
            if idle and not self.i_flits:
                return
        raise TimeoutError(f"seed {self.seed}: the core is still busy after {limit} cycles")

    async def command(self, op: Command, *, first: bool = False, plane: int = 0, valid: int = 0) -> None:
        """One command pulse; returns in the cycle after it."""
        self.ctx.set(self.dut.command, {"op": op, "first": int(first), "plane": plane, "valid": valid})
        await self.ctx.tick()
        self.ctx.set(self.dut.command.op, Command.NONE)

    def send(self, kind: FlitKind, payload: dict) -> None:
        """Queues one flit; ``payload`` is {name: fields}."""
        self.i_flits.append(Flit(self.config).const({"kind": kind, "payload": payload}).as_bits())

    def spike(self, **fields: int) -> None:
        self.send(FlitKind.SPIKE, {"spike": fields})

    def write_bits(self, mem: Memory, addr: int, bits: int) -> None:
        """Queues the chunks of one word."""
        width, count = self.config.data_bits, chunks_of(self.config, mem)
        for chunk in range(count):
            piece = bits >> (chunk * width) & ((1 << width) - 1)
            last = int(chunk == count - 1)
            fields = {"mem": mem, "addr": addr, "chunk": chunk, "last": last, "data": piece}
            self.send(FlitKind.WRITE, {"memory": fields})

    def write(self, mem: Memory, addr: int, fields) -> None:
        self.write_bits(mem, addr, memory_layouts(self.config)[mem].const(fields).as_bits())

    async def read_bits(self, mem: int, addr: int, count: int | None = None) -> int:
        """Reads one word; checks every field of the answer."""
        count = chunks_of(self.config, Memory(mem)) if count is None else count
        start = len(self.o_flits)
        flit = Flit(self.config).const({"kind": FlitKind.READ})
        offset = Flit(self.config)["payload"].offset
        memory = Flit(self.config)["payload"].shape["memory"].shape
        bits = flit.as_bits() | (mem | addr << memory["addr"].offset) << offset
        self.i_flits.append(bits)
        await self.settle()
        answers = self.o_flits[start:]
        assert len(answers) == count, f"{len(answers)} flits instead of {count}"
        word = 0
        for chunk, answer in enumerate(answers):
            assert answer.kind == FlitKind.READOUT and answer.dst.as_bits() == 0
            part = answer.payload.readout
            mem_number = part.as_bits() >> part.shape()["mem"].offset & 15
            assert (part.src_y, part.src_x, mem_number, part.addr, part.chunk) == (1, 2, mem, addr, chunk)
            word |= part.data << (chunk * self.config.data_bits)
        return word

    async def read(self, mem: Memory, addr: int) -> list[int]:
        """Elements of an array word."""
        layout = memory_layouts(self.config)[mem]
        word = layout.from_bits(await self.read_bits(mem.value, addr) & ((1 << layout.size) - 1))
        return [word[lane] for lane in range(self.config.lanes)]
