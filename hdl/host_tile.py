"""The host tile, at (0, 0): router, host bridge and sequencer."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .bridge import HostBridge
from .config import ChipConfig
from .host import CommandWord, RunState, host_in_bits, host_out_bits
from .router import Router
from .sequencer import Sequencer
from .tile import DIRECTIONS, links

__all__ = ["HostTile"]


class HostTile(wiring.Component):
    """Where the host meets the network. The bridge is the router's LOCAL port, never a mesh edge: an edge host would
    add a Y->X turn, and mixed traffic could then deadlock.

    Members
    -------
    i_north, ..., o_west : flit streams
    i, o : streams of host words (:mod:`hdl.host`)
    command : CommandWord
        To the broadcast tree.
    quiescent : bit
        From the quiescence tree.
    idle : bit
        This tile's own share in it.
    state : RunState
        For a status pin.
    """

    def __init__(self, config: ChipConfig, *, round_trip: int) -> None:
        self.config = config
        self.round_trip = round_trip
        super().__init__({
            **links(config),
            "i": In(stream.Signature(host_in_bits(config))),
            "o": Out(stream.Signature(host_out_bits(config))),
            "command": Out(CommandWord(config)),
            "quiescent": In(1),
            "idle": Out(1),
            "state": Out(RunState),
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
        connect(m, bridge.flit_o, router.i_local)
        connect(m, flipped(self.i), bridge.i)
        connect(m, bridge.o, flipped(self.o))
        for name in ("state", "value", "sample_open", "sample_take", "reserve", "reserve_count"):
            m.d.comb += getattr(bridge, name).eq(getattr(sequencer, name))
        for name in ("set", "set_valid", "get", "sample_pending", "readout_free", "readout_missing", "stray"):
            m.d.comb += getattr(sequencer, name).eq(getattr(bridge, name))
        m.d.comb += [
            router.y.eq(0), router.x.eq(0),
            bridge.dropped.eq(router.dropped),
            self.command.eq(sequencer.command),
            sequencer.quiescent.eq(self.quiescent),
            self.idle.eq(router.idle & bridge.idle),
            self.state.eq(sequencer.state),
        ]  # fmt: skip
        return m
