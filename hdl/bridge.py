"""The host bridge: turns host words into flits and register accesses, and read-out flits into host words.

It sits at the host tile's LOCAL port. Ejection (``flit_i``) is always ready: room for every read-out flit is
reserved before it is asked for, and what was not asked for is counted and dropped.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for
from .flit import Flit, FlitKind, payload_layouts
from .host import (
    REGISTER_BITS,
    HostIn,
    HostOp,
    HostOut,
    HostTag,
    Register,
    RegisterPayload,
    RunState,
    host_in_bits,
    host_out_bits,
)
from .program import Memory, chunks_of

__all__ = ["HostBridge"]


class HostBridge(wiring.Component):
    """Host streams on one side, the router's LOCAL port and the sequencer on the other.

    FLIT words wait while a run is in progress (they may pass when it is stopped, failed, paused or waiting for a
    sample); SAMPLE words wait until the input tiles' back slots are free, and are dropped and counted
    as stray when no run is started. A READ waits for the answer to the one before it.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        count = unsigned(bits_for(config.readout_depth))
        super().__init__({
            "i": In(stream.Signature(host_in_bits(config))),
            "o": Out(stream.Signature(host_out_bits(config))),
            "flit_i": In(stream.Signature(Flit(config))),
            "flit_o": Out(stream.Signature(Flit(config))),
            "dropped": In(1),
            "idle": Out(1),
            # To and from the sequencer, named as there.
            "state": In(RunState),
            "set": Out(RegisterPayload()),
            "set_valid": Out(1),
            "get": Out(Register),
            "value": In(REGISTER_BITS),
            "sample_pending": Out(1),
            "sample_open": In(1),
            "sample_take": In(1),
            "readout_free": Out(count),
            "readout_missing": Out(count),
            "reserve": In(1),
            "reserve_count": In(count),
            "stray": Out(REGISTER_BITS),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.readouts = readouts = SyncFIFOBuffered(
            width=payload_layouts(config)["readout"].size, depth=config.readout_depth
        )
        m.submodules.answers = answers = SyncFIFOBuffered(width=RegisterPayload().size, depth=4)

        # -- from the host ----------------------------------------------------------------------
        word = Signal(HostIn(config))
        held = Signal()
        done = Signal()
        m.d.comb += self.i.ready.eq(~held | done)
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.valid), word.eq(self.i.payload)]

        flit = word.payload.flit
        is_read = flit.kind == FlitKind.READ
        missing = self.readout_missing
        may_flit = Signal()
        m.d.comb += may_flit.eq(
            (self.state != RunState.RUNNING)
            & (self.state != RunState.CLEARING)
            # A pending sample starts the next window at any moment.
            & ((self.state != RunState.WAITING) | ~self.sample_pending)
        )
        may_read = Signal()
        chunks = {memory.value: chunks_of(config, memory) for memory in Memory}
        chunk_count = Signal(range(max(chunks.values()) + 1), init=1)
        m.d.comb += may_read.eq((missing == 0) & (self.readout_free >= max(chunks.values())))
        with m.Switch(flit.payload.memory.mem):
            for memory, n in chunks.items():
                with m.Case(memory):
                    m.d.comb += chunk_count.eq(n)
            with m.Default():
                m.d.comb += chunk_count.eq(1)
        stopped = (self.state == RunState.STOPPED) | (self.state == RunState.FAILED)
        sample_ok = self.sample_open & ~self.sample_pending
        discard = Signal()
        read_sent = Signal()

        m.d.comb += [
            self.flit_o.payload.eq(flit),
            self.set.eq(word.payload.register),
            self.get.eq(word.payload.register.address),
        ]
        with m.If(is_read):  # one tile only, or the answers could not be counted
            m.d.comb += [
                self.flit_o.payload.dst.x1.eq(flit.dst.x0),
                self.flit_o.payload.dst.y1.eq(flit.dst.y0),
            ]
        with m.If(held):
            with m.Switch(word.op):
                with m.Case(HostOp.FLIT):
                    m.d.comb += [
                        self.flit_o.valid.eq(may_flit & (~is_read | may_read)),
                        done.eq(self.flit_o.valid & self.flit_o.ready),
                        read_sent.eq(done & is_read),
                    ]
                with m.Case(HostOp.SAMPLE):
                    m.d.comb += [
                        discard.eq(stopped | is_read),
                        self.flit_o.valid.eq(sample_ok & ~is_read),
                        done.eq(discard | (self.flit_o.valid & self.flit_o.ready)),
                    ]
                with m.Case(HostOp.SAMPLE_END):
                    m.d.comb += [discard.eq(stopped), done.eq(stopped | sample_ok)]
                    with m.If(sample_ok):
                        m.d.sync += self.sample_pending.eq(1)
                with m.Case(HostOp.SET):
                    m.d.comb += [self.set_valid.eq(1), done.eq(1)]
                with m.Case(HostOp.GET):
                    m.d.comb += [answers.w_en.eq(answers.w_rdy), done.eq(answers.w_rdy)]
                with m.Default():
                    m.d.comb += [discard.eq(1), done.eq(1)]
        answer = Signal(RegisterPayload())
        m.d.comb += [
            answer.address.eq(self.get),
            answer.value.eq(self.value),
            answers.w_data.eq(answer),
        ]
        with m.If(self.sample_take | stopped):
            m.d.sync += self.sample_pending.eq(0)
        # A flit offered to the router is work: no barrier may pass it.
        m.d.comb += self.idle.eq(~self.flit_o.valid)

        # -- from the network -------------------------------------------------------------------
        arrived = Signal()
        lost = Signal()
        m.d.comb += [
            self.flit_i.ready.eq(1),
            arrived.eq(self.flit_i.valid & (self.flit_i.payload.kind == FlitKind.READOUT) & (missing != 0)),
            lost.eq(self.flit_i.valid & ~arrived),
            readouts.w_data.eq(self.flit_i.payload.payload.readout),
            readouts.w_en.eq(arrived),
            self.readout_free.eq(config.readout_depth - readouts.level - missing),
        ]
        with m.If(stopped & (self.set_valid & (self.set.address == Register.CONTROL))):
            m.d.sync += missing.eq(0)  # a new start forgets what a failed run did not deliver
        with m.Else():
            m.d.sync += missing.eq(
                missing + Mux(self.reserve, self.reserve_count, 0) + Mux(read_sent, chunk_count, 0) - arrived
            )
        m.d.sync += self.stray.eq(self.stray + lost + discard + self.dropped)

        # -- to the host ------------------------------------------------------------------------
        # Registered, so that an offered word never changes while the host stalls.
        out_word = Signal(HostOut(config))
        m.d.comb += self.o.payload.eq(out_word)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [self.o.valid.eq(answers.r_rdy | readouts.r_rdy), out_word.eq(0)]
            with m.If(answers.r_rdy):
                m.d.comb += answers.r_en.eq(1)
                m.d.sync += [out_word.tag.eq(HostTag.REGISTER), out_word.payload.register.eq(answers.r_data)]
            with m.Elif(readouts.r_rdy):
                m.d.comb += readouts.r_en.eq(1)
                m.d.sync += [out_word.tag.eq(HostTag.READOUT), out_word.payload.readout.eq(readouts.r_data)]
        return m
