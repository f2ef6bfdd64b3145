"""The way from the network to the host: read-out flits and register answers become host words."""

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for
from .flit import Flit, FlitKind, payload_layouts
from .host import HostOut, HostTag, RegisterPayload, host_out_bits
from .program import Memory, chunks_of

__all__ = ["ReturnPath"]


class ReturnPath(wiring.Component):
    """Queues what comes back, and keeps the account of what is due.

    Ejection (``flit_i``) is always ready: room for every read-out flit is reserved before it is asked for, and what
    was not asked for is counted as lost and dropped.

    Members
    -------
    flit_i : stream of Flit
        From the router.
    answer : stream of RegisterPayload
        Answers to GET; they overtake read-outs.
    o, o_last : stream of host words, bit
        ``o_last`` goes with the offered word: the last one of a sample's read-out or of an answer.
    expecting, expect, expect_window : bit, count, bit
        With ``expecting`` that many flits are due from this cycle on; with ``expect_window`` they go to the read
        window, not to the host.
    missing, free : counts
        Flits that are due; unreserved entries of the queue.
    roomy : bit
        While nothing is due: any memory's word would find room in the queue.
    forget : bit
        Nothing is due any more, and the queue is emptied; a word that is offered already stays.
    draining : bit
        What arrives unasked for is the rest of an aborted run, and not counted.
    lost : bit
        A flit was dropped in this cycle.
    chunk, chunk_valid, chunk_last : "readout" payload, bit, bit
        For the read window.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        count = unsigned(bits_for(config.readout_depth))
        super().__init__({
            "flit_i": In(stream.Signature(Flit(config))),
            "answer": In(stream.Signature(RegisterPayload())),
            "o": Out(stream.Signature(host_out_bits(config))),
            "o_last": Out(1),
            "expecting": In(1),
            "expect": In(count),
            "expect_window": In(1),
            "missing": Out(count),
            "free": Out(count),
            "roomy": Out(1),
            "forget": In(1),
            "draining": In(1),
            "lost": Out(1),
            "chunk": Out(payload_layouts(config)["readout"]),
            "chunk_valid": Out(1),
            "chunk_last": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        config = self.config
        m = Module()
        readout = payload_layouts(config)["readout"]
        queue = SyncFIFOBuffered(width=readout.size + 1, depth=config.readout_depth)
        m.submodules.readouts = ResetInserter(self.forget)(queue)
        m.submodules.answers = answers = SyncFIFOBuffered(width=RegisterPayload().size, depth=4)
        m.d.comb += [
            answers.w_data.eq(self.answer.payload),
            answers.w_en.eq(self.answer.valid),
            self.answer.ready.eq(answers.w_rdy),
        ]

        # What is due at one time is all one sample's, or all one answer's: the next is asked for when nothing is due.
        missing = self.missing
        to_window = Signal()
        arrived, last = Signal(), Signal()
        flit = self.flit_i
        m.d.comb += [
            flit.ready.eq(1),
            arrived.eq(flit.valid & (flit.payload.kind == FlitKind.READOUT) & (missing != 0)),
            last.eq(missing == 1),
            self.lost.eq(flit.valid & ~arrived & ~self.draining),
            self.chunk.eq(flit.payload.payload.readout),
            self.chunk_valid.eq(arrived & to_window),
            self.chunk_last.eq(last),
            queue.w_data.eq(Cat(flit.payload.payload.readout, last)),
            queue.w_en.eq(arrived & ~to_window),
            self.free.eq(config.readout_depth - queue.level - missing),
        ]
        # A cycle ahead, for it decides late: what is written in this cycle counts, what leaves counts in the next one.
        enough = config.readout_depth - max(chunks_of(config, memory) for memory in Memory)
        m.d.sync += self.roomy.eq(Mux(queue.w_en, queue.level < enough, queue.level <= enough))
        with m.If(self.forget):
            m.d.sync += [missing.eq(0), to_window.eq(0)]
        with m.Else():
            m.d.sync += missing.eq(missing - arrived)
            with m.If(self.expecting):  # it comes late, after the sums
                m.d.sync += [missing.eq(missing + self.expect - arrived), to_window.eq(self.expect_window)]

        # Registered, so that an offered word never changes while the host stalls.
        word = Signal(HostOut(config))
        m.d.comb += self.o.payload.eq(word)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(answers.r_rdy | (queue.r_rdy & ~self.forget)), word.eq(0)]
            with m.If(answers.r_rdy):
                m.d.comb += answers.r_en.eq(1)
                m.d.sync += [word.tag.eq(HostTag.REGISTER), word.payload.register.eq(answers.r_data)]
                m.d.sync += self.o_last.eq(1)
            with m.Elif(queue.r_rdy):
                m.d.comb += queue.r_en.eq(1)
                m.d.sync += [word.tag.eq(HostTag.READOUT), word.payload.readout.eq(queue.r_data[: readout.size])]
                m.d.sync += self.o_last.eq(Mux(queue.r_rdy, queue.r_data[-1], 0))
        return m
