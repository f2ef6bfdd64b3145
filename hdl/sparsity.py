"""RoT, truncation and DRLO (paper eq. 22 and figure 10): fewer spikes per activation, as a pure function of it."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for

__all__ = ["Sparsify"]


class Sparsify(wiring.Component):
    """RoT or truncation, then DRLO, each bypassed by a parameter of 0, in one cycle. For unsigned activations only.

    Parameters
    ----------
    config: chip configuration (``time_steps``).

    Members
    -------
    a: activation, ``0..hi`` (passes unchanged, whatever it means, while ``rot`` and ``drlo`` are 0).
    hi: largest activation, as in :func:`hdl.program.CoreDescriptor`.
    rot: k of eq. 22, ``min(((a + 2^(k-1)) >> k) << k, (hi >> k) << k)``; 0: off.
    truncate: ``(a >> k) << k`` instead.
    drlo: number of most significant spikes (set bits) to keep; 0: off.
    o: the result, one cycle after ``a``.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "a": In(unsigned(config.act_bits)),
            "hi": In(unsigned(config.act_bits)),
            "rot": In(bits_for(config.time_steps - 1)),
            "truncate": In(1),
            "drlo": In(bits_for(config.time_steps)),
            "o": Out(unsigned(config.act_bits)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        bits = self.config.act_bits

        # Both candidates of eq. 22's minimum are multiples of 2^k, so one mask replaces the shift pairs.
        width = max(1 << len(self.rot), bits) + 1  # holds a + 2^(k-1) for every value of the field
        power = Signal(width)
        keep = Signal(width)
        nearest = Signal(width)
        largest = Signal(width)
        rounded = Signal(bits)
        m.d.comb += [
            power.eq(Const(1) << self.rot),
            keep.eq(~(power - 1)),
            nearest.eq((self.a + Mux(self.truncate, 0, power >> 1)) & keep),
            largest.eq(self.hi & keep),
        ]
        m.d.sync += rounded.eq(Mux(self.rot == 0, self.a, Mux(nearest > largest, largest, nearest)))

        # A spike survives while fewer than `drlo` spikes precede it (step 0 is the most significant bit): bit n of
        # `few` says that n may precede, and every spike shifts it. Its begin is the same for all neurons of a core.
        few = Cat((self.drlo == 0) | (n < self.drlo) for n in range(bits))
        survives = []
        for n, spike in enumerate(reversed(rounded)):
            level = Signal(bits - n, name=f"few_{n}")  # a signal: as nested expressions they would double at each bit
            m.d.comb += level.eq(few)
            survives.append(spike & level[0])
            few = Mux(spike, level[1:], level[:-1])
        m.d.comb += self.o.eq(Cat(reversed(survives)))
        return m
