"""The counters that a core keeps for the host."""

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..adders import select_add
from ..config import ChipConfig, bits_for
from ..memory import Ram
from ..program import Counter
from ..select import decoded, selected

__all__ = ["VISITS", "Counters"]

VISITS = 1 << bits_for(len(Counter) - 1)
"""Cycles of a round of visits. They go on in a core at rest: all else there stands still."""


class Counters(wiring.Component):
    """One number per :class:`hdl.program.Counter`, ``counter_bits`` wide, wrapping. Exact in every cycle.

    Each has a small register. A memory holds the totals; its one adder visits the counters in turn, often enough that
    no register is full, and adds what is there.

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
        period = VISITS
        number = bits_for(period - 1)
        # Visits: read the total, one cycle later write it with what the register has, which then begins anew.
        m.submodules.totals = totals = Ram(shape=self.config.counter_bits, depth=period)
        visit, visited = Signal(number), Signal(number)
        clearing = Signal(range(period + 2), init=period + 1)  # visits that still find zero; in reset address 0 twice
        zero = Signal(init=1)  # whether there are any
        recent = Signal(bits_for(period * ((1 << max(self._widths.values())) - 1)))
        now = Signal(period)
        m.d.comb += now.eq(decoded(visited, period))
        found = []
        for counter, width in self._widths.items():
            name, added, visits = counter.name.lower(), getattr(self, counter.name.lower()), now[counter]
            low = Signal(
                1 if counter is Counter.OVERFLOW else bits_for(period * ((1 << width) - 1)), name=f"low_{name}"
            )
            if counter is Counter.OVERFLOW:  # a flag: it counts where there was none
                m.d.sync += low.eq(added | (low & ~visits))
                found.append((low & ~totals.r_data[0]) | (low & zero))
            else:
                m.d.sync += low.eq(select_add(m, platform, f"next_{name}", added, ~visits, low, Const(0, len(low))))
                found.append(low)
            with m.If(self.clear):
                m.d.sync += low.eq(0)
        total = select_add(
            m, platform, "total", recent, ~zero, totals.r_data, Const(0, self.config.counter_bits)
        )  # fmt: skip
        m.d.comb += [
            recent.eq(selected(now, found)), totals.r_addr.eq(visit), totals.w_addr.eq(visited), totals.w_en.eq(1),
            totals.w_data.eq(total), self.taken.eq((visited == self.address) & ~zero), self.value.eq(total),
        ]  # fmt: skip
        m.d.sync += [visit.eq(visit + 1), visited.eq(visit)]
        with m.If(self.clear):
            m.d.sync += [clearing.eq(period), zero.eq(1)]
        with m.Elif(zero):
            m.d.sync += [clearing.eq(clearing - 1), zero.eq(clearing != 1)]
        return m
