"""cocotb bench of the whole chip: runs the workload that the environment names, through the host port.

Comparison is not done here: the result goes to a file, and :mod:`sim.compare` holds it against the golden.
"""

import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, RisingEdge

from sdann.errors import SdannError
from sim.driver import ChipDriver
from sim.host_port import HostPort
from sim.session import each_sample, observe, stream, trace
from sim.workload import Workload


class CocotbPort(HostPort):
    """The host streams of a chip in a Verilog simulator.

    Signals change at the falling edge and are sampled just before the rising one, so that no simulator's order of
    evaluation at the edge matters.
    """

    def __init__(self, dut: Any, *, stall: float, seed: int) -> None:
        super().__init__(stall=stall, seed=seed)
        self._clk, self._rst = dut.clk, dut.rst
        self._i_valid, self._i_ready, self._i_payload = dut.i__valid, dut.i__ready, dut.i__payload
        self._o_valid, self._o_ready, self._o_payload = dut.o__valid, dut.o__ready, dut.o__payload
        self._driven: tuple[int, int] | None = None

    async def reset(self) -> None:
        """Starts the clock and resets the chip."""
        Clock(self._clk, 2, unit="step").start(start_high=False)
        self._i_valid.value, self._i_payload.value, self._o_ready.value = 0, 0, 0
        self._rst.value = 1
        for _ in range(3):
            await RisingEdge(self._clk)
        await FallingEdge(self._clk)
        self._rst.value = 0

    async def cycle(self, offered: int | None, taking: bool) -> tuple[bool, int | None]:
        """See :meth:`sim.host_port.HostPort.cycle`. Begins and ends just after a falling edge."""
        if offered is not None:
            self._i_payload.value = offered
        driven = (int(offered is not None), int(taking))
        if driven != self._driven:  # writes cost time
            self._i_valid.value, self._o_ready.value = driven
            self._driven = driven
        await RisingEdge(self._clk)
        # Registers have not changed yet: writes of the edge take effect after this callback.
        accepted = offered is not None and bool(self._i_ready.value)
        word = int(self._o_payload.value) if taking and self._o_valid.value else None
        await FallingEdge(self._clk)
        return accepted, word


@cocotb.test()
async def run_workload(dut: Any) -> None:
    """Runs the workload of ``SDANN_WORKLOAD`` and writes its result, or the chip's complaint."""
    workload = Workload.load(Path(os.environ["SDANN_WORKLOAD"]))
    port = CocotbPort(dut, stall=workload.stall, seed=workload.seed)
    await port.reset()
    driver = ChipDriver(port, workload.image(), answer_limit=workload.answer_limit, step_limit=workload.step_limit)
    try:
        if workload.mode == "trace":
            (await trace(driver, each_sample(driver.image, workload.samples)[0], workload.core)).save(
                workload.result_file
            )
        else:
            run = observe if workload.mode == "observe" else stream
            (await run(driver, workload.samples, workload.report_progress)).save(workload.result_file)
    except SdannError as error:
        workload.error_file.write_text(str(error))
        raise
