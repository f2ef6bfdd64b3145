"""The host's view: words of its two streams, register numbers, states and error codes.

What the registers hold, and how they may be accessed, is in :mod:`hdl.registers`.
"""

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
    "Command", "Control", "ErrorCode", "HostIn", "HostOut", "HostOp", "HostTag", "PROGRAM_VERSION", "PauseMode",
    "REGISTER_BITS", "Register", "RunState", "host_in_bits", "host_out_bits",
]  # fmt: skip

REGISTER_BITS = 32

PROGRAM_VERSION = 1
"""Version of the layouts that a program consists of (:mod:`hdl.program`, :mod:`hdl.flit`): a chip runs its own only."""


class HostOp(enum.Enum, shape=3):  # type: ignore[call-arg]
    """First field of a word that the host sends."""

    FLIT = 0  # payload "flit" is injected (program words; READ is forced to the single tile x0, y0)
    SAMPLE = 1  # like FLIT, but held back until the chip can take the next sample
    SAMPLE_END = 2  # the flits of one sample are complete
    SET = 3  # payload "register": write a register
    GET = 4  # payload "register": answered by a REGISTER word
    BROKEN = 7  # what the AXI port makes of a word that was cut short; fails the run with ErrorCode.FRAMING


class HostTag(enum.Enum, shape=1):  # type: ignore[call-arg]
    """First field of a word that the chip sends."""

    READOUT = 0  # payload "readout"
    REGISTER = 1  # payload "register"


class Register(enum.Enum, shape=6):  # type: ignore[call-arg]
    """Registers of the host tile, 32 bits each, by number; described in :mod:`hdl.registers`."""

    CONFIG_ID = 0
    CONTROL = 1
    STATUS = 2
    STEPS = 3
    STAGES = 4
    READOUT_FLITS = 5
    WATCHDOG = 6
    PAUSE = 7
    WINDOWS = 8
    CYCLES = 9
    SAMPLES = 10
    STRAY = 11
    BARRIERS = 12
    PARTS = 13
    PROGRAM_VERSION = 14
    PROGRAM_FLITS = 15
    PROGRAM_CHECKSUM = 16
    SAMPLE_FLITS = 17
    LOADED_FLITS = 18
    LOADED_CHECKSUM = 19
    READ_TILE = 20
    READ_WORD = 21
    READ_STATUS = 22
    READ_LOW = 23
    READ_HIGH = 24


class Control(enum.IntFlag):
    """Bits of Register.CONTROL. Of several in one write, the last one in this list counts."""

    RESUME = 2  # a paused run goes on
    STOP = 4  # ends a run at once; what it left in the cores stays readable
    START = 1  # checks the program, clears the state, then waits for samples
    LOAD = 8  # stops, and begins a new program: forgets what was loaded, and the cores' complaints about it
    RESET = 16  # like LOAD, and every register takes its reset value


class RunState(enum.Enum, shape=3):  # type: ignore[call-arg]
    """Sequencer state, as read in STATUS."""

    STOPPED = 0
    CLEARING = 1
    WAITING = 2  # for a sample
    RUNNING = 3
    PAUSED = 4
    FAILED = 5  # STATUS.error says why; START recovers


class ErrorCode(enum.Enum, shape=4):  # type: ignore[call-arg]
    """Why a run failed."""

    NONE = 0
    WATCHDOG = 1  # a step did not end in time
    READOUT = 2  # a valid sample's window ended with read-out flits missing
    SETTINGS = 3  # START with STEPS, STAGES, PARTS or READOUT_FLITS out of range
    VERSION = 4  # PROGRAM_VERSION is not this chip's
    CHECKSUM = 5  # LOADED_CHECKSUM is not PROGRAM_CHECKSUM: program words were changed on their way
    PROGRAM = 6  # LOADED_FLITS is not PROGRAM_FLITS, or a core refused a word or found it out of range
    SAMPLE = 7  # a sample ended with another number of flits than SAMPLE_FLITS
    PROTOCOL = 8  # a host word with an unknown operation, a flit that no host may send, or a SET that is not allowed
    FRAMING = 9  # AXI only: a word was cut short by TLAST or TKEEP


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
    LOAD = 5  # a new program begins: complaints about the old one's words are forgotten


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
