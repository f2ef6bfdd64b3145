"""The sequencer against a model of the mesh: each command makes it busy for a random time, seen after the tree's
delay.
"""

import random
from dataclasses import dataclass, field

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, ChipConfig
from hdl.host import Command, ErrorCode, PauseMode, Register, RunState, StatusWord
from hdl.pack import unpack
from hdl.sequencer import Sequencer

CONFIG = PRESETS["test"]
ROUND_TRIP = 6
STEPS, STAGES = 4, 3


@dataclass
class Mesh:
    """Host and mesh around a sequencer. ``arrivals``: cycles at which a sample becomes complete (None: at once)."""

    samples: int
    late: int = 0
    hang_at: int | None = None
    readout: bool = True
    seed: int = 0
    config: ChipConfig = CONFIG
    commands: list[tuple[str, int, int, int]] = field(default_factory=list)
    violations: int = 0
    pauses: int = 0
    final: dict[str, int] = field(default_factory=dict)
    cycles: int = 0

    def run(
        self, pause: PauseMode = PauseMode.NONE, settings: dict[Register, int] | None = None, limit: int = 20_000
    ) -> None:
        dut = Sequencer(self.config, round_trip=ROUND_TRIP)
        rng = random.Random(self.seed)

        async def testbench(ctx):
            async def tick(**values):
                for name, value in values.items():
                    ctx.set(getattr(dut, name), value)
                await ctx.tick()

            async def write(register, value):
                ctx.set(dut.set.address, register)
                ctx.set(dut.set.value, value)
                await tick(set_valid=1)
                ctx.set(dut.set_valid, 0)

            def read(register):
                ctx.set(dut.get, register)
                return ctx.get(dut.value)

            wanted = {Register.STEPS: STEPS, Register.STAGES: STAGES, Register.READOUT_FLITS: 5, Register.WATCHDOG: 400}
            for register, value in (wanted | (settings or {})).items():
                await write(register, value)
            await write(Register.PAUSE, pause.value)
            await write(Register.CONTROL, 1)
            busy_until, seen = -1, [1] * (ROUND_TRIP - 1)
            sent, delay, missing, resume_in = 0, self.late, 0, None
            ctx.set(dut.readout_free, 32)
            for cycle in range(limit):
                self.cycles = cycle
                # The mesh: busy from the cycle after the command, for a while.
                op = Command(ctx.get(dut.command.op))
                if op is not Command.NONE:
                    if cycle <= busy_until:
                        self.violations += 1
                    self.commands.append((op.name, *(ctx.get(dut.command[k]) for k in ("first", "plane", "valid"))))
                    busy_until = cycle + rng.randrange(1, 30)
                    if self.hang_at == len(self.commands):
                        busy_until = 10**9
                    if op is Command.STEP and ctx.get(dut.command.first) and self.readout:
                        missing = 0
                seen.append(int(cycle >= busy_until))
                ctx.set(dut.quiescent, seen.pop(0))
                # The host: the next sample is complete `late` cycles after the last one was taken.
                if ctx.get(dut.reserve):
                    missing = 5
                if ctx.get(dut.sample_take):
                    ctx.set(dut.sample_pending, 0)
                    sent, delay = sent + 1, self.late
                elif ctx.get(dut.sample_open) and sent < self.samples and not ctx.get(dut.sample_pending):
                    ctx.set(dut.sample_pending, int(delay == 0))
                    delay = max(0, delay - 1)
                ctx.set(dut.readout_missing, missing)
                state = RunState(ctx.get(dut.state))
                ctx.set(dut.set_valid, 0)
                if state is RunState.PAUSED:
                    if resume_in is None:
                        self.pauses += 1
                        resume_in = rng.randrange(1, 5)
                    elif resume_in == 0:
                        ctx.set(dut.set.address, Register.CONTROL)
                        ctx.set(dut.set.value, 2)
                        ctx.set(dut.set_valid, 1)
                        resume_in = None
                    else:
                        resume_in -= 1
                if state is RunState.FAILED or (state is RunState.WAITING and sent == self.samples):
                    break
                await tick()
            self.final = {r.name: read(r) for r in Register}
            self.final |= unpack(StatusWord(CONFIG), read(Register.STATUS))

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()

    def expected(self, valids: list[int], parts: int = 0) -> list[tuple[str, int, int, int]]:
        commands = [("CLEAR", 0, 0, 0)]
        for valid in valids:
            commands += [("STEP", int(t == 0), STEPS - 1 - t, valid) for t in range(STEPS)]
            commands += [("PARTIAL", int(p == 1), p, valid) for p in range(1, parts + 1)]
            commands += [("REQUANT", int(parts == 0), 0, valid)]
        return commands


