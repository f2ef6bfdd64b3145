"""The host's view: words of its two streams, and the registers of the sequencer and bridge."""

from functools import cache
from typing import TYPE_CHECKING

from amaranth.hdl import unsigned
from amaranth.lib import data

from .config import ChipConfig, bits_for
from .flit import Flit, payload_layouts

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = [
    "Command", "ErrorCode", "HostIn", "HostOut", "HostOp", "HostTag", "PauseMode", "REGISTER_BITS", "Register",
    "RunState", "host_in_bits", "host_out_bits",
]  # fmt: skip

REGISTER_BITS = 32


class HostOp(enum.Enum, shape=3):  # type: ignore[call-arg]
    """First field of a word that the host sends."""

    FLIT = 0  # payload "flit" is injected (program words; READ is forced to the single tile x0, y0)
    SAMPLE = 1  # like FLIT, but held back until the chip can take the next sample
    SAMPLE_END = 2  # the flits of one sample are complete
    SET = 3  # payload "register": write a register
    GET = 4  # payload "register": answered by a REGISTER word


class HostTag(enum.Enum, shape=1):  # type: ignore[call-arg]
    """First field of a word that the chip sends."""

    READOUT = 0  # payload "readout"
    REGISTER = 1  # payload "register"


class Register(enum.Enum, shape=4):  # type: ignore[call-arg]
    """Registers of the host tile, 32 bits each (counters are read modulo 2^32)."""

    CONFIG_ID = 0  # r: ChipConfig.fingerprint
    CONTROL = 1  # w: write 1 to START (clears the state, then waits for samples), 2 to RESUME, 4 to STOP
    STATUS = 2  # r: StatusWord
    STEPS = 3  # rw: T of the program, 2..time_steps
    STAGES = 4  # rw: pipeline stages after the input stage
    READOUT_FLITS = 5  # rw: read-out flits of one sample
    WATCHDOG = 6  # rw: longest allowed step in cycles; 0: off
    PAUSE = 7  # rw: PauseMode
    WINDOWS = 8  # r: windows since START
    CYCLES = 9  # r: cycles spent in windows since START (waiting for a sample, or paused, does not count)
    SAMPLES = 10  # r: samples accepted since START
    STRAY = 11  # r: flits that reached the host tile and were not for it, or could not be routed there
    BARRIERS = 12  # r: steps, partial phases and requantizations completed since START
    PARTS = 13  # rw: partial phases per window, 0..parts - 1 (0: no fan-in is split)


class RunState(enum.Enum, shape=3):  # type: ignore[call-arg]
    """Sequencer state, as read in STATUS."""

    STOPPED = 0
    CLEARING = 1
    WAITING = 2  # for a sample
    RUNNING = 3
    PAUSED = 4
    FAILED = 5  # STATUS.error says why; START recovers


class ErrorCode(enum.Enum, shape=3):  # type: ignore[call-arg]
    """Why a run failed."""

    NONE = 0
    WATCHDOG = 1  # a step did not end in time
    READOUT = 2  # a valid sample's window ended with read-out flits missing
    SETTINGS = 3  # START with STEPS, STAGES or READOUT_FLITS out of range


class PauseMode(enum.Enum, shape=2):  # type: ignore[call-arg]
    """Where a run pauses until RESUME."""

    NONE = 0
    WINDOW = 1  # after every window (requantization done)
    STEP = 2  # after every step (I(t) complete, not yet integrated) and after every window


def StatusWord(config: ChipConfig) -> data.StructLayout:
    """Fields of Register.STATUS; ``step`` is T in partial phases and while requantizing."""
    return data.StructLayout({
        "state": RunState, "error": ErrorCode,
        "step": bits_for(config.time_steps), "readout_missing": bits_for(config.readout_depth),
    })  # fmt: skip


class Command(enum.Enum, shape=3):  # type: ignore[call-arg]
    """Broadcast from the sequencer to all cores, see :func:`CommandWord`."""

    NONE = 0
    CLEAR = 1  # V, I, activations and counters to zero
    STEP = 2  # integrate the previous step (unless first), then emit bit-plane `plane`
    REQUANT = 3  # integrate the last step if `first`, requantize (and pool) into the next activation slot
    PARTIAL = 4  # integrate the last step if `first`; cores of part `plane` send their V to the core that adds it


@cache
def CommandWord(config: ChipConfig) -> data.StructLayout:
    """``first``: with STEP, step 0 of a window, advance the activation slot; with PARTIAL and REQUANT, the last step is
    still to be integrated. ``plane``: bit to emit, T-1 first; with PARTIAL, the part that sends.

    ``valid``: bit s is set where stage s emits a valid sample in this window (bit 0: the input).
    """
    return data.StructLayout({
        "op": Command,
        "first": 1,
        "plane": bits_for(max(config.time_steps, config.parts) - 1),
        "valid": unsigned(config.stages + 1),
    })  # fmt: skip


def RegisterPayload() -> data.StructLayout:
    """Register number and value."""
    return data.StructLayout({"address": Register, "value": unsigned(REGISTER_BITS)})


@cache
def HostIn(config: ChipConfig) -> data.StructLayout:
    """Layout of a word from the host."""
    return data.StructLayout({
        "op": HostOp,
        "payload": data.UnionLayout({"flit": Flit(config), "register": RegisterPayload()}),
    })  # fmt: skip


@cache
def HostOut(config: ChipConfig) -> data.StructLayout:
    """Layout of a word to the host."""
    return data.StructLayout({
        "tag": HostTag,
        "payload": data.UnionLayout({"readout": payload_layouts(config)["readout"], "register": RegisterPayload()}),
    })  # fmt: skip


def host_in_bits(config: ChipConfig) -> int:
    """Width of the input stream: whole bytes."""
    return -(-HostIn(config).size // 8) * 8


def host_out_bits(config: ChipConfig) -> int:
    """Width of the output stream: whole bytes."""
    return -(-HostOut(config).size // 8) * 8
