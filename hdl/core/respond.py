"""Memory words to the host: answers to READ flits, and the read-out of activations."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..program import Memory, address_bits, chunk_bits, chunks_of, memory_depths, memory_layouts

__all__ = ["Responder"]


class Responder(wiring.Component):
    """Sends words as READOUT flits, four cycles a chunk: read, chunk of each memory, chunk of the memory, flit.

    A chunk is read anew from its memory, so that a waiting host holds no port of any memory.

    Members
    -------
    words : number
        Words that a read-out sends.
    y, x : bits
        This tile.
    read, read_mem, read_address : bit, Memory, number
        A READ flit; one that comes before the last one is answered is not taken.
    rejected : bit
        With ``read``: it is not taken, or its memory or address does not exist. That one is answered all the same,
        with zeros in as many chunks as words of that memory have (one where there is no such memory): the host waits.
    readout : bit
        Starts sending all activation words of the front slot.
    grant : bit
        All memory ports are free; read-outs do not wait for it.
    front : bit
        With ``port``: for a read-out, which needs the port of the activations only, of the front slot.
    port : bit
        Reads all memories in this cycle, at ``address``.
    fresh : bit
        With ``port``: it reads a word's first chunk.
    address : number
    data : one member per memory
        Their words in the next cycle.
    o : stream of Flit
    busy : bit
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        sizes = {memory.name.lower(): layout.size for memory, layout in memory_layouts(config).items()}
        super().__init__({
            "words": In(bits_for(config.neuron_words)),
            "y": In(bits_for(config.rows - 1)),
            "x": In(bits_for(config.cols - 1)),
            "read": In(1),
            "read_mem": In(Memory),
            "read_address": In(address_bits(config)),
            "rejected": Out(1),
            "readout": In(1),
            "grant": In(1),
            "front": Out(1),
            "port": Out(1),
            "fresh": Out(1),
            "address": Out(address_bits(config)),
            "data": In(data.StructLayout(sizes)),
            "o": Out(stream.Signature(Flit(config))),
            "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        width = config.data_bits
        depths = memory_depths(config)

        # The READ to answer, and whether its word exists.
        asked, asked_mem, asked_address = Signal(), Signal(Memory), Signal(address_bits(config))
        sound, sound_now = Signal(), Signal()
        m.d.comb += self.rejected.eq(self.read & (asked | ~sound_now))
        with m.Switch(self.read_mem):
            for memory in Memory:
                with m.Case(memory):
                    m.d.comb += sound_now.eq(self.read_address < depths[memory])
        with m.If(self.read & ~asked):
            m.d.sync += [
                asked.eq(1), asked_mem.eq(self.read_mem), asked_address.eq(self.read_address), sound.eq(sound_now),
            ]  # fmt: skip
        length = Signal(chunk_bits(config))
        with m.Switch(asked_mem):
            for memory in Memory:
                with m.Case(memory):
                    m.d.comb += length.eq(chunks_of(config, memory) - 1)

        # What is being sent.
        readout, sending = Signal(), Signal()
        mem, address = Signal(Memory), Signal(address_bits(config))
        exists = Signal()
        chunk, chunk_last = Signal(chunk_bits(config)), Signal(chunk_bits(config))
        parts = Signal(data.ArrayLayout(width, len(Memory)))
        part = Signal(width)
        with m.If(self.readout & (self.words != 0)):
            m.d.sync += readout.eq(1)
        m.d.comb += [self.address.eq(address), self.fresh.eq(chunk == 0)]
        with m.FSM() as fsm:
            with m.State("idle"):
                m.d.sync += chunk.eq(0)
                with m.If(readout):
                    m.d.sync += [mem.eq(Memory.ACT), address.eq(0), exists.eq(1), sending.eq(1)]
                    m.d.sync += chunk_last.eq(chunks_of(config, Memory.ACT) - 1)
                    m.next = "read"
                with m.Elif(asked):
                    m.d.sync += [mem.eq(asked_mem), address.eq(asked_address), exists.eq(sound), sending.eq(0)]
                    m.d.sync += chunk_last.eq(length)
                    m.next = "read"
            with m.State("read"):
                m.d.comb += self.port.eq(sending | self.grant)
                with m.If(self.port):
                    m.next = "cut"
            with m.State("cut"):
                for n, memory in enumerate(Memory):
                    word = self.data[memory.name.lower()]
                    cuts = Array(word[c * width : (c + 1) * width] for c in range(chunks_of(config, memory)))
                    m.d.sync += parts[n].eq(cuts[chunk])
                m.next = "select"
            with m.State("select"):
                m.d.sync += part.eq(0)
                with m.If(exists):
                    m.d.sync += part.eq(Array(parts[n] for n in range(len(Memory)))[Cat(mem)])
                m.next = "send"
            with m.State("send"):
                with m.If(self.o.ready):
                    m.d.sync += chunk.eq(chunk + 1)
                    m.next = "read"
                    with m.If(chunk == chunk_last):
                        m.d.sync += [chunk.eq(0), address.eq(address + 1)]
                        with m.If(~sending):
                            m.d.sync += asked.eq(0)
                            m.next = "idle"
                        with m.Elif(address + 1 >= self.words):
                            m.d.sync += readout.eq(0)
                            m.next = "idle"
        flit = self.o.payload
        answer = flit.payload.readout
        m.d.comb += [
            self.o.valid.eq(fsm.ongoing("send")), flit.kind.eq(FlitKind.READOUT),
            answer.src_y.eq(self.y), answer.src_x.eq(self.x), answer.mem.eq(mem), answer.addr.eq(address),
            answer.chunk.eq(chunk), answer.data.eq(part),
            self.front.eq(sending), self.busy.eq(asked | readout),
        ]  # fmt: skip
        return m
