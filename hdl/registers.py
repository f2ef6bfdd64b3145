"""The one description of the host tile's registers.

From it come the decode of the AXI port, the reset values, the access rights, the C header, the manual's table and the
JSON (:mod:`hdl.register_texts`). A register's byte address is four times its number in :class:`hdl.host.Register`.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cache

from amaranth.hdl import Shape

from .config import ChipConfig, bits_for
from .host import (
    PROGRAM_VERSION,
    REGISTER_BITS,
    Control,
    ErrorCode,
    PauseMode,
    Register,
    RunState,
    StatusWord,
)
from .program import Memory

__all__ = ["ADDRESS_BITS", "BYTES", "Access", "Field", "RegisterEntry", "register_map", "reset_value"]

BYTES = REGISTER_BITS // 8

ADDRESS_BITS = Shape.cast(Register).width + 2
"""Width of a byte address."""

READ_PART_BITS = 64
"""Bits of a memory word that READ_LOW and READ_HIGH show together."""


class Access(Enum):
    """What the host may do."""

    R = "r"
    W = "w"
    RW = "rw"

    @property
    def readable(self) -> bool:
        """Whether a read has a meaning."""
        return self is not Access.W

    @property
    def writable(self) -> bool:
        """Whether a write has a meaning."""
        return self is not Access.R


@dataclass(frozen=True)
class Field:
    """Bits ``low .. low + width - 1`` of a register. ``values``: the enumeration that they are of, if any."""

    name: str
    low: int
    width: int
    meaning: str
    values: type[Enum] | None = None

    @property
    def mask(self) -> int:
        """The field's bits within the register."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class RegisterEntry:
    """One register. ``reset``: its value after power-up and after Control.RESET."""

    register: Register
    access: Access
    reset: int
    meaning: str
    fields: tuple[Field, ...]

    @property
    def name(self) -> str:
        """As in :class:`hdl.host.Register`."""
        return self.register.name

    @property
    def address(self) -> int:
        """Byte offset on the AXI port."""
        return self.register.value * BYTES

    @property
    def mask(self) -> int:
        """Bits that exist; the others read as 0, and what is written to them is ignored."""
        mask = 0
        for field in self.fields:
            mask |= field.mask
        return mask


_CONTROL_MEANINGS = {
    Control.START: "checks program and settings, clears the cores' state, then waits for samples",
    Control.RESUME: "a paused run goes on",
    Control.STOP: "ends a run at once; the cores' memories stay readable",
    Control.LOAD: "stops, and begins a new program: LOADED_FLITS and LOADED_CHECKSUM start anew, and the cores forget "
    "their complaints about the old program",
    Control.RESET: "like LOAD, and every register takes its reset value, read-outs not yet taken are dropped",
}


def _status_fields(config: ChipConfig) -> tuple[Field, ...]:
    meanings: dict[str, tuple[str, type[Enum] | None]] = {
        "state": ("run state", RunState), "error": ("why the run failed", ErrorCode),
        "step": ("step of the window; T while partial sums are sent and while requantizing", None),
        "readout_missing": ("read-out flits that are due and have not arrived", None),
    }  # fmt: skip
    layout = StatusWord(config)
    return tuple(
        Field(name.upper(), layout[name].offset, Shape.cast(layout[name].shape).width, *meaning)
        for name, meaning in meanings.items()
    )


