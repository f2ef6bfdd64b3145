"""Memory words as flits: answers to READ, read-outs to the host, and partial sums to another core."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..program import Memory, Readout, address_bits, chunk_bits, chunks_of, memory_depths, memory_layouts
from ..select import decoded
from .storage import sub_bits

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = ["Responder", "Task"]

BY_PARTS = (Memory.ISUM, Memory.MEMBRANE)
"""Memories whose words are read by sub-words, each of which begins with a chunk."""

BULK = (Memory.ACT, Memory.MEMBRANE)
"""Memories of which one word after the other is sent."""


class Task(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What is being sent."""

    ANSWER = 0  # one word, to the host
    READOUT = 1  # all activations of age 0, or all of V, to the host
    PARTIAL = 2  # all of V, to the core that adds it


class Responder(wiring.Component):
    """Four stages: memory, chunk of each memory, chunk of the memory, flit.

    Read-outs and partial sums have their memory for themselves and send a chunk per cycle. An answer's chunk is read
    when the one before it is gone, so that a waiting host holds no port of any memory.

    Members
    -------
    words, out_words, readout_kind, part_y, part_x
        As in the core descriptor.
    y, x : bits
        This tile.
    read, read_mem, read_address : bit, Memory, number
        A READ flit; one that comes before the last one is answered is not taken.
    rejected : bit
        With ``read``: it is not taken, or its memory or address does not exist. That one is answered all the same,
        with zeros in as many chunks as words of that memory have (one where there is no such memory): the host waits.
    readout : bit
        Starts the read-out.
    partial : bit
        Starts sending V to tile (part_y, part_x).
    grant : bit
        All memory ports are free for an answer. Other tasks do not wait for it.
    counted : bit
        The counter at ``address`` was there in the cycle before, for an answer's first chunk.
    task : Task
    active : bit
        ``address`` and ``sub`` are of a read to come.
    port : bit
        Reads in this cycle: an answer all memories, at ``address``, where there are sub-words at ``sub``; a read-out
        the newest activations or V, PARTIAL V.
    fresh : bit
        With ``port``: it reads a word's first chunk.
    bulk, hold : bit
        A read-out or PARTIAL is under way; its memory must keep what it has read.
    address, sub : numbers
    isum_select : bits
        Sub-word of I to look at now.
    data : one member per memory
        Words in the cycle after ``port``; of ISUM and MEMBRANE the sub-word, and ISUM's a cycle later still.
    o : stream of Flit
    busy : bit
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        sizes = {memory.name.lower(): layout.size for memory, layout in memory_layouts(config).items()}
        sizes["isum"] = config.requant_lanes * config.isum_bits
        sizes["membrane"] = sizes.pop("partial")
        sub = max(1, sub_bits(config))
        super().__init__({
            "words": In(bits_for(config.neuron_words)),
            "out_words": In(bits_for(config.act_words // 2)),
            "readout_kind": In(Readout),
            "part_y": In(bits_for(config.rows - 1)),
            "part_x": In(bits_for(config.cols - 1)),
            "y": In(bits_for(config.rows - 1)),
            "x": In(bits_for(config.cols - 1)),
            "read": In(1),
            "read_mem": In(Memory),
            "read_address": In(address_bits(config)),
            "rejected": Out(1),
            "readout": In(1),
            "partial": In(1),
            "grant": In(1),
            "counted": In(1),
            "task": Out(Task),
            "active": Out(1),
            "port": Out(1),
            "fresh": Out(1),
            "bulk": Out(1),
            "hold": Out(1),
            "address": Out(address_bits(config)),
            "sub": Out(sub),
            "isum_select": Out(config.requant_subwords),
            "data": In(data.StructLayout(sizes)),
            "o": Out(stream.Signature(Flit(config))),
            "busy": Out(1),
        })  # fmt: skip

    def _pieces(self, memory: Memory) -> int:
        """Chunks that are read from one address: of a word, or of a sub-word."""
        chunks = chunks_of(self.config, memory)
        return chunks // self.config.requant_subwords if memory in BY_PARTS else chunks

    @staticmethod
    def _sent_by(mem: Signal, memories: Iterable[Memory]) -> list:
        """Whether each of ``memories`` is the one to send; PARTIAL sends V."""
        return [(mem == memory) | ((memory is Memory.MEMBRANE) & (mem == Memory.PARTIAL)) for memory in memories]

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        depths, subwords = memory_depths(config), config.requant_subwords

        # The READ to answer, and whether its word exists.
        asked, asked_mem, asked_address = Signal(), Signal(Memory), Signal(address_bits(config))
        sound, sound_now = Signal(), Signal()
        m.d.comb += self.rejected.eq(self.read & (asked | ~sound_now))
        with m.Switch(self.read_mem):
            for memory in Memory:
                if memory is not Memory.PARTIAL:
                    with m.Case(memory):
                        m.d.comb += sound_now.eq(self.read_address < depths[memory])
        with m.If(self.read & ~asked):
            m.d.sync += [
                asked.eq(1), asked_mem.eq(self.read_mem), asked_address.eq(self.read_address), sound.eq(sound_now),
            ]  # fmt: skip

        # The task: words, of each the sub-words, of each the pieces.
        readout, partial = Signal(), Signal()
        m.d.sync += [readout.eq(readout | self.readout), partial.eq(partial | self.partial)]
        active, mem, exists = self.active, Signal(Memory), Signal()
        settled = Signal()  # `address` is what it was
        m.d.sync += settled.eq(active)
        left = Signal(max(len(self.words), len(self.out_words)))
        piece, chunk = Signal(chunk_bits(config)), Signal(chunk_bits(config))
        piece_end, by_parts = Signal(chunk_bits(config)), Signal()
        last_piece, last_sub, last = Signal(), Signal(), Signal()
        with m.Switch(mem):
            for memory in Memory:
                with m.Case(memory):
                    m.d.comb += piece_end.eq(self._pieces(memory) - 1)
        m.d.comb += [
            by_parts.eq((mem == Memory.ISUM) | (mem == Memory.MEMBRANE) | (self.task == Task.PARTIAL)),
            last_piece.eq(piece == piece_end),
            last_sub.eq(last_piece & (~by_parts | (self.sub == subwords - 1))),
            last.eq(last_sub & (left == 1)),
        ]

        tag = data.StructLayout({
            "valid": 1, "piece": chunk_bits(config), "chunk": chunk_bits(config), "address": address_bits(config),
            "sub": len(self.sub), "last": 1, "end": 1,
        })  # fmt: skip
        stage = [Signal(tag, name=f"stage_{n}") for n in range(4)]
        go, empty, answering, known = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            go.eq(~stage[3].valid | self.o.ready), empty.eq(~Cat(s.valid for s in stage[1:]).any()),
            answering.eq(self.task == Task.ANSWER),
            self.fresh.eq(chunk == 0),
            known.eq((mem != Memory.COUNTER) | ~exists | ~self.fresh | (self.counted & settled)),
            self.port.eq(active & Mux(answering, empty & self.grant & known, go)),
            self.bulk.eq(~answering & (active | ~empty)), self.hold.eq(self.bulk & ~go),
        ]  # fmt: skip
        with m.If(~active & empty):
            m.d.sync += [
                piece.eq(0), chunk.eq(0), self.sub.eq(0), self.address.eq(0), exists.eq(1), left.eq(self.words),
            ]  # fmt: skip
            with m.If(readout):
                m.d.sync += [
                    readout.eq(0),
                    self.task.eq(Task.READOUT),
                    mem.eq(Memory.MEMBRANE),
                    active.eq(self.words != 0),
                ]
                with m.If(self.readout_kind == Readout.ACT):
                    m.d.sync += [mem.eq(Memory.ACT), left.eq(self.out_words), active.eq(self.out_words != 0)]
            with m.Elif(partial):
                m.d.sync += [
                    partial.eq(0),
                    self.task.eq(Task.PARTIAL),
                    mem.eq(Memory.PARTIAL),
                    active.eq(self.words != 0),
                ]
            with m.Elif(asked):
                m.d.sync += [
                    self.task.eq(Task.ANSWER), mem.eq(asked_mem), self.address.eq(asked_address), exists.eq(sound),
                    left.eq(1), active.eq(1),
                ]  # fmt: skip
        with m.If(self.port):
            m.d.sync += [piece.eq(piece + 1), chunk.eq(chunk + 1), active.eq(~last)]
            with m.If(last_piece):
                m.d.sync += [piece.eq(0), self.sub.eq(self.sub + 1)]
            with m.If(last_sub):
                m.d.sync += [self.sub.eq(0), chunk.eq(0), self.address.eq(self.address + 1), left.eq(left - 1)]

        # The stages.
        m.d.comb += [
            stage[0].valid.eq(self.port), stage[0].piece.eq(piece), stage[0].chunk.eq(chunk),
            stage[0].last.eq(last_piece), stage[0].address.eq(self.address), stage[0].sub.eq(self.sub),
            stage[0].end.eq(last),
        ]  # fmt: skip
        with m.If(go):
            m.d.sync += [stage[n].eq(stage[n - 1]) for n in range(1, 4)]
        width = config.data_bits
        pieces = {memory: self._pieces(memory) for memory in Memory if memory is not Memory.PARTIAL}
        select, mem_select = Signal(max(pieces.values())), Signal(len(pieces))
        m.d.sync += mem_select.eq(Cat(exists & sent for sent in self._sent_by(mem, pieces)))  # long before a word is
        cuts, part = [], Signal(width)
        for index, (memory, count) in enumerate(pieces.items()):
            for n in range(count):
                name, word = memory.name.lower(), self.data[memory.name.lower()]
                cut = Signal(width, name=f"cut_{name}_{n}", reset_less=True)  # loaded anew before it is looked at
                piece_of_word, chosen = Value.cast(word).word_select(n, width), mem_select[index] & select[n]
                cuts.append(cut)
                if memory is Memory.ISUM:  # a cycle late, so its selection is late, too
                    late = Signal(name=f"late_{n}")
                    with m.If(go):
                        m.d.sync += late.eq(chosen)
                    m.d.comb += cut.eq(Mux(late, piece_of_word, 0))
                    continue
                # The register's reset selects: no logic, where else there is a table for two bits. Of an answer, one
                # chunk is under way and waits further on, so only what a read-out or PARTIAL takes has to wait here.
                moves = go if memory in BULK else Const(1)
                with m.If(moves & ~chosen):
                    m.d.sync += cut.eq(0)
                with m.Elif(moves):
                    m.d.sync += cut.eq(piece_of_word)
        with m.If(go):
            m.d.sync += [
                select.eq(decoded(piece, len(select))),
                # I is read for answers only, so this is `port`, without the flit that waits.
                self.isum_select.eq((active & empty & self.grant & (mem == Memory.ISUM)) << self.sub),
                part.eq(reduce(or_, cuts)),
            ]  # fmt: skip

        # The flit.
        flit, sent = self.o.payload, stage[3]
        answer, write = flit.payload.readout, flit.payload.memory
        m.d.comb += self.o.valid.eq(sent.valid)
        with m.If(self.task == Task.PARTIAL):
            m.d.comb += [
                flit.kind.eq(FlitKind.WRITE), flit.dst.x0.eq(self.part_x), flit.dst.x1.eq(self.part_x),
                flit.dst.y0.eq(self.part_y), flit.dst.y1.eq(self.part_y), write.mem.eq(Memory.PARTIAL),
                write.addr.eq(Cat(sent.sub[: sub_bits(config)], sent.address)), write.chunk.eq(sent.piece),
                write.last.eq(sent.last), write.data.eq(part),
            ]  # fmt: skip
        with m.Else():
            m.d.comb += [
                flit.kind.eq(FlitKind.READOUT), answer.src_y.eq(self.y), answer.src_x.eq(self.x), answer.mem.eq(mem),
                answer.addr.eq(sent.address), answer.chunk.eq(sent.chunk), answer.data.eq(part),
            ]  # fmt: skip
        with m.If(sent.valid & self.o.ready & sent.end & answering):
            m.d.sync += asked.eq(0)
        m.d.comb += self.busy.eq(asked | readout | partial | active | ~empty)
        return m
