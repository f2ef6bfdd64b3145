"""The program guard: holds what the host declares about its program against what the cores were sent."""

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import crc, wiring
from amaranth.lib.wiring import In, Out

from .config import ChipConfig
from .flit import Flit, FlitKind, flit_bits
from .host import PROGRAM_VERSION, REGISTER_BITS, ErrorCode, Register, RegisterPayload
from .program import WRITABLE, Memory
from .registers import register_map

__all__ = ["COUNTED", "ProgramGuard"]

COUNTED = tuple(memory for memory in WRITABLE if memory not in (Memory.ACT, Memory.PARTIAL))
"""Memories that hold the program; writes to them are counted and summed."""

CRC = crc.catalog.CRC32_ISO_HDLC
"""The CRC-32 of zlib and Ethernet."""


class ProgramGuard(wiring.Component):
    """Registers PROGRAM_* , SAMPLE_FLITS and LOADED_*, and the verdict on the program.

    The checksum is the CRC-32 of all counted flits in the order of their injection, each padded with zero bits to
    whole bytes, lowest byte first.

    Members
    -------
    set, set_valid, get, value : register port, as the sequencer's; ``value`` is 0 for other registers
    begin : bit
        LOAD or RESET: a new program begins.
    reset : bit
        Registers take their reset values.
    flit, sent : Flit, bit
        A flit that the bridge has handed over.
    sound : bit
        No core complains about its program.
    refusal : ErrorCode
        Why the program may not run, or NONE; two cycles after the last flit.
    sample_flits : 32 bits
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "set": In(RegisterPayload()),
            "set_valid": In(1),
            "get": In(Register),
            "value": Out(REGISTER_BITS),
            "begin": In(1),
            "reset": In(1),
            "flit": In(Flit(config)),
            "sent": In(1),
            "sound": In(1),
            "refusal": Out(ErrorCode),
            "sample_flits": Out(REGISTER_BITS),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        config = self.config
        m = Module()
        entries = register_map(config)
        registers = {
            register: Signal(entries[register].fields[0].width, init=entries[register].reset, name=register.name)
            for register in (
                Register.PROGRAM_VERSION, Register.PROGRAM_FLITS, Register.PROGRAM_CHECKSUM, Register.SAMPLE_FLITS,
                Register.LOADED_FLITS,
            )
        }  # fmt: skip
        bits = -(-flit_bits(config) // 8) * 8
        m.submodules.crc = summer = CRC(data_width=bits).create()
        memory = self.flit.payload.memory.mem
        counted = Signal()
        with m.Switch(memory):
            with m.Case(*COUNTED):
                m.d.comb += counted.eq(self.sent & (self.flit.kind == FlitKind.WRITE))
        loaded = registers[Register.LOADED_FLITS]
        m.d.comb += [
            summer.data.eq(Value.cast(self.flit)), summer.valid.eq(counted), summer.start.eq(self.begin),
            self.sample_flits.eq(registers[Register.SAMPLE_FLITS]),
        ]  # fmt: skip
        with m.If(counted):
            m.d.sync += loaded.eq(loaded + 1)
        with m.If(self.begin):
            m.d.sync += loaded.eq(0)

        for register, signal in registers.items():
            if entries[register].access.writable:
                with m.If(self.set_valid & (self.set.address == register)):
                    m.d.sync += signal.eq(self.set.value)
            with m.If(self.get == register):
                m.d.comb += self.value.eq(signal)
            with m.If(self.reset):
                m.d.sync += signal.eq(signal.init)
        with m.If(self.get == Register.LOADED_CHECKSUM):
            m.d.comb += self.value.eq(summer.crc)

        with m.If(registers[Register.PROGRAM_VERSION] != Const(PROGRAM_VERSION)):
            m.d.sync += self.refusal.eq(ErrorCode.VERSION)
        with m.Elif(loaded != registers[Register.PROGRAM_FLITS]):
            m.d.sync += self.refusal.eq(ErrorCode.PROGRAM)
        with m.Elif(summer.crc != registers[Register.PROGRAM_CHECKSUM]):
            m.d.sync += self.refusal.eq(ErrorCode.CHECKSUM)
        with m.Elif(~self.sound):
            m.d.sync += self.refusal.eq(ErrorCode.PROGRAM)
        with m.Else():
            m.d.sync += self.refusal.eq(ErrorCode.NONE)
        return m
