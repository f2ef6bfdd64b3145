"""cocotb tests on a counter, of which some fail on purpose: what the toolchain must report."""

import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer


async def counts(dut, cycles: int) -> int:
    """The counter's value after ``cycles`` cycles."""
    Clock(dut.clk, 2, unit="ns").start()
    dut.rst.value = 1
    for _ in range(2):
        await RisingEdge(dut.clk)
    dut.rst.value = 0
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    await Timer(1, unit="ns")
    return int(dut.count.value)


@cocotb.test(timeout_time=1, timeout_unit="us")
async def passes(dut):
    assert await counts(dut, 5) == int(os.environ.get("EXPECTED", "5"))


@cocotb.test(timeout_time=1, timeout_unit="us")
async def fails(dut):
    assert await counts(dut, 5) == 6


@cocotb.test()
async def never_ends(dut):
    await counts(dut, 10**9)


@cocotb.test()
async def dies(dut):
    os._exit(0)


@cocotb.test(timeout_time=1, timeout_unit="us")
async def sees_only_ports(dut):
    assert not hasattr(dut, "hidden")
    await Timer(1, unit="ns")
