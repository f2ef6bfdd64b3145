"""cocotb bench of a simulated board: the serial line of :class:`hdl.board.serial_chip.SerialChip` as a pseudo-terminal.

A host program opens the terminal as it would a board's serial port. Environment: ``SDANN_TERMINAL``, a file that gets
the terminal's name; ``SDANN_STOP``, a file whose appearance ends the bench; ``SDANN_DIVISOR``, clock cycles per bit.
"""

import os
import tty
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge

TIMEOUT_S = 600
"""Simulated seconds at one clock cycle per nanosecond: far beyond any test, a bound all the same."""


class Line:
    """The far end of the serial line."""

    def __init__(self, dut: Any, divisor: int, terminal: int) -> None:
        self.dut, self.divisor, self.terminal = dut, divisor, terminal

    async def to_board(self) -> None:
        """What the host writes, bit by bit."""
        while True:
            try:
                data = os.read(self.terminal, 64)
            except (BlockingIOError, OSError):  # nothing there, or nobody has opened the other end
                data = b""
            for byte in data:
                for bit in [0, *(byte >> n & 1 for n in range(8)), 1]:
                    self.dut.rx.value = bit
                    await ClockCycles(self.dut.clk, self.divisor)
            if not data:
                await ClockCycles(self.dut.clk, 20 * self.divisor)

    async def from_board(self) -> None:
        """What the board sends, sampled in the middle of each bit."""
        while True:
            await FallingEdge(self.dut.tx)
            await ClockCycles(self.dut.clk, self.divisor + self.divisor // 2)
            byte = 0
            for n in range(8):
                byte |= int(self.dut.tx.value) << n
                await ClockCycles(self.dut.clk, self.divisor)
            assert int(self.dut.tx.value) == 1, "a byte without a stop bit"
            os.write(self.terminal, bytes([byte]))


@cocotb.test()
async def serve(dut: Any) -> None:
    """Serves the terminal until the stop file appears."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    stop = Path(os.environ["SDANN_STOP"])
    Clock(dut.clk, 2, unit="step").start()
    dut.rx.value, dut.rst.value = 1, 1
    await ClockCycles(dut.clk, 5)
    dut.rst.value = 0
    line = Line(dut, int(os.environ["SDANN_DIVISOR"]), ours)
    cocotb.start_soon(line.to_board())
    cocotb.start_soon(line.from_board())
    Path(os.environ["SDANN_TERMINAL"]).write_text(os.ttyname(theirs))
    while not stop.exists():
        await ClockCycles(dut.clk, 2000)
    assert int(dut.overrun.value) == 0, "the host sent more than the board has room for"
