"""cocotb bench of one core: a program, a sample's spikes step by step, everything it computes and emits.

Environment: ``SDANN_CASE``, a JSON file as :class:`CoreCase` describes. What is expected comes with the case, from the
models; the bench only drives, reads and compares.

Signals change just after the falling edge and are sampled in the read-only phase of the same time step.
"""

import json
import os
import random
from collections import Counter as Multiset
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

from hdl.config import ChipConfig
from hdl.flit import Flit, FlitKind
from hdl.host import Command, CommandWord
from hdl.pack import pack, unpack
from hdl.program import Memory, chunks_of

TIMEOUT_MS = 20
IDLE_LIMIT = 20_000


@dataclass(frozen=True, kw_only=True)
class CoreCase:
    """One core's work on one sample. Words and flits are integers in the layouts of :mod:`hdl.program`,
    :mod:`hdl.flit`.

    ``program``: (memory number, address, word). ``spikes[t]``: bundles that arrive in step t; ``isums[t]``: words of
    I(t)
    then. ``activations``: ACT words after requantization. ``emitted[t]``: flits that leave in step t of the next
    window, in any order. ``stage``: the core's. ``sops, saturations``: its counters afterwards.
    """

    config: dict[str, Any]
    core: list[int]
    stage: int
    program: list[list[int]]
    spikes: list[list[int]]
    isums: list[list[int]]
    activations: list[int]
    emitted: list[list[int]]
    sops: int
    saturations: int

    def save(self, path: Path) -> None:
        """Writes the case."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "CoreCase":
        """Inverse of :meth:`save`."""
        return cls(**json.loads(path.read_text()))


class Bench:
    """The core with a flit stream on either side and the sequencer's commands."""

    def __init__(self, dut: Any, stall: float, seed: int) -> None:
        self.dut, self.stall, self.rng = dut, stall, random.Random(seed)
        self.case = CoreCase.load(Path(os.environ["SDANN_CASE"]))
        self.config = ChipConfig.from_dict(self.case.config)
        self.flit, self.command_word = Flit(self.config), CommandWord(self.config)
        self.received: list[int] = []

    async def reset(self) -> None:
        """Clock, reset, and all inputs at rest."""
        Clock(self.dut.clk, 10, unit="ns").start(start_high=False)
        for name in ("i__valid", "i__payload", "o__ready", "command", "hop", "dropped"):
            getattr(self.dut, name).value = 0
        self.dut.y.value, self.dut.x.value = self.case.core
        self.dut.rst.value = 1
        for _ in range(3):
            await FallingEdge(self.dut.clk)
        self.dut.rst.value = 0
        cocotb.start_soon(self._receive())

    async def _receive(self) -> None:
        held: int | None = None
        while True:
            taking = self.rng.random() >= self.stall
            self.dut.o__ready.value = int(taking)
            await ReadOnly()
            offered = int(self.dut.o__payload.value) if int(self.dut.o__valid.value) else None
            assert held is None or offered == held, "the offered flit changed before it was taken"
            held = None if taking else offered
            if taking and offered is not None:
                self.received.append(offered)
            await FallingEdge(self.dut.clk)

    async def send(self, flits: list[int]) -> None:
        """Offers flits, with random pauses between them."""
        for flit in flits:
            while self.rng.random() < self.stall:
                await FallingEdge(self.dut.clk)
            self.dut.i__valid.value, self.dut.i__payload.value = 1, flit
            accepted = False
            while not accepted:
                await ReadOnly()
                accepted = bool(int(self.dut.i__ready.value))
                await FallingEdge(self.dut.clk)
            self.dut.i__valid.value = 0

    async def command(self, op: Command, **fields: int) -> None:
        """One command pulse."""
        self.dut.command.value = pack(self.command_word, {"op": op, **fields})
        await FallingEdge(self.dut.clk)
        self.dut.command.value = 0

    async def idle(self) -> None:
        """Waits until the core rests (two cycles of idle, as its input may have just been taken)."""
        calm = 0
        for _ in range(IDLE_LIMIT):
            await ReadOnly()
            calm = calm + 1 if int(self.dut.idle.value) else 0
            await FallingEdge(self.dut.clk)
            if calm == 2:
                return
        raise AssertionError(f"the core was not idle within {IDLE_LIMIT} cycles")

    def _memory_flit(self, kind: FlitKind, memory: int, address: int, **fields: int) -> int:
        body = {"mem": memory, "addr": address, **fields}
        return pack(self.flit, {"kind": kind} | {f"payload.memory.{name}": value for name, value in body.items()})

    async def load(self) -> None:
        """Writes the program."""
        width = self.config.data_bits
        for memory, address, word in self.case.program:
            count = chunks_of(self.config, Memory(memory))
            await self.send([
                self._memory_flit(
                    FlitKind.WRITE, memory, address, chunk=chunk, last=int(chunk == count - 1),
                    data=(word >> (chunk * width)) & ((1 << width) - 1),
                )
                for chunk in range(count)
            ])  # fmt: skip

    async def read(self, memory: Memory, addresses: int) -> list[int]:
        """Words 0 .. addresses - 1 of a memory."""
        words = []
        for address in range(addresses):
            await self.idle()
            self.received.clear()
            await self.send([self._memory_flit(FlitKind.READ, memory.value, address)])
            await self.idle()
            word = 0
            assert len(self.received) == chunks_of(self.config, memory), f"{memory.name} word {address}: chunks missing"
            for flit in self.received:
                part = unpack(self.flit, flit)
                assert part["kind"] == FlitKind.READOUT.value
                assert (part["payload.readout.mem"], part["payload.readout.addr"]) == (memory.value, address)
                word |= part["payload.readout.data"] << (part["payload.readout.chunk"] * self.config.data_bits)
            words.append(word)
        self.received.clear()
        return words


