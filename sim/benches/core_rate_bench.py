"""cocotb bench of a core's speed: the steps of a :class:`CoreCase`, bundles offered without a pause, cycles counted.

Environment: ``SDANN_CASES`` as in :mod:`sim.benches.core_bench`, ``SDANN_RESULT``, the JSON file to write. The design
is :class:`sim.core_rate.ProbedCore`.
"""

import json
import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly

from hdl.host import Command
from hdl.program import Counter, Memory
from sim.benches.core_bench import Bench


class Watch:
    """Counts cycles, and remembers those of the first and the last visit."""

    def __init__(self, dut: Any) -> None:
        self.dut, self.cycle, self.first, self.last = dut, 0, -1, -2

    async def run(self) -> None:
        while True:
            await ReadOnly()
            if int(self.dut.working.value):
                self.last = self.cycle
                self.first = self.cycle if self.first < 0 else self.first
            self.cycle += 1
            await FallingEdge(self.dut.clk)


@cocotb.test(timeout_time=100, timeout_unit="ms")
async def rate(dut: Any) -> None:
    """One dictionary per step; I(t) of the last one is compared."""
    bench = Bench(dut, 0.0, seed=1)
    (case,) = bench.cases
    steps = len(case.spikes)
    await bench.reset()
    await bench.load(case)
    await bench.idle()
    await bench.command(Command.CLEAR)
    await bench.idle()
    counts: list[dict[str, int]] = []
    before = [0] * len(Counter)
    for step, spikes in enumerate(case.spikes):
        watch = Watch(dut)
        task = cocotb.start_soon(watch.run())
        await bench.command(Command.STEP, first=int(step == 0), plane=steps - 1 - step, valid=1 << (case.stage - 1))
        await bench.send(spikes)
        await bench.idle()
        task.cancel()
        after = await bench.read(Memory.COUNTER, len(Counter))
        counts.append({
            "sops": after[Counter.SOPS] - before[Counter.SOPS], "visits": after[Counter.BUSY] - before[Counter.BUSY],
            "span": watch.last - watch.first + 1, "cycles": watch.cycle,
        })  # fmt: skip
        before = after
    assert await bench.read(Memory.ISUM, len(case.isums[steps - 1])) == case.isums[steps - 1], f"I({steps - 1}) differs"
    Path(os.environ["SDANN_RESULT"]).write_text(json.dumps(counts))
