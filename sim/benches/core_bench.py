"""cocotb bench of one core: a program, a sample's spikes step by step, everything it computes and emits.

Environment: ``SDANN_CASES``, a JSON file of :class:`sim.core_case.CoreCase` s, which follow each other without a reset.
What is expected comes with the case, from the models; the bench only drives, reads and compares.

Signals change just after the falling edge and are sampled in the read-only phase of the same time step. Where nothing
can happen, the bench sleeps until a handshake signal changes: most of a case is accumulation.
"""

import os
import random
from collections import Counter as Multiset
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from hdl.config import ChipConfig
from hdl.flit import Flit, FlitKind
from hdl.host import Command, CommandWord
from hdl.pack import fields, pack, unpack
from hdl.program import Counter, Memory, chunks_of
from sim.core_case import CoreCase, load_cases

TIMEOUT_MS = 200
IDLE_LIMIT = 200_000


class Bench:
    """The core with a flit stream on either side and the sequencer's commands."""

    def __init__(self, dut: Any, stall: float, seed: int) -> None:
        self.dut, self.stall, self.rng = dut, stall, random.Random(seed)
        self.cases = load_cases(Path(os.environ["SDANN_CASES"]))
        self.config = ChipConfig.from_dict(self.cases[0].config)
        self.flit, self.command_word = Flit(self.config), CommandWord(self.config)
        self.flit_fields = fields(self.flit)
        self.received: list[int] = []

    async def reset(self) -> None:
        """Clock, reset, and all inputs at rest."""
        Clock(self.dut.clk, 10, unit="ns").start(start_high=False)
        for name in ("i__valid", "i__payload", "o__ready", "command", "hop", "dropped"):
            getattr(self.dut, name).value = 0
        self.dut.y.value = self.dut.x.value = 0
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
            if not int(self.dut.o__valid.value):
                assert held is None, "the offered flit vanished before it was taken"
                await RisingEdge(self.dut.o__valid)
            else:
                offered = int(self.dut.o__payload.value)
                assert held is None or offered == held, "the offered flit changed before it was taken"
                held = None if taking else offered
                if taking:
                    self.received.append(offered)
            await FallingEdge(self.dut.clk)

    async def send(self, flits: list[int]) -> None:
        """Offers flits, with random pauses between them."""
        for flit in flits:
            while self.rng.random() < self.stall:
                await FallingEdge(self.dut.clk)
            self.dut.i__valid.value, self.dut.i__payload.value = 1, flit
            while True:
                await ReadOnly()
                if int(self.dut.i__ready.value):
                    break
                await RisingEdge(self.dut.i__ready)
                await FallingEdge(self.dut.clk)
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
            if not calm:
                await RisingEdge(self.dut.idle)
            await FallingEdge(self.dut.clk)
            if calm == 2:
                return
        raise AssertionError(f"the core was not idle within {IDLE_LIMIT} tries")

    def _memory_flit(self, kind: FlitKind, memory: int, address: int, **fields: int) -> int:
        body = {"mem": memory, "addr": address, **fields}
        values = {f"payload.memory.{name}": value for name, value in body.items()}
        return pack(self.flit, {"kind": kind} | values, self.flit_fields)

    async def load(self, case: CoreCase) -> None:
        """Writes the program."""
        self.dut.y.value, self.dut.x.value = case.core
        width = self.config.data_bits
        for memory, address, word in case.program:
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
                part = unpack(self.flit, flit, self.flit_fields)
                assert part["kind"] == FlitKind.READOUT.value
                assert (part["payload.readout.mem"], part["payload.readout.addr"]) == (memory.value, address)
                word |= part["payload.readout.data"] << (part["payload.readout.chunk"] * self.config.data_bits)
            words.append(word)
        self.received.clear()
        return words


async def run_case(bench: Bench, case: CoreCase) -> None:
    """The whole of a case."""
    steps, parts = len(case.spikes), len(case.partials)
    integrates, emits = 1 << (case.stage - 1), 1 << case.stage
    await bench.load(case)
    await bench.idle()
    await bench.command(Command.CLEAR)
    await bench.idle()
    for step, spikes in enumerate(case.spikes):
        await bench.command(Command.STEP, first=int(step == 0), plane=steps - 1 - step, valid=integrates)
        shuffled = list(spikes)
        bench.rng.shuffle(shuffled)  # the order of arrival must not matter
        await bench.send(shuffled)
        await bench.idle()
        if step in case.isums:
            found = await bench.read(Memory.ISUM, len(case.isums[step]))
            assert found == case.isums[step], f"{case.name}: I({step}) differs"
    for phase in range(parts):
        await bench.command(Command.PARTIAL, first=int(phase == 0), plane=phase + 1, valid=integrates)
        await bench.send(case.partials[phase])
        await bench.idle()
        assert Multiset(bench.received) == Multiset(case.sent[phase]), f"{case.name}: sums of phase {phase + 1} differ"
        bench.received.clear()
    await bench.command(Command.REQUANT, first=int(not parts), valid=integrates)
    await bench.idle()
    for memory, words in ((Memory.ACT, case.activations), (Memory.MEMBRANE, case.membranes)):
        if words is not None:
            found = await bench.read(memory, len(words))
            assert found == words, f"{case.name}: {memory.name} differs after requantization"
    for step, flits in enumerate(case.emitted):
        await bench.command(Command.STEP, first=int(step == 0), plane=steps - 1 - step, valid=emits)
        await bench.idle()
        assert Multiset(bench.received) == Multiset(flits), f"{case.name}: flits of step {step} differ"
        bench.received.clear()
    values = await bench.read(Memory.COUNTER, max(Counter[name].value for name in case.counters) + 1)
    found_counters = {name: values[Counter[name].value] for name in case.counters}
    assert found_counters == case.counters, f"{case.name}: counters differ"


async def run_cases(dut: Any, stall: float) -> None:
    """All cases, one after the other."""
    bench = Bench(dut, stall, seed=int(os.environ.get("COCOTB_RANDOM_SEED", "1")))
    await bench.reset()
    for case in bench.cases:
        await run_case(bench, case)
        assert not bench.received, f"{case.name}: flits that nobody asked for"


@cocotb.test(timeout_time=TIMEOUT_MS, timeout_unit="ms")
async def at_full_speed(dut: Any) -> None:
    """No stalls."""
    await run_cases(dut, 0.0)


@cocotb.test(timeout_time=TIMEOUT_MS, timeout_unit="ms")
async def with_stalls(dut: Any) -> None:
    """Random stalls on both streams."""
    await run_cases(dut, 0.4)
