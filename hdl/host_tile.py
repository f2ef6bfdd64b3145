"""The host tile, at (0, 0): router, host bridge, sequencer, program guard and read window."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .bridge import HostBridge
from .config import ChipConfig
from .flit import Flit
from .guard import ProgramGuard
from .host import (
    REGISTER_BITS,
    CommandWord,
    ErrorCode,
    Register,
    RegisterPayload,
    RunState,
    host_in_bits,
    host_out_bits,
)
from .router import Router
from .sequencer import Sequencer
from .tile import DIRECTIONS, links
from .window import ReadWindow

__all__ = ["HostTile", "RegisterBus"]


class RegisterBus(wiring.Signature):
    """Register accesses beside the word stream, each done in its cycle; the stream's own wait meanwhile.

    Members
    -------
    valid, write : bits
        An access; ``write`` says which.
    register, value : Register, 32 bits
        What to write to it.
    answer : 32 bits
        With ``valid``: the register's value before the access.
    """

    def __init__(self) -> None:
        super().__init__({
            "valid": Out(1),
            "write": Out(1),
            "register": Out(Register),
            "value": Out(REGISTER_BITS),
            "answer": In(REGISTER_BITS),
        })  # fmt: skip


class HostTile(wiring.Component):
    """Where the host meets the network. The bridge is the router's LOCAL port, never a mesh edge: an edge host would
    add a Y->X turn, and mixed traffic could then deadlock.

    Members
    -------
    i_north, ..., o_west : flit streams
    i, o, o_last : streams of host words (:mod:`hdl.host`), bit
        ``o_last`` goes with the word that ``o`` offers: the last one of a sample's read-out or of an answer.
    bus : RegisterBus
    command : CommandWord
        To the broadcast tree.
    quiescent : bit
        From the quiescence tree.
    idle : bit
        This tile's own share in it.
    sound : bit
        No core complains about its program, through a tree like that of quiescence.
    state : RunState
        For a status pin.
    reset : bit
        The host asked for Control.RESET: what it had sent before is to be forgotten.
    """

    def __init__(self, config: ChipConfig, *, round_trip: int) -> None:
        self.config = config
        self.round_trip = round_trip
        super().__init__({
            **links(config),
            "i": In(stream.Signature(host_in_bits(config))),
            "o": Out(stream.Signature(host_out_bits(config))),
            "o_last": Out(1),
            "bus": In(RegisterBus()),
            "command": Out(CommandWord(config)),
            "quiescent": In(1),
            "idle": Out(1),
            "sound": In(1),
            "state": Out(RunState),
            "reset": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.router = router = Router(self.config)
        m.submodules.bridge = bridge = HostBridge(self.config)
        m.submodules.sequencer = sequencer = Sequencer(self.config, round_trip=self.round_trip)
        for direction in DIRECTIONS:
            connect(m, flipped(getattr(self, f"i_{direction}")), getattr(router, f"i_{direction}"))
            connect(m, getattr(router, f"o_{direction}"), flipped(getattr(self, f"o_{direction}")))
        connect(m, router.o_local, bridge.flit_i)
        # What the bridge sends is known late, and so is what the router does with it: a register in between.
        held, sent, flit = Signal(), Signal(), Signal(Flit(self.config))
        m.d.sync += sent.eq(bridge.sent)
        m.d.comb += [
            router.i_local.valid.eq(held), router.i_local.payload.eq(flit),
            bridge.flit_o.ready.eq(~held | router.i_local.ready),
        ]  # fmt: skip
        with m.If(bridge.flit_o.ready):
            m.d.sync += [held.eq(bridge.flit_o.valid), flit.eq(bridge.flit_o.payload)]
        connect(m, flipped(self.i), bridge.i)
        connect(m, bridge.o, flipped(self.o))
        for name in ("state", "sample_open", "sample_take", "reserve_count", "fresh", "reset"):
            m.d.comb += getattr(bridge, name).eq(getattr(sequencer, name))
        for name in ("sample_pending", "readout_free", "readout_missing", "stray"):
            m.d.comb += getattr(sequencer, name).eq(getattr(bridge, name))

        # Neither is urgent, and both end long paths. What begins anew in this cycle is not to be blamed for what was.
        m.d.sync += [
            bridge.reserve.eq(sequencer.reserve & ~sequencer.fresh),
            sequencer.complaint.eq(Mux(sequencer.fresh, ErrorCode.NONE, bridge.complaint)),
        ]

        # The registers: the bus goes first, and never twice in a row, so the stream's accesses get their turn.
        m.submodules.guard = guard = ProgramGuard(self.config)
        m.submodules.window = window = ReadWindow(self.config)
        value = Signal(REGISTER_BITS)
        access, written = Signal(RegisterPayload()), Signal()
        bus = self.bus
        m.d.comb += [
            access.eq(bridge.set), written.eq(bridge.set_valid),
            bridge.registers_busy.eq(bus.valid | sent),  # a flit is counted before the next word sees the registers
            value.eq(sequencer.value | guard.value | window.value), bridge.value.eq(value), bus.answer.eq(value),
        ]  # fmt: skip
        with m.If(bus.valid):
            m.d.comb += [access.address.eq(bus.register), access.value.eq(bus.value), written.eq(bus.write)]
        for owner in (sequencer, guard, window):
            m.d.comb += [owner.set.eq(access), owner.set_valid.eq(written), owner.get.eq(access.address)]
            if owner is not sequencer:
                m.d.comb += owner.reset.eq(sequencer.reset)
        m.d.comb += [
            guard.begin.eq(sequencer.begin), guard.flit.eq(flit), guard.sent.eq(sent),
            guard.sound.eq(self.sound), sequencer.refusal.eq(guard.refusal), bridge.sample_flits.eq(guard.sample_flits),
            window.forget.eq(sequencer.fresh), window.taken.eq(bridge.window_taken), window.chunk.eq(bridge.chunk),
            window.chunk_valid.eq(bridge.chunk_valid), window.chunk_last.eq(bridge.chunk_last),
            bridge.window_request.eq(window.request), bridge.window_y.eq(window.y), bridge.window_x.eq(window.x),
            bridge.window_mem.eq(window.mem), bridge.window_address.eq(window.address), self.o_last.eq(bridge.o_last),
        ]  # fmt: skip
        m.d.comb += [
            router.y.eq(0), router.x.eq(0),
            bridge.dropped.eq(router.dropped),
            self.command.eq(sequencer.command),
            sequencer.quiescent.eq(self.quiescent),
            self.idle.eq(router.idle & bridge.idle & ~held),
            self.state.eq(sequencer.state), self.reset.eq(sequencer.reset),
        ]  # fmt: skip
        return m
