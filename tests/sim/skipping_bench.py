"""A bench of which one test is skipped."""

import cocotb


@cocotb.test()
async def runs(dut):
    pass


@cocotb.test(skip=True)
async def skipped(dut):
    pass
