"""Program words that arrive in chunks."""

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig
from ..flit import payload_layouts
from ..program import WRITABLE, Memory, address_bits, chunk_bits, chunks_of, memory_depths, memory_layouts

__all__ = ["Loader"]


class Loader(wiring.Component):
    """Collects the chunks of a word, which come in order; the last one commits it. Never waits.

    The chunks move through a shift register, so a word's last chunk is at its top.

    Members
    -------
    i : stream of "memory" payloads
        Of WRITE flits.
    en, mem, address : one write, for one cycle
        Of the word that :meth:`word` gives. Only for a writable memory and an existing address. :meth:`writes` is what
        ``en`` and ``mem`` say together.
    rejected : bit
        One cycle per flit for another memory or address, or out of turn: such a one is not written, and the word that
        had been begun is forgotten.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self._memory = payload_layouts(config)["memory"]
        self._writable = [memory for memory in WRITABLE if memory is not Memory.PARTIAL or config.parts > 1]
        self._chunks = Signal(max(chunks_of(config, memory) for memory in self._writable) * config.data_bits)
        self._writes = {memory: Signal(name=f"writes_{memory.name.lower()}") for memory in self._writable}
        super().__init__({
            "i": In(stream.Signature(self._memory, always_ready=True)),
            "en": Out(1),
            "mem": Out(Memory),
            "address": Out(address_bits(config)),
            "rejected": Out(1),
        })  # fmt: skip

    def word(self, memory: Memory) -> Value:
        """The collected word as one of ``memory``."""
        bits = chunks_of(self.config, memory) * self.config.data_bits
        return self._chunks[len(self._chunks) - bits :][: memory_layouts(self.config)[memory].size]

    def writes(self, memory: Memory) -> Value:
        """Whether the word is one of ``memory`` and complete: a register, for a memory's ports are far away."""
        return self._writes[memory]

    def elaborate(self, platform) -> Module:
        m = Module()
        chunk = self.i.payload
        depths = memory_depths(self.config)
        sound, last, in_order = Signal(), Signal(), Signal()
        with m.Switch(chunk.mem):
            for memory in self._writable:
                with m.Case(memory):
                    m.d.comb += [
                        sound.eq((chunk.addr < depths[memory]) & in_order & (chunk.last == last)),
                        last.eq(chunk.chunk == chunks_of(self.config, memory) - 1),
                    ]
        due = Signal(chunk_bits(self.config) + 1)  # of the word begun; the first chunk begins a word at any time
        m.d.comb += in_order.eq(
            (chunk.chunk == 0) | ((chunk.chunk == due) & (chunk.addr == self.address) & (chunk.mem == self.mem))
        )
        m.d.comb += [
            self.rejected.eq(self.i.valid & ~sound),
        ]
        commits = Signal()
        m.d.comb += commits.eq(self.i.valid & sound & chunk.last)
        m.d.sync += [
            self.en.eq(commits), *(write.eq(commits & (chunk.mem == memory)) for memory, write in self._writes.items()),
        ]  # fmt: skip
        with m.If(self.i.valid):
            # All but `due` may take what is not sound, which is known late: the next chunk begins a word then.
            m.d.sync += [
                due.eq(0), self.mem.eq(chunk.mem), self.address.eq(chunk.addr),
                self._chunks.eq(Cat(self._chunks[self.config.data_bits :], chunk.data)),
            ]  # fmt: skip
            with m.If(sound & ~chunk.last):
                m.d.sync += due.eq(chunk.chunk + 1)
        return m