@pytest.mark.parametrize("pause", list(PauseMode))
@pytest.mark.parametrize(("samples", "parts"), [(1, 0), (2, 3), (6, 1)])
def test_samples_back_to_back_take_samples_plus_stages_windows(samples, parts, pause):
    mesh = Mesh(samples=samples, seed=samples)
    mesh.run(pause, {Register.PARTS: parts})
    valids = []
    for window in range(samples + STAGES):
        valids.append(sum(1 << s for s in range(STAGES + 1) if 0 <= window - s < samples))
    commands = mesh.expected(valids, parts)
    assert mesh.commands[1:] == commands[1:]
    assert mesh.commands[0][0] == "CLEAR"
    assert mesh.violations == 0
    assert mesh.final["WINDOWS"] == samples + STAGES
    assert mesh.final["SAMPLES"] == samples
    assert mesh.final["BARRIERS"] == (samples + STAGES) * (STEPS + parts + 1)
    assert mesh.final["error"] == ErrorCode.NONE.value
    windows = samples + STAGES
    pauses = {PauseMode.NONE: 0, PauseMode.WINDOW: windows, PauseMode.STEP: windows * (STEPS + 1)}
    assert mesh.pauses == pauses[pause]  # never after a partial phase


def test_late_host_makes_bubbles_and_no_sample_is_lost_or_doubled():
    mesh = Mesh(samples=4, late=150, seed=3)
    mesh.run()
    firsts = [valid for op, first, _, valid in mesh.commands if op == "STEP" and first]
    assert sum(valid & 1 for valid in firsts) == 4
    for stage in range(1, STAGES + 1):  # every sample passes every stage, exactly one window later each
        assert sum((valid >> stage) & 1 for valid in firsts) == 4
    assert len(firsts) > 4 + STAGES
    assert mesh.violations == 0


def test_watchdog_ends_a_step_that_hangs():
    mesh = Mesh(samples=1, hang_at=4)
    mesh.run()
    assert mesh.final["state"] == RunState.FAILED.value
    assert mesh.final["error"] == ErrorCode.WATCHDOG.value
    assert mesh.final["step"] == 2  # the fourth command: CLEAR, STEP 0, 1, 2


def test_missing_readout_fails_the_run_in_its_first_step():
    mesh = Mesh(samples=1, readout=False)
    mesh.run()
    assert mesh.final["error"] == ErrorCode.READOUT.value
    assert mesh.final["readout_missing"] == 5
    assert mesh.final["WINDOWS"] == 1 + STAGES


@pytest.mark.parametrize(
    ("register", "value"),
    [
        (Register.STEPS, 1),
        (Register.STEPS, 9),
        (Register.STAGES, 0),
        (Register.STAGES, 8),
        (Register.READOUT_FLITS, 65),
        (Register.PARTS, 4),
    ],
)
def test_settings_out_of_range_are_refused(register, value):
    mesh = Mesh(samples=1)
    mesh.run(settings={register: value})
    assert mesh.final["error"] == ErrorCode.SETTINGS.value
    assert mesh.commands == []


def test_a_chip_without_split_fan_in_has_no_partial_phases():
    mesh = Mesh(samples=1, config=CONFIG.replace(parts=1))
    mesh.run()
    assert [op for op, *_ in mesh.commands[1:]] == (["STEP"] * STEPS + ["REQUANT"]) * (1 + STAGES)
    mesh = Mesh(samples=1, config=CONFIG.replace(parts=1))
    mesh.run(settings={Register.PARTS: 1})
    assert mesh.final["error"] == ErrorCode.SETTINGS.value


def test_round_trip_must_be_positive():
    with pytest.raises(ValueError, match="round_trip"):
        Sequencer(CONFIG, round_trip=0)
