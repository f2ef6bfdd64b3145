"""The sequencer against a model of the mesh: each command makes it busy for a random time, seen after the tree's
delay.
"""

import random
from dataclasses import dataclass, field

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, ChipConfig
from hdl.host import Command, Control, ErrorCode, PauseMode, Register, RunState, StatusWord
from hdl.pack import unpack
from hdl.registers import register_map
from hdl.sequencer import Sequencer

CONFIG = PRESETS["test"]
ROUND_TRIP = 6
STEPS, STAGES = 4, 3


@dataclass
class Mesh:
    """Host and mesh around a sequencer. ``late``: cycles until the next sample is complete. ``refusal``: the program
    guard's verdict once there were ``refusal_after`` commands. ``interrupts``: CONTROL values, or complaints of the
    bridge, by the number of commands after which they come.
    """

    samples: int
    late: int = 0
    hang_at: int | None = None
    readout: bool = True
    refusal: ErrorCode = ErrorCode.NONE
    refusal_after: int = 0
    interrupts: dict[int, Control | ErrorCode] = field(default_factory=dict)
    seed: int = 0
    config: ChipConfig = CONFIG
    pulses: list[str] = field(default_factory=list)
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
                if len(self.commands) >= self.refusal_after:
                    ctx.set(dut.refusal, self.refusal)
                interrupt = self.interrupts.pop(len(self.commands), None)
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
                ctx.set(dut.complaint, interrupt if isinstance(interrupt, ErrorCode) else ErrorCode.NONE)
                if isinstance(interrupt, Control):
                    ctx.set(dut.set.address, Register.CONTROL)
                    ctx.set(dut.set.value, interrupt.value)
                    ctx.set(dut.set_valid, 1)
                self.pulses += [name for name in ("begin", "fresh", "reset") if ctx.get(getattr(dut, name))]
                ended = state is RunState.FAILED or (state is RunState.WAITING and sent == self.samples)
                if interrupt is None and (ended or (state is RunState.STOPPED and cycle > 0)):
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


REFUSALS = [ErrorCode.VERSION, ErrorCode.CHECKSUM, ErrorCode.PROGRAM]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_program_does_not_start(refusal):
    mesh = Mesh(samples=1, refusal=refusal)
    mesh.run()
    assert (mesh.final["state"], mesh.final["error"]) == (RunState.FAILED.value, refusal.value)
    assert mesh.commands == []


def test_a_program_that_goes_bad_ends_the_run_before_the_next_window():
    mesh = Mesh(samples=3, refusal=ErrorCode.PROGRAM, refusal_after=4)
    mesh.run()
    assert (mesh.final["state"], mesh.final["error"]) == (RunState.FAILED.value, ErrorCode.PROGRAM.value)
    assert [op for op, *_ in mesh.commands] == ["CLEAR", *["STEP"] * STEPS, "REQUANT"]
    assert mesh.final["WINDOWS"] == 1


@pytest.mark.parametrize("error", [ErrorCode.SAMPLE, ErrorCode.PROTOCOL, ErrorCode.FRAMING])
def test_a_bad_host_word_fails_the_run(error):
    mesh = Mesh(samples=2, interrupts={3: error})
    mesh.run()
    assert (mesh.final["state"], mesh.final["error"]) == (RunState.FAILED.value, error.value)
    assert len(mesh.commands) == 3


def test_the_first_error_stays():
    mesh = Mesh(samples=2, refusal=ErrorCode.VERSION, interrupts={0: ErrorCode.PROTOCOL})
    mesh.run()
    assert mesh.final["error"] == ErrorCode.PROTOCOL.value


@pytest.mark.parametrize("control", [Control.LOAD, Control.RESET, Control.RESET | Control.START, Control.STOP])
def test_a_run_is_aborted_and_the_cores_hear_of_a_new_program_when_they_are_quiet(control):
    mesh = Mesh(samples=3, interrupts={4: control}, seed=5)
    mesh.run()
    assert mesh.final["state"] == RunState.STOPPED.value
    ends = [] if control is Control.STOP else [("LOAD", 0, 0, 0)]
    assert [c[0] for c in mesh.commands[4:]] == [c[0] for c in ends]
    assert mesh.violations == 0
    begun = [] if control is Control.STOP else ["begin", "fresh"] + ["reset"] * (Control.RESET in control)
    assert mesh.pulses[-len(begun) :] == begun or not begun
    assert mesh.final["error"] == ErrorCode.NONE.value


def test_start_in_a_run_begins_anew():
    mesh = Mesh(samples=3, interrupts={4: Control.START}, seed=6)
    mesh.run()
    assert [c[0] for c in mesh.commands[:6]] == ["CLEAR", "STEP", "STEP", "STEP", "CLEAR", "STEP"]
    assert mesh.final["error"] == ErrorCode.NONE.value
    assert mesh.final["SAMPLES"] < 3  # since the second START


def test_reset_gives_every_register_its_reset_value():
    mesh = Mesh(samples=3, interrupts={8: Control.RESET})
    mesh.run(PauseMode.WINDOW, {Register.PARTS: 1})
    expected = {r.name: entry.reset for r, entry in register_map(CONFIG).items() if r.value <= Register.PARTS.value}
    assert {name: mesh.final[name] for name in expected} == expected


def test_load_keeps_the_settings():
    mesh = Mesh(samples=3, interrupts={8: Control.LOAD})
    mesh.run()
    assert (mesh.final["STEPS"], mesh.final["STAGES"], mesh.final["WATCHDOG"]) == (STEPS, STAGES, 400)


def test_round_trip_must_be_positive():
    with pytest.raises(ValueError, match="round_trip"):
        Sequencer(CONFIG, round_trip=0)
