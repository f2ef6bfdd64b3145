"""Arithmetic for all inputs: generation of spikes is the binary expansion, RoT and DRLO are their formulas."""

from amaranth.hdl import Assume, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring

from hdl.config import ChipConfig
from hdl.sparsity import Sparsify

from .engine import Harness, Proof

__all__ = ["PROOFS", "Expansion", "Sparsity"]


class Expansion(Harness):
    """Equations 20 and 21 on a signed number of ``bits + 4`` bits: s(t) = H(V - theta(t)), V <- V - s(t) theta(t).

    The spikes are the bits of the number, clamped to 0 .. 2^bits - 1, most significant first.
    """

    def __init__(self, *, bits: int = 8) -> None:
        self.bits = bits
        super().__init__({"a": signed(bits + 4)})

    def statements(self, m: Module) -> None:
        """See :class:`Expansion`."""
        top = (1 << self.bits) - 1
        clamped = Signal(self.bits)
        m.d.comb += clamped.eq(Mux(self.a < 0, 0, Mux(self.a > top, top, self.a)))
        v: Value = self.a
        for t in range(self.bits):
            theta = 1 << (self.bits - 1 - t)
            spike, after = Signal(name=f"spike_{t}"), Signal(signed(self.bits + 5), name=f"v_{t}")
            m.d.comb += [spike.eq(v - theta >= 0), after.eq(v - Mux(spike, theta, 0))]
            self.claim(m, f"step_{t}", spike == clamped[self.bits - 1 - t])
            v = after
        m.d.comb += self.reached.eq(clamped == 83)


class Sparsity(Harness):
    """RoT (equation 22), then DRLO, from their definitions: shifts, and a count of the spikes before each one.

    The part has a register between the two, and so has the harness.
    """

    def __init__(self, *, bits: int = 8, part: type[wiring.Component] = Sparsify) -> None:
        self.bits = bits
        self.part = part(ChipConfig(rows=1, cols=2, time_steps=bits))
        super().__init__({
            "a": bits, "hi": bits, "rot": self.part.rot.shape(), "drlo": self.part.drlo.shape(),
        })  # fmt: skip

    def statements(self, m: Module) -> None:
        """See :class:`Sparsity`."""
        m.submodules.part = part = self.part
        m.d.comb += [part.a.eq(self.a), part.hi.eq(self.hi), part.rot.eq(self.rot), part.drlo.eq(self.drlo)]
        m.d.comb += Assume(self.a <= self.hi)
        now, rounded, kept = Signal(self.bits), Signal(self.bits), Signal(self.bits)
        m.d.sync += rounded.eq(now)
        with m.Switch(self.rot):
            with m.Case(0):
                m.d.comb += now.eq(self.a)
            for k in range(1, 1 << len(self.rot)):
                with m.Case(k):
                    nearest = ((self.a + (1 << (k - 1))) >> k) << k
                    largest = (self.hi >> k) << k
                    m.d.comb += now.eq(Mux(nearest < largest, nearest, largest))
        left: Value = Mux(self.drlo == 0, self.bits, self.drlo)
        spikes = []
        for t in range(self.bits):
            keeps = Signal(name=f"keeps_{t}")
            after = Signal(range(max(self.bits, 1 << len(self.drlo)) + 1), name=f"left_{t}")
            m.d.comb += [keeps.eq(rounded[self.bits - 1 - t] & (left != 0)), after.eq(left - keeps)]
            spikes.append(keeps)
            left = after
        m.d.comb += kept.eq(Cat(*reversed(spikes)))
        self.claim(m, "rot_then_drlo", part.o == kept)
        # Figure 10: 83 becomes 84, and 80 with two spikes.
        figure, begun = Signal(), Signal()
        m.d.sync += begun.eq((self.a == 83) & (self.rot == 2) & (self.hi == Const(255, 8)))
        m.d.comb += figure.eq(begun & (self.drlo == 2))
        self.claim(m, "figure_10", ~figure | (part.o == 80))
        m.d.comb += self.reached.eq(figure)


PROOFS = [
    Proof(
        name="generation", make=Expansion, method="combinational",
        states="equations 20 and 21 emit the number's bits, nothing below 0, all ones above 255 (T = 8)",
    ),
    Proof(
        name="rot_drlo", make=Sparsity, method="induction", depth=4, reach=3,
        states="RoT and DRLO are their formulas for all activations, limits, k and n (T = 8)",
    ),
]  # fmt: skip
