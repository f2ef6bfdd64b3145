"""The lockstep sequencer: cuts time into windows and steps, and owns the host's registers.

A window is T STEP commands, a PARTIAL command for each partial phase and one REQUANT command, each followed by a
barrier: the next command is given only when the quiescence tree says that no flit is in flight and every core has
finished. See docs/chip.md.
"""

from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Const, Module, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for
from .host import (
    REGISTER_BITS,
    Command,
    CommandWord,
    Control,
    ErrorCode,
    PauseMode,
    Register,
    RegisterPayload,
    RunState,
    StatusWord,
)
from .registers import reset_value

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = ["Phase", "Sequencer"]


class Phase(enum.Enum, shape=4):  # type: ignore[call-arg]
    """What the sequencer is doing."""

    STOPPED = 0
    CLEAR = 1
    CLEARED = 2
    WAIT = 3
    ARRIVED = 4
    WINDOW = 5
    FIRST = 6
    BARRIER = 7
    PAUSED = 8
    RESUMED = 9
    CHECK = 10


class Sequencer(wiring.Component):
    """Window and step control.

    Parameters
    ----------
    config : ChipConfig
    round_trip : int
        Cycles from a command leaving here until the quiescence tree's output reflects it. The barrier is
        blanked that long, since "all idle" from before the command is still on its way.

    Members
    -------
    command : CommandWord
        One-cycle pulses to the broadcast tree.
    quiescent : bit
        Output of the quiescence tree.
    set, set_valid : RegisterPayload, bit
        Register write from the bridge.
    get, value : Register, 32 bits
        Register read by the bridge (combinational).
    state : RunState
    sample_pending : bit
        The bridge holds a complete sample in the input tiles' back slots.
    sample_open : bit
        The bridge may inject flits of the next sample.
    sample_take : bit
        Pulse: the pending sample has entered the pipeline.
    readout_free : bits
        Unreserved entries of the bridge's read-out queue.
    readout_missing : bits
        Reserved read-out flits that have not arrived.
    reserve, reserve_count : bit, bits
        Pulse: reserve that many entries for one sample's read-out.
    stray : 32 bits
        The bridge's count of stray flits.
    refusal : ErrorCode
        Why the loaded program may not run, or NONE: looked at after START and before every window.
    complaint : ErrorCode
        Pulse: what the bridge has against a host word, else NONE.
    begin, fresh, reset : bits
        Pulses: a new program begins (LOAD, RESET); nothing of an earlier run is wanted any more (these, and START);
        RESET.
    phase, sample_in, taking (attributes): what it is doing, and whether the next window, and the present one from its
        first step until all tiles know, bring a new sample; the state, for proofs.
    """

    def __init__(self, config: ChipConfig, *, round_trip: int) -> None:
        if round_trip < 1:
            raise ValueError(f"round_trip must be at least 1, not {round_trip!r}")
        self.config = config
        self.round_trip = round_trip
        self.phase = Signal(Phase)
        self.sample_in = Signal()  # a complete sample was there before the last step's barrier
        self.taking = Signal()  # the step just given is the first one of a window with a new sample
        count = unsigned(bits_for(config.readout_depth))
        super().__init__({
            "command": Out(CommandWord(config)),
            "quiescent": In(1),
            "set": In(RegisterPayload()),
            "set_valid": In(1),
            "get": In(Register),
            "value": Out(REGISTER_BITS),
            "state": Out(RunState),
            "sample_pending": In(1),
            "sample_open": Out(1),
            "sample_take": Out(1),
            "readout_free": In(count),
            "readout_missing": In(count),
            "reserve": Out(1),
            "reserve_count": Out(count),
            "stray": In(REGISTER_BITS),
            "refusal": In(ErrorCode),
            "complaint": In(ErrorCode),
            "begin": Out(1),
            "fresh": Out(1),
            "reset": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()

        # -- registers --------------------------------------------------------------------------
        steps = Signal(range(config.time_steps + 1), init=reset_value(config, Register.STEPS))
        stages = Signal(range(config.stages + 1), init=reset_value(config, Register.STAGES))
        parts = Signal(range(config.parts))
        readout_flits = Signal.like(self.reserve_count)
        watchdog = Signal(REGISTER_BITS)
        pause = Signal(PauseMode)
        windows, cycles, samples, barriers = (
            Signal(REGISTER_BITS, name=n) for n in ("windows", "cycles", "samples", "barriers")
        )
        error = Signal(ErrorCode)
        settings_ok = Signal()  # the last SET of each checked register was in range
        bad = Signal(4)  # which of STEPS, STAGES, READOUT_FLITS, PARTS holds a refused value
        m.d.comb += settings_ok.eq(bad == 0)

        start, resume, stop, load, reset = (Signal(name=n) for n in ("start", "resume", "stop", "load", "reset"))
        loading = Signal()  # the cores are told of a new program when they are quiet
        m.d.comb += [self.begin.eq(load | reset), self.fresh.eq(self.begin | start), self.reset.eq(reset)]
        value = self.set.value
        with m.If(self.set_valid):
            with m.Switch(self.set.address):
                with m.Case(Register.CONTROL):
                    for pulse, bit in (
                        (start, Control.START), (resume, Control.RESUME), (stop, Control.STOP), (load, Control.LOAD),
                        (reset, Control.RESET),
                    ):  # fmt: skip
                        m.d.comb += pulse.eq((value & bit.value).any())
                with m.Case(Register.STEPS):
                    m.d.sync += [steps.eq(value), bad[0].eq((value < 2) | (value > config.time_steps))]
                with m.Case(Register.STAGES):
                    m.d.sync += [stages.eq(value), bad[1].eq((value < 1) | (value > config.stages))]
                with m.Case(Register.READOUT_FLITS):
                    m.d.sync += [readout_flits.eq(value), bad[2].eq(value > config.readout_depth)]
                with m.Case(Register.WATCHDOG):
                    m.d.sync += watchdog.eq(value)
                with m.Case(Register.PAUSE):
                    m.d.sync += pause.eq(value)
                with m.Case(Register.PARTS):
                    m.d.sync += [parts.eq(value), bad[3].eq(value > config.parts - 1)]

        # -- barrier ----------------------------------------------------------------------------
        blank = Signal(range(self.round_trip + 1))
        elapsed = Signal(REGISTER_BITS)
        reached = Signal()  # quiescent, and known to be so since the last command (or injected flit)
        m.d.comb += reached.eq((blank == 0) & self.quiescent)
        with m.If(blank != 0):
            m.d.sync += blank.eq(blank - 1)

        command = Signal(CommandWord(config))
        m.d.comb += self.command.eq(command)
        m.d.sync += command.op.eq(Command.NONE)

        valid = Signal(config.stages + 1)
        valid_next = Signal(config.stages + 1)
        sample_in, taking = self.sample_in, self.taking
        stage_mask = Signal(config.stages + 1)
        m.d.comb += [
            stage_mask.eq((Const(2, config.stages + 2) << stages) - 1),
            valid_next.eq(Cat(sample_in, valid) & stage_mask),
        ]
        # Of the next window, as far as it is known long before: whether the last stage will have a sample, or any will.
        reads_next, more = Signal(), Signal()
        m.d.sync += [
            reads_next.eq(Cat(0, valid).bit_select(stages, 1)), more.eq((valid & (stage_mask >> 1)).any()),
        ]  # fmt: skip
        step = Signal(range(config.time_steps + 1))
        # What a barrier or a window asks is known before it does. A read-out has arrived before its core is idle; what
        # is asked for after a pause has, too, and until the next window nothing else is, so that room does not shrink.
        unread, roomy = Signal(), Signal()
        m.d.sync += [
            unread.eq((step == 0) & valid.bit_select(stages, 1) & (self.readout_missing != 0)),
            roomy.eq(self.readout_free >= readout_flits),
        ]

        def issue(op, **fields):
            return [
                command.op.eq(op), command.valid.eq(valid),
                *(command[name].eq(v) for name, v in fields.items()),
                blank.eq(self.round_trip), elapsed.eq(0),
            ]  # fmt: skip

        # Known before the barrier is reached: a command's blanking is at least a cycle.
        final, plane_after = Signal(), Signal.like(self.command.plane)
        m.d.sync += [final.eq(step + 1 >= steps), plane_after.eq(steps - 2 - step)]

        def issue_step(index, first, plane):
            return [
                *issue(Command.STEP, first=first, plane=plane),
                step.eq(index),
                # Seen before this step's barrier, so its flits have arrived when the window ends.
                sample_in.eq(self.sample_pending & ~taking),
            ]

        # -- control ----------------------------------------------------------------------------
        running = Signal()
        state = self.state
        m.d.comb += self.sample_open.eq(
            (state == RunState.WAITING) | (state == RunState.RUNNING) | (state == RunState.PAUSED)
        )
        m.d.comb += [self.reserve_count.eq(readout_flits), running.eq(0)]
        expired = (watchdog != 0) & (elapsed >= watchdog)
        requanting = Signal()  # the last command was REQUANT
        part = Signal.like(parts)  # partial phases of this window that were begun
        phase = self.phase
        go_on = Signal()  # leave the barrier for the next command

        def fail(code):
            return [error.eq(code), state.eq(RunState.FAILED), valid.eq(0), sample_in.eq(0)]

        with m.Switch(phase):
            with m.Case(Phase.STOPPED):
                pass  # START is handled below, from every state
            with m.Case(Phase.CLEAR):  # wait for flits that are still on their way
                with m.If(reached):
                    m.d.sync += blank.eq(self.round_trip)  # a core may still be checking the last word
                    m.d.sync += phase.eq(Phase.CHECK)
            with m.Case(Phase.CHECK):
                with m.If(reached):
                    m.d.sync += phase.eq(Phase.CLEARED)
                    with m.If(loading):
                        m.d.sync += issue(Command.LOAD)
                    with m.Elif(self.refusal == ErrorCode.NONE):
                        m.d.sync += issue(Command.CLEAR)
                    with m.Else():
                        m.d.sync += fail(self.refusal)
                        m.d.sync += phase.eq(Phase.STOPPED)
            with m.Case(Phase.CLEARED):
                with m.If(reached):
                    m.d.sync += state.eq(RunState.WAITING)
                    m.d.sync += phase.eq(Phase.WAIT)
                    with m.If(loading):
                        m.d.sync += [loading.eq(0), state.eq(RunState.STOPPED)]
                        m.d.sync += phase.eq(Phase.STOPPED)
            with m.Case(Phase.WAIT):  # nothing in the pipeline; restart the blanking until a sample is complete
                m.d.sync += blank.eq(self.round_trip)
                with m.If(self.sample_pending):
                    m.d.sync += phase.eq(Phase.ARRIVED)
            with m.Case(Phase.ARRIVED):
                with m.If(reached):
                    m.d.sync += [sample_in.eq(1), state.eq(RunState.RUNNING)]
                    m.d.sync += phase.eq(Phase.WINDOW)
            with m.Case(Phase.WINDOW):  # decide what the next window holds
                with m.If(~(more | sample_in)):
                    m.d.sync += [state.eq(RunState.WAITING), valid.eq(0)]
                    m.d.sync += phase.eq(Phase.WAIT)
                with m.Elif(self.refusal != ErrorCode.NONE):
                    m.d.sync += fail(self.refusal)
                    m.d.sync += phase.eq(Phase.STOPPED)
                with m.Elif(~reads_next | roomy):
                    m.d.comb += self.reserve.eq(reads_next)
                    m.d.sync += [
                        valid.eq(valid_next),
                        taking.eq(sample_in),
                        samples.eq(samples + sample_in),
                        windows.eq(windows + 1),
                    ]
                    m.d.sync += phase.eq(Phase.FIRST)
            with m.Case(Phase.FIRST):
                m.d.comb += running.eq(1)
                m.d.sync += issue_step(Const(0), 1, steps - 1)
                m.d.sync += phase.eq(Phase.BARRIER)
            with m.Case(Phase.BARRIER):
                m.d.comb += running.eq(1)
                m.d.sync += elapsed.eq(elapsed + 1)
                with m.If(taking & (blank == 1)):
                    # Every input tile has seen the step and advanced: its back slot is free again.
                    m.d.comb += self.sample_take.eq(1)
                    m.d.sync += taking.eq(0)
                with m.If(reached):
                    m.d.sync += barriers.eq(barriers + 1)
                    with m.If(unread):
                        m.d.sync += fail(ErrorCode.READOUT)
                        m.d.sync += phase.eq(Phase.STOPPED)
                    with m.Elif(
                        ((pause == PauseMode.STEP) & (step != steps)) | ((pause != PauseMode.NONE) & requanting)
                    ):
                        m.d.sync += state.eq(RunState.PAUSED)
                        m.d.sync += phase.eq(Phase.PAUSED)
                    with m.Else():
                        m.d.comb += go_on.eq(1)
                with m.Elif(expired):
                    m.d.sync += fail(ErrorCode.WATCHDOG)
                    m.d.sync += phase.eq(Phase.STOPPED)
            with m.Case(Phase.PAUSED):
                with m.If(resume):
                    m.d.sync += [state.eq(RunState.RUNNING), blank.eq(self.round_trip)]
                    m.d.sync += phase.eq(Phase.RESUMED)
            with m.Case(Phase.RESUMED):  # reads of the pause may still be on their way
                with m.If(reached):
                    m.d.comb += go_on.eq(1)

        with m.If(go_on):
            with m.If(requanting):
                m.d.sync += [requanting.eq(0), phase.eq(Phase.WINDOW)]
            with m.Elif(final):
                with m.If(part != parts):
                    m.d.sync += [*issue(Command.PARTIAL, first=part == 0, plane=part + 1), part.eq(part + 1)]
                with m.Else():
                    m.d.sync += [*issue(Command.REQUANT, first=parts == 0, plane=0), part.eq(0), requanting.eq(1)]
                m.d.sync += [step.eq(steps), phase.eq(Phase.BARRIER)]
            with m.Else():
                m.d.sync += issue_step(step + 1, 0, plane_after)
                m.d.sync += phase.eq(Phase.BARRIER)

        with m.If((self.complaint != ErrorCode.NONE) & (state != RunState.FAILED)):
            m.d.sync += fail(self.complaint)
            m.d.sync += phase.eq(Phase.STOPPED)
        with m.If(stop | self.fresh):
            m.d.sync += [
                valid.eq(0), sample_in.eq(0), taking.eq(0), step.eq(0), part.eq(0), requanting.eq(0),
                error.eq(ErrorCode.NONE), state.eq(RunState.STOPPED),
            ]  # fmt: skip
            m.d.sync += phase.eq(Phase.STOPPED)
            with m.If(self.begin | (start & settings_ok)):
                m.d.sync += [
                    state.eq(RunState.CLEARING), blank.eq(self.round_trip), loading.eq(self.begin),
                    windows.eq(0), cycles.eq(0), samples.eq(0), barriers.eq(0),
                ]  # fmt: skip
                m.d.sync += phase.eq(Phase.CLEAR)
            with m.Elif(start):
                m.d.sync += [error.eq(ErrorCode.SETTINGS), state.eq(RunState.FAILED)]

        with m.If(reset):
            settings = (steps, stages, parts, readout_flits, watchdog, pause, bad)
            m.d.sync += [Value.cast(signal).eq(Value.cast(signal).init) for signal in settings]
        with m.If(running & (state == RunState.RUNNING) & ~self.fresh):
            m.d.sync += cycles.eq(cycles + 1)

        # -- register reads ---------------------------------------------------------------------
        status = Signal(StatusWord(config))
        m.d.comb += [
            status.state.eq(state), status.error.eq(error), status.step.eq(step),
            status.readout_missing.eq(self.readout_missing),
        ]  # fmt: skip
        reads = {
            Register.CONFIG_ID: Const(config.fingerprint, REGISTER_BITS),
            Register.STATUS: status.as_value(),
            Register.STEPS: steps, Register.STAGES: stages, Register.READOUT_FLITS: readout_flits,
            Register.WATCHDOG: watchdog, Register.PAUSE: pause.as_value(),
            Register.WINDOWS: windows, Register.CYCLES: cycles, Register.SAMPLES: samples,
            Register.STRAY: self.stray, Register.BARRIERS: barriers, Register.PARTS: parts,
        }  # fmt: skip
        with m.Switch(self.get):
            for register, read in reads.items():
                with m.Case(register):
                    m.d.comb += self.value.eq(read)
        return m
