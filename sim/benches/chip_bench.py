"""cocotb bench of the whole chip: runs the workload that the environment names, through the host port.

Comparison is not done here: the result goes to a file, and :mod:`sim.compare` holds it against the golden.
"""

import os
import random
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from sdann.errors import SdannError
from sim.driver import ChipDriver
from sim.session import observe, stream, trace
from sim.workload import Workload


class CocotbPort:
    """Moves host words of a simulated chip; the counterpart of :class:`sim.amaranth_sim.AmaranthPort`.

    Signals change at the falling edge and are sampled just before the rising one, so that no simulator's order of
    evaluation at the edge matters.
    """

    def __init__(self, dut: Any, *, stall: float, seed: int) -> None:
        self._clk, self._rst = dut.clk, dut.rst
        self._i_valid, self._i_ready, self._i_payload = dut.i__valid, dut.i__ready, dut.i__payload
        self._o_valid, self._o_ready, self._o_payload = dut.o__valid, dut.o__ready, dut.o__payload
        self._stall, self._random = stall, random.Random(seed)
        self._out: deque[int] = deque()
        self._in: deque[int] = deque()
        self._offered = False
        self._moved = 0  # words that went in or out
        self._driven: tuple[int | None, int | None] = (None, None)

    async def reset(self) -> None:
        """Starts the clock and resets the chip."""
        Clock(self._clk, 2, unit="step").start(start_high=False)
        self._i_valid.value, self._i_payload.value, self._o_ready.value = 0, 0, 0
        self._rst.value = 1
        for _ in range(3):
            await RisingEdge(self._clk)
        await FallingEdge(self._clk)
        self._rst.value = 0

    def send(self, words: Iterable[int]) -> None:
        """Queues words for the chip."""
        self._out.extend(words)

    async def receive(self, limit: int) -> int | None:
        """The next word from the chip, or None when nothing moved in either direction for ``limit`` cycles."""
        idle = 0
        while not self._in and idle < limit:
            moved = self._moved
            await self.tick()
            idle = idle + 1 if moved == self._moved else 0
        return self._in.popleft() if self._in else None

    async def wait(self, cycles: int) -> None:
        """Lets ``cycles`` clock cycles pass."""
        for _ in range(cycles):
            await self.tick()

    async def tick(self) -> None:
        """One clock cycle of both streams; begins and ends just after a falling edge."""
        self._offered = bool(self._out) and (self._offered or not self._stalls())
        taking = not self._stalls()
        if self._offered:
            self._i_payload.value = self._out[0]
        driven = (int(self._offered), int(taking))
        if driven != self._driven:
            self._i_valid.value, self._o_ready.value = driven
            self._driven = driven
        await RisingEdge(self._clk)
        # Registers have not changed yet: writes of the edge take effect after this callback.
        if self._offered and self._i_ready.value:
            self._out.popleft()
            self._offered = False
            self._moved += 1
        if taking and self._o_valid.value:
            self._in.append(int(self._o_payload.value))
            self._moved += 1
        await FallingEdge(self._clk)

    def _stalls(self) -> bool:
        return self._stall > 0 and self._random.random() < self._stall


@cocotb.test()
async def run_workload(dut: Any) -> None:
    """Runs the workload of ``SDANN_WORKLOAD`` and writes its result, or the chip's complaint."""
    workload = Workload.load(Path(os.environ["SDANN_WORKLOAD"]))
    port = CocotbPort(dut, stall=workload.stall, seed=workload.seed)
    await port.reset()
    driver = ChipDriver(port, workload.image(), answer_limit=workload.answer_limit, step_limit=workload.step_limit)
    try:
        if workload.mode == "trace":
            (await trace(driver, workload.samples[0], workload.core)).save(workload.result_file)
        else:
            run = observe if workload.mode == "observe" else stream
            (await run(driver, workload.samples, workload.report_progress)).save(workload.result_file)
    except SdannError as error:
        workload.error_file.write_text(str(error))
        raise
