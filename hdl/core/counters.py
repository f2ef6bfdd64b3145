"""The counters that a core keeps for the host."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..memory import Ram
from ..program import Counter

__all__ = ["Counters"]


class Counters(wiring.Component):
    """One number per :class:`hdl.program.Counter`, ``counter_bits`` wide, wrapping. Exact in every cycle.

    The low bits of each are a register. A memory holds the high bits; its one adder visits the counters in turn, often
    enough to see every change of a register's top bit.

    Members
    -------
    add : one number per counter, named as in Counter in lower case
        Added in every cycle; ``overflow`` is or-ed.
    clear : bit
        All to zero; what is added in the same cycle is lost. ``taken`` stays low until it is done.
    address, taken, value : number, bit, number
        ``taken``: ``value`` is counter ``address`` now. It comes within some tens of cycles.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        lanes = bits_for(config.lanes)
        self._widths = dict.fromkeys(Counter, 1) | {
            Counter.SOPS: bits_for(config.lanes * config.weight_ports),
            Counter.SPIKES_IN: lanes, Counter.SPIKES_OUT: lanes,
            Counter.SATURATIONS: bits_for(config.requant_lanes), Counter.REJECTED: 2, Counter.HOPS: 3,
        }  # fmt: skip
        super().__init__({
            **{counter.name.lower(): In(width) for counter, width in self._widths.items()},
            "clear": In(1),
            "address": In(bits_for(len(Counter) - 1)),
            "taken": Out(1),
            "value": Out(config.counter_bits),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        number = bits_for(len(Counter) - 1)
        # Between two visits a register counts less than half its range, so that its top bit falls at most once.
        low_bits = max(self._widths.values()) + number + 1
        lows = []
        for counter in Counter:
            low, added = Signal(low_bits, name=f"low_{counter.name.lower()}"), getattr(self, counter.name.lower())
            m.d.sync += low.eq(low | added if counter is Counter.OVERFLOW else low + added)
            with m.If(self.clear):
                m.d.sync += low.eq(0)
            lows.append(low)

        # Visits: read the high bits and the top bit as it was, one cycle later write them anew.
        high_bits = self.config.counter_bits - low_bits
        m.submodules.highs = highs = Ram(shape=high_bits + 1, depth=1 << number)
        visit, visited = Signal(number), Signal(number)
        clearing = Signal(range((1 << number) + 2), init=(1 << number) + 1)  # visits that still write zero
        low, high = Signal(low_bits), Signal(high_bits)
        m.d.comb += [
            low.eq(Array(lows)[visited]), high.eq(highs.r_data[1:] + (highs.r_data[0] & ~low[-1])),
            highs.r_addr.eq(visit), highs.w_addr.eq(visited), highs.w_en.eq(1),
            highs.w_data.eq(Cat(low[-1], Mux(clearing != 0, 0, high))),
            self.taken.eq((visited == self.address) & (clearing == 0)), self.value.eq(Cat(low, high)),
        ]  # fmt: skip
        m.d.sync += [visit.eq(visit + 1), visited.eq(visit)]
        with m.If(self.clear):
            m.d.sync += clearing.eq((1 << number) + 1)
        with m.Elif(clearing != 0):
            m.d.sync += clearing.eq(clearing - 1)
        return m