async def run_case(dut: Any, stall: float) -> None:
    """The whole of a case."""
    bench = Bench(dut, stall, seed=int(os.environ.get("COCOTB_RANDOM_SEED", "1")))
    case, steps = bench.case, len(bench.case.spikes)
    await bench.reset()
    await bench.load()
    await bench.idle()
    await bench.command(Command.CLEAR)
    await bench.idle()
    for step, spikes in enumerate(case.spikes):
        await bench.command(Command.STEP, first=int(step == 0), plane=steps - 1 - step, valid=1 << (case.stage - 1))
        shuffled = list(spikes)
        bench.rng.shuffle(shuffled)  # the order of arrival must not matter
        await bench.send(shuffled)
        await bench.idle()
        found = await bench.read(Memory.ISUM, len(case.isums[step]))
        assert found == case.isums[step], f"I({step}) differs"
    await bench.command(Command.REQUANT, first=1, valid=1 << (case.stage - 1))
    await bench.idle()
    assert await bench.read(Memory.ACT, len(case.activations)) == case.activations, "activations differ"
    for step, flits in enumerate(case.emitted):
        await bench.command(Command.STEP, first=int(step == 0), plane=steps - 1 - step, valid=1 << case.stage)
        await bench.idle()
        assert Multiset(bench.received) == Multiset(flits), f"emitted bundles of step {step} differ"
        bench.received.clear()
    counters = await bench.read(Memory.COUNTER, 4)
    assert (counters[0], counters[3]) == (case.sops, case.saturations), "SOPs or saturations differ"


@cocotb.test(timeout_time=TIMEOUT_MS, timeout_unit="ms")
async def at_full_speed(dut: Any) -> None:
    """No stalls."""
    await run_case(dut, 0.0)


@cocotb.test(timeout_time=TIMEOUT_MS, timeout_unit="ms")
async def with_stalls(dut: Any) -> None:
    """Random stalls on both streams."""
    await run_case(dut, 0.4)
