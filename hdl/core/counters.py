"""The counters that a core keeps for the host."""

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..program import Counter, address_bits

__all__ = ["Counters"]


class Counters(wiring.Component):
    """One register per :class:`hdl.program.Counter`, ``counter_bits`` wide, wrapping.

    Members
    -------
    add : one number per counter, named as in Counter in lower case
        Added in every cycle; ``overflow`` is or-ed.
    clear : bit
        All to zero; what is added in the same cycle is lost.
    address, value : asynchronous read port
        Zero where no such counter exists.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        lanes = bits_for(config.lanes)
        widths = dict.fromkeys(Counter, 1) | {
            Counter.SOPS: bits_for(config.lanes * config.weight_ports),
            Counter.SPIKES_IN: lanes, Counter.SPIKES_OUT: lanes,
            Counter.SATURATIONS: bits_for(config.requant_lanes), Counter.REJECTED: 2, Counter.HOPS: 3,
        }  # fmt: skip
        super().__init__({
            **{counter.name.lower(): In(width) for counter, width in widths.items()},
            "clear": In(1),
            "address": In(address_bits(config)),
            "value": Out(config.counter_bits),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        counts = {c: Signal(self.config.counter_bits, name=f"count_{c.name.lower()}") for c in Counter}
        for counter, count in counts.items():
            added = getattr(self, counter.name.lower())
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(added != 0):  # idle registers do not toggle
                m.d.sync += count.eq(count | added if counter is Counter.OVERFLOW else count + added)
        with m.If(self.address < len(Counter)):
            m.d.comb += self.value.eq(Array(counts[c] for c in Counter)[self.address])
        return m