@cache
def register_map(config: ChipConfig) -> dict[Register, RegisterEntry]:
    """Every register of a chip, in the order of their addresses."""
    count = bits_for(config.readout_depth)
    r, w, rw = Access.R, Access.W, Access.RW

    def whole(meaning: str, width: int = REGISTER_BITS, values: type[Enum] | None = None) -> tuple[Field, ...]:
        return (Field("VALUE", 0, width, meaning, values),)

    entries = {
        Register.CONFIG_ID: (r, config.fingerprint, "Identity of the chip's configuration.", whole("fingerprint")),
        Register.CONTROL: (w, 0, "Commands. Of several in one write the last one counts, in the order RESUME, STOP, "
            "START, LOAD, RESET.", tuple(
                Field(bit.name or "", bit.value.bit_length() - 1, 1, _CONTROL_MEANINGS[bit]) for bit in sorted(Control)
            )),
        Register.STATUS: (r, 0, "What the chip is doing.", _status_fields(config)),
        Register.STEPS: (rw, config.time_steps, f"T of the program, 2..{config.time_steps}.",
            whole("steps", bits_for(config.time_steps))),
        Register.STAGES: (rw, 1, f"Pipeline stages after the input stage, 1..{config.stages}.",
            whole("stages", bits_for(config.stages))),
        Register.READOUT_FLITS: (rw, 0, f"Read-out flits of one sample, 0..{config.readout_depth}.",
            whole("flits", count)),
        Register.WATCHDOG: (rw, 0, "Longest allowed step; 0 switches the watchdog off.", whole("cycles")),
        Register.PAUSE: (rw, 0, "Where a run pauses until RESUME.", whole("mode", 2, PauseMode)),
        Register.WINDOWS: (r, 0, "Windows since START.", whole("windows")),
        Register.CYCLES: (r, 0, "Cycles in windows since START; pauses, and waiting for samples or for room in the "
            "read-out queue, do not count.", whole("cycles")),
        Register.SAMPLES: (r, 0, "Samples accepted since START.", whole("samples")),
        Register.STRAY: (r, 0, "Flits and words at the host tile that nobody asked for, or that could not be used.",
            whole("flits")),
        Register.BARRIERS: (r, 0, "Steps, partial phases and requantizations completed since START.",
            whole("barriers")),
        Register.PARTS: (rw, 0, f"Partial phases per window, 0..{config.parts - 1} (0: no fan-in is split).",
            whole("phases", bits_for(max(1, config.parts - 1)))),
        Register.PROGRAM_VERSION: (rw, 0, "Version of the program's layouts, as the host declares it; START wants "
            f"{PROGRAM_VERSION}.", whole("version", 8)),
        Register.PROGRAM_FLITS: (rw, 0, "Program flits, as the host declares them; START wants LOADED_FLITS to equal "
            "it.", whole("flits")),
        Register.PROGRAM_CHECKSUM: (rw, 0, "Checksum of the program flits, as the host declares it; START wants "
            "LOADED_CHECKSUM to equal it.", whole("CRC-32")),
        Register.SAMPLE_FLITS: (rw, 0, "Flits of one sample; a sample of another length fails the run.",
            whole("flits")),
        Register.LOADED_FLITS: (r, 0, "WRITE flits to program memories (CORE, EDGE, ROUTE, REQUANT, WEIGHT) that were "
            "sent to the cores since LOAD.", whole("flits")),
        Register.LOADED_CHECKSUM: (r, 0, "CRC-32 of those flits, each as little-endian bytes.", whole("CRC-32")),
        Register.READ_TILE: (rw, 0, "Read window: the core to read from.", (
            Field("X", 0, bits_for(config.cols - 1), "column"), Field("Y", 8, bits_for(config.rows - 1), "row"),
        )),
        Register.READ_WORD: (rw, 0, "Read window: the memory word to read. Writing it starts the read, which waits "
            "while a run is in progress and not paused.", (
            Field("ADDRESS", 0, 20, "address of the word"), Field("MEMORY", 20, 4, "memory", Memory),
            Field("PART", 24, 8, f"which {READ_PART_BITS} bits of it, 0 the lowest"),
        )),
        Register.READ_STATUS: (r, 0, "Read window: its state.", (
            Field("BUSY", 0, 1, "the answer has not arrived"),
            Field("REFUSED", 1, 1, "the last read was not carried out: no such tile, a read before it was busy, or "
                "START, LOAD or RESET came in between"),
        )),
        Register.READ_LOW: (r, 0, "Read window: the answer's lower half.", whole("bits")),
        Register.READ_HIGH: (r, 0, "Read window: the answer's upper half.", whole("bits")),
    }  # fmt: skip
    return {register: RegisterEntry(register, *entries[register]) for register in Register}


def reset_value(config: ChipConfig, register: Register) -> int:
    """The register's value after power-up and after Control.RESET."""
    return register_map(config)[register].reset
