"""The host bridge: carries out host words, as flits for the network and as register accesses.

It sits at the host tile's LOCAL port. The way back is :mod:`hdl.returns`.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .config import ChipConfig, bits_for
from .flit import Flit, FlitKind, payload_layouts
from .host import (
    REGISTER_BITS,
    ErrorCode,
    HostIn,
    HostOp,
    Register,
    RegisterPayload,
    RunState,
    host_in_bits,
    host_out_bits,
)
from .program import Memory, address_bits, chunks_of
from .registers import register_map
from .returns import ReturnPath
from .router import within_mesh

__all__ = ["HostBridge"]


class HostBridge(wiring.Component):
    """Host streams on one side, the router's LOCAL port and the sequencer on the other.

    FLIT words wait while a run is in progress (they may pass when it is stopped, failed, paused or waiting for a
    sample); SAMPLE words wait until the input tiles' back slots are free, and are dropped and counted
    as stray when no run is started. A READ waits for the answer to the one before it. A word that no host may send is
    dropped, counted as stray, and fails the run.

    Members
    -------
    i, o, o_last : streams of host words; ``o_last`` marks the end of a sample's read-out or of an answer
    flit_i, flit_o : streams of Flit
        From and to the router.
    sent : bit
        ``flit_o`` is handed over in this cycle.
    dropped : bit
        From the router: it discarded a flit.
    idle : bit
        No flit is offered: the bridge's share of the barrier.
    state, set, set_valid, get, value, sample_pending, sample_open, sample_take, readout_free, readout_missing,
    reserve, reserve_count, stray, complaint, fresh, reset : as the sequencer's
    registers_busy : bit
        The bus has the register port in this cycle.
    sample_flits : 32 bits
        Flits of one sample.
    window_request, window_y, window_x, window_mem, window_address, window_taken : the read window's request
    chunk, chunk_valid, chunk_last : its answer
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        count = unsigned(bits_for(config.readout_depth))
        super().__init__({
            "i": In(stream.Signature(host_in_bits(config))),
            "o": Out(stream.Signature(host_out_bits(config))),
            "o_last": Out(1),
            "flit_i": In(stream.Signature(Flit(config))),
            "flit_o": Out(stream.Signature(Flit(config))),
            "sent": Out(1),
            "dropped": In(1),
            "idle": Out(1),
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
            "complaint": Out(ErrorCode),
            "fresh": In(1),
            "reset": In(1),
            "registers_busy": In(1),
            "sample_flits": In(REGISTER_BITS),
            "window_request": In(1),
            "window_y": In(bits_for(config.rows - 1)),
            "window_x": In(bits_for(config.cols - 1)),
            "window_mem": In(Memory),
            "window_address": In(address_bits(config)),
            "window_taken": Out(1),
            "chunk": Out(payload_layouts(config)["readout"]),
            "chunk_valid": Out(1),
            "chunk_last": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.returns = returns = ReturnPath(config)
        connect(m, flipped(self.flit_i), returns.flit_i)
        connect(m, returns.o, flipped(self.o))
        draining = self.state == RunState.CLEARING
        m.d.comb += [
            self.o_last.eq(returns.o_last), self.readout_free.eq(returns.free),
            self.readout_missing.eq(returns.missing), returns.forget.eq(self.fresh), returns.draining.eq(draining),
            self.chunk.eq(returns.chunk), self.chunk_valid.eq(returns.chunk_valid),
            self.chunk_last.eq(returns.chunk_last),
        ]  # fmt: skip

        # -- words from the host ----------------------------------------------------------------
        word = Signal(HostIn(config))
        held = Signal()
        done = Signal()
        m.d.comb += self.i.ready.eq(~held | done)
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.valid), word.eq(self.i.payload)]
        with m.Elif(self.reset):
            m.d.sync += held.eq(0)  # RESET came by the bus, while a word waits here

        flit = word.payload.flit
        is_read = flit.kind == FlitKind.READ
        is_write = flit.kind == FlitKind.WRITE
        may_flit = Signal()
        m.d.comb += may_flit.eq(
            (self.state != RunState.RUNNING)
            & ~draining
            # A pending sample starts the next window at any moment.
            & ((self.state != RunState.WAITING) | ~self.sample_pending)
        )
        stopped = (self.state == RunState.STOPPED) | (self.state == RunState.FAILED)
        sample_ok = self.sample_open & ~self.sample_pending
        offer, transfer = Signal(), Signal()  # the held word's flit
        discard = Signal()
        sample_count, sample_ended = Signal(REGISTER_BITS), Signal()
        nothing_due = Signal()
        m.d.comb += nothing_due.eq(returns.missing == 0)
        most_chunks = max(chunks_of(config, memory) for memory in Memory)

        # A flit goes to a rectangle with a core in it, a READ to the tile at its corner.
        single = (flit.dst.x0 != 0) | (flit.dst.y0 != 0)
        inside = within_mesh(config, flit.dst) & ((flit.dst.x1 != 0) | (flit.dst.y1 != 0))
        sound, sample_sound = Signal(), Signal()
        m.d.comb += [
            sound.eq(inside & (is_write | (is_read & single))),
            sample_sound.eq(inside & is_write & (flit.payload.memory.mem == Memory.ACT)),
        ]
        # SET and GET take two cycles: what the first one finds is a register in the second one, where it decides late.
        writable, settled = Signal(), Signal()
        setting, refused, getting = Signal(), Signal(), Signal()
        m.d.comb += settled.eq(held & ~self.i.ready & ~self.reset)
        m.d.sync += [
            setting.eq(settled & (word.op == HostOp.SET) & writable),
            refused.eq(settled & (word.op == HostOp.SET) & ~writable),
            getting.eq(settled & (word.op == HostOp.GET) & ~self.registers_busy),
        ]
        with m.Switch(word.payload.register.address):
            with m.Case(*(entry.register for entry in register_map(config).values() if entry.access.writable)):
                m.d.comb += writable.eq(1)

        def refuse(code):
            # A run that is being cleared cannot fail, so the word waits.
            return [done.eq(~draining), discard.eq(~draining), self.complaint.eq(Mux(draining, ErrorCode.NONE, code))]

        m.d.comb += [self.set.eq(word.payload.register), self.get.eq(word.payload.register.address)]
        got = Signal(REGISTER_BITS)
        m.d.sync += got.eq(self.value)
        m.d.comb += [returns.answer.payload.address.eq(self.get), returns.answer.payload.value.eq(got)]
        m.d.comb += self.set_valid.eq(setting & ~self.registers_busy)
        with m.If(held):
            with m.Switch(word.op):
                with m.Case(HostOp.FLIT):
                    with m.If(sound):
                        m.d.comb += [
                            offer.eq(may_flit & (~is_read | (nothing_due & returns.roomy))),
                            done.eq(transfer),
                        ]
                    with m.Elif(may_flit):
                        m.d.comb += refuse(ErrorCode.PROTOCOL)
                with m.Case(HostOp.SAMPLE):
                    with m.If(stopped):
                        m.d.comb += [discard.eq(1), done.eq(1)]
                    with m.Elif(sample_sound):
                        m.d.comb += [offer.eq(sample_ok), done.eq(transfer)]
                    with m.Else():
                        m.d.comb += refuse(ErrorCode.PROTOCOL)
                with m.Case(HostOp.SAMPLE_END):
                    with m.If(stopped):
                        m.d.comb += [discard.eq(1), done.eq(1)]
                    with m.Elif(sample_ok & (sample_count != self.sample_flits)):
                        m.d.comb += refuse(ErrorCode.SAMPLE)
                    with m.Elif(sample_ok):
                        m.d.comb += [done.eq(1), sample_ended.eq(1)]
                        m.d.sync += self.sample_pending.eq(1)
                with m.Case(HostOp.SET):
                    m.d.comb += done.eq(self.set_valid)
                    with m.If(refused):
                        m.d.comb += refuse(ErrorCode.PROTOCOL)
                with m.Case(HostOp.GET):
                    m.d.comb += [returns.answer.valid.eq(getting), done.eq(getting & returns.answer.ready)]
                with m.Case(HostOp.BROKEN):
                    m.d.comb += refuse(ErrorCode.FRAMING)
                with m.Default():
                    m.d.comb += refuse(ErrorCode.PROTOCOL)
        with m.If(self.fresh | stopped | self.sample_take):
            m.d.sync += self.sample_pending.eq(0)
        with m.If(self.fresh | stopped | sample_ended):  # a sample that is refused stops the run
            m.d.sync += sample_count.eq(0)
        with m.Elif(transfer & (word.op == HostOp.SAMPLE)):
            m.d.sync += sample_count.eq(sample_count + 1)

        # -- flits to the network: the held word's, or the read window's ------------------------
        out = self.flit_o
        stuck, use_window, read_sent = Signal(), Signal(), Signal()
        m.d.sync += stuck.eq(offer & ~use_window & ~out.ready)  # an offered flit stays
        m.d.comb += [
            use_window.eq(self.window_request & may_flit & nothing_due & ~stuck),
            out.valid.eq(use_window | offer),
            self.sent.eq(out.valid & out.ready),
            transfer.eq(offer & ~use_window & out.ready),
            self.window_taken.eq(use_window & out.ready),
            read_sent.eq(self.window_taken | (transfer & is_read)),
            out.payload.eq(flit),
            # A flit offered to the router is work: no barrier may pass it.
            self.idle.eq(~out.valid),
        ]
        with m.If(use_window):
            m.d.comb += [
                out.payload.kind.eq(FlitKind.READ),
                out.payload.dst.x0.eq(self.window_x), out.payload.dst.x1.eq(self.window_x),
                out.payload.dst.y0.eq(self.window_y), out.payload.dst.y1.eq(self.window_y),
                out.payload.payload.memory.mem.eq(self.window_mem),
                out.payload.payload.memory.addr.eq(self.window_address),
            ]  # fmt: skip
        with m.Elif(is_read):  # one tile only, or the answers could not be counted
            m.d.comb += [out.payload.dst.x1.eq(flit.dst.x0), out.payload.dst.y1.eq(flit.dst.y0)]

        # -- what is due ------------------------------------------------------------------------
        counts = []  # both at once: which of the two is sent is known late
        for name, mem in (("flit", flit.payload.memory.mem), ("window", self.window_mem)):
            count = Signal(range(most_chunks + 1), init=1, name=f"{name}_chunks")
            with m.Switch(mem):
                for memory in Memory:
                    with m.Case(memory):
                        m.d.comb += count.eq(chunks_of(config, memory))
                with m.Default():
                    m.d.comb += count.eq(1)
            counts.append(count)
        chunk_count = Mux(use_window, counts[1], counts[0])
        m.d.comb += [
            returns.expecting.eq(read_sent | self.reserve),
            returns.expect.eq(Mux(self.reserve, self.reserve_count, chunk_count)),  # never both
            returns.expect_window.eq(use_window),
        ]  # fmt: skip
        stray = Signal(2)  # of the cycle before
        m.d.sync += stray.eq(returns.lost + discard + self.dropped)
        with m.If(self.reset):
            m.d.sync += [self.stray.eq(0), stray.eq(0)]
        with m.Else():
            m.d.sync += self.stray.eq(self.stray + stray)
        return m
