"""What only the host tile as a whole shows: which of two things that come together counts."""

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.host import Control, HostIn, HostOp, Register, RunState
from hdl.host_tile import HostTile
from hdl.pack import pack

CONFIG = PRESETS["test"]
HELD_AT = 3  # the cycle in which the bridge looks at the word


def state_after(reset_at: int | None) -> RunState:
    """The run state in the end, where a broken word comes, and a RESET from the bus in cycle ``reset_at``."""
    dut = HostTile(CONFIG, round_trip=4)
    seen = []

    async def bench(ctx) -> None:
        ctx.set(dut.quiescent, 1)
        ctx.set(dut.sound, 1)
        ctx.set(dut.i.payload, pack(HostIn(CONFIG), {"op": HostOp.BROKEN}))
        ctx.set(dut.bus.register, Register.CONTROL)
        ctx.set(dut.bus.value, Control.RESET.value)
        for cycle in range(60):
            ctx.set(dut.i.valid, cycle == HELD_AT - 1)
            ctx.set(dut.bus.valid, cycle == reset_at)
            ctx.set(dut.bus.write, cycle == reset_at)
            await ctx.tick()
        seen.append(ctx.get(dut.state))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return RunState(seen[0])


def test_a_broken_word_fails_the_run():
    assert state_after(None) is RunState.FAILED


@pytest.mark.parametrize("late", [0, 1, 2, 5])
def test_a_reset_is_not_failed_by_a_word_from_before_it(late):
    assert state_after(HELD_AT + late) is RunState.STOPPED
