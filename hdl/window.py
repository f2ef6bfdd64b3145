"""The read window: one memory word of a core at a time, through registers.

For hosts that reach the registers but would rather not send READ flits through the word stream: it works while words
wait in the stream.
"""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for
from .flit import payload_layouts
from .host import REGISTER_BITS, Register, RegisterPayload
from .program import Memory, address_bits
from .registers import READ_PART_BITS, register_map

__all__ = ["ReadWindow", "part_chunks"]


def part_chunks(config: ChipConfig) -> int:
    """Chunks of a memory word that READ_LOW and READ_HIGH hold together."""
    return READ_PART_BITS // config.data_bits


class ReadWindow(wiring.Component):
    """Registers READ_*.

    Members
    -------
    set, set_valid, get, value : register port, as the sequencer's; ``value`` is 0 for other registers
    reset : bit
        Registers take their reset values.
    forget : bit
        A read that is under way will not be answered.
    request, y, x, mem, address : bit, core and word to read
    taken : bit
        The bridge has sent the request.
    chunk, chunk_valid, chunk_last : "readout" payload, bit, bit
        The answer.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "set": In(RegisterPayload()),
            "set_valid": In(1),
            "get": In(Register),
            "value": Out(REGISTER_BITS),
            "reset": In(1),
            "forget": In(1),
            "request": Out(1),
            "y": Out(bits_for(config.rows - 1)),
            "x": Out(bits_for(config.cols - 1)),
            "mem": Out(Memory),
            "address": Out(address_bits(config)),
            "taken": In(1),
            "chunk": In(payload_layouts(config)["readout"]),
            "chunk_valid": In(1),
            "chunk_last": In(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        config = self.config
        m = Module()
        entries = register_map(config)
        tile, word = Signal(REGISTER_BITS), Signal(REGISTER_BITS)
        busy, refused = Signal(), Signal()

        def part(register, name):
            field = next(field for field in entries[register].fields if field.name == name)
            source = tile if register is Register.READ_TILE else word
            return source[field.low : field.low + field.width]

        y, x = part(Register.READ_TILE, "Y"), part(Register.READ_TILE, "X")
        m.d.comb += [
            self.y.eq(y), self.x.eq(x), self.mem.eq(part(Register.READ_WORD, "MEMORY")),
            self.address.eq(part(Register.READ_WORD, "ADDRESS")),
        ]  # fmt: skip
        # A core that does not exist would never answer.
        exists = Signal()
        m.d.comb += exists.eq((y < config.rows) & (x < config.cols) & ((y != 0) | (x != 0)))
        with m.If(self.set_valid & (self.set.address == Register.READ_TILE) & ~busy):
            m.d.sync += tile.eq(self.set.value & entries[Register.READ_TILE].mask)
        with m.If(self.set_valid & (self.set.address == Register.READ_WORD)):
            m.d.sync += refused.eq(busy | ~exists)
            with m.If(~busy):
                m.d.sync += [word.eq(self.set.value), busy.eq(exists), self.request.eq(exists)]
        with m.If(self.taken):
            m.d.sync += self.request.eq(0)

        # Chunk n of a part of a word is n places from the part's first one.
        count = part_chunks(config)
        answer = Signal(READ_PART_BITS)
        first = Signal(range(256 * count))
        m.d.comb += first.eq(part(Register.READ_WORD, "PART") * count)
        with m.If(self.taken):
            m.d.sync += answer.eq(0)
        with m.If(self.chunk_valid):
            for n in range(count):
                with m.If(self.chunk.chunk == first + n):
                    width = config.data_bits
                    m.d.sync += answer[n * width : (n + 1) * width].eq(self.chunk.data)
            with m.If(self.chunk_last):
                m.d.sync += busy.eq(0)
        with m.If(self.forget):
            m.d.sync += [busy.eq(0), self.request.eq(0), refused.eq(refused | busy)]
        with m.If(self.reset):
            m.d.sync += [signal.eq(0) for signal in (tile, word, answer, refused)]

        status = Cat(busy, refused)
        reads = {
            Register.READ_TILE: tile, Register.READ_WORD: word, Register.READ_STATUS: status,
            Register.READ_LOW: answer[:REGISTER_BITS], Register.READ_HIGH: answer[REGISTER_BITS:],
        }  # fmt: skip
        with m.Switch(self.get):
            for register, read in reads.items():
                with m.Case(register):
                    m.d.comb += self.value.eq(read)
        return m
