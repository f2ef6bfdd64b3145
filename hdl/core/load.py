"""Program words that arrive in chunks."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig
from ..flit import payload_layouts
from ..program import WRITABLE, Memory, address_bits, chunks_of, memory_depths

__all__ = ["Loader", "word_bits"]


def word_bits(config: ChipConfig) -> int:
    """Width of the widest writable word, in whole chunks."""
    return max(chunks_of(config, memory) for memory in WRITABLE) * config.data_bits


class Loader(wiring.Component):
    """Collects chunks of a word; the last one commits it. Chunks that never came are zero. Never waits.

    Members
    -------
    i : stream of "memory" payloads
        Of WRITE flits. Chunks beyond the widest word are ignored.
    en, mem, address, word : one write, for one cycle
        ``en`` only for a writable memory and an existing address.
    rejected : bit
        One cycle per flit for another memory or address; it changes nothing.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self._memory = payload_layouts(config)["memory"]
        super().__init__({
            "i": In(stream.Signature(self._memory, always_ready=True)),
            "en": Out(1),
            "mem": Out(Memory),
            "address": Out(address_bits(config)),
            "word": Out(word_bits(config)),
            "rejected": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        chunk = self.i.payload
        depths = memory_depths(self.config)
        sound = Signal()
        with m.Switch(chunk.mem):
            for memory in WRITABLE:
                with m.Case(memory):
                    m.d.comb += sound.eq(chunk.addr < depths[memory])
        m.d.sync += [self.en.eq(0), self.mem.eq(chunk.mem), self.address.eq(chunk.addr)]
        m.d.comb += self.rejected.eq(self.i.valid & ~sound)
        with m.If(self.en):
            m.d.sync += self.word.eq(0)  # a chunk that arrives right now goes into the next word
        with m.If(self.i.valid & sound):
            m.d.sync += self.en.eq(chunk.last)
            width = self.config.data_bits
            with m.Switch(chunk.chunk):
                for n in range(word_bits(self.config) // width):
                    with m.Case(n):
                        m.d.sync += self.word[n * width : (n + 1) * width].eq(chunk.data)
        return m
