"""A neuron's arithmetic: scaled integration (paper eqs. 15-18) and requantization, as combinational halves.

Each function is two components so that the caller can register between multiplier and adder:
``ScaleCurrent`` then ``MembraneUpdate``, ``RequantMultiply`` then ``RequantRound``. Nothing wraps inside.

Rounding to nearest, ties up, never adds a one-hot constant in front of the shifter:
``(p + 2^(s-1)) >> s`` equals ``(((p << 1) >> s) + 1) >> 1``, which is also ``p`` for ``s = 0``.
"""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for
from .sparsity import Sparsify

__all__ = ["MembraneUpdate", "RequantMultiply", "RequantRound", "ScaleCurrent", "current_bits", "product_bits"]


def current_bits(config: ChipConfig) -> int:
    """Width of ``s1(I)`` (signed): a full product, because a program may set ``shift1`` to 0."""
    return config.isum_bits + config.mult_bits


def product_bits(config: ChipConfig) -> int:
    """Width of ``v * mult`` and of ``(v + bias) * mult`` (signed)."""
    return max(config.membrane_bits, config.bias_bits) + 1 + config.mult_bits


def _round_shift(value: Value, shift: Value) -> Value:
    """``(value + half) >> shift`` with half = ``2^(shift-1)``, or 0 for a shift of 0."""
    return (((value << 1) >> shift) + 1) >> 1


class ScaleCurrent(wiring.Component):
    """Combinational ``current = s1(i)`` (eq. 17): ``(i * mult1 + half) >> shift1`` where ``scaled``, else ``i``.

    Members
    -------
    i: accumulated current of one step.
    scaled, mult1, shift1: as in :func:`hdl.program.CoreDescriptor`.
    current: :func:`current_bits` wide, exact.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "i": In(signed(config.isum_bits)),
            "scaled": In(1),
            "mult1": In(unsigned(config.mult_bits)),
            "shift1": In(bits_for(config.max_shift)),
            "current": Out(signed(current_bits(config))),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        product = Signal(signed(current_bits(self.config)))
        m.d.comb += product.eq(self.i * self.mult1)
        m.d.comb += self.current.eq(Mux(self.scaled, _round_shift(product, self.shift1), self.i))
        return m


class MembraneUpdate(wiring.Component):
    """Combinational ``v_next = sat_N(2 v + current)`` (eq. 18), N = ``membrane_bits``.

    Members
    -------
    v: membrane before the step.
    current: from :class:`ScaleCurrent`.
    v_next: membrane after the step, clipped to ``-2^(N-1)..2^(N-1) - 1``.
    saturated: the sum was outside that range.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "v": In(signed(config.membrane_bits)),
            "current": In(signed(current_bits(config))),
            "v_next": Out(signed(config.membrane_bits)),
            "saturated": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        bits = self.config.membrane_bits
        exact = (self.v << 1) + self.current
        total = Signal(exact.shape())
        beyond = total[bits - 1 :]  # copies of the sign bit, exactly where the sum fits
        limit = Mux(total[-1], -(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        m.d.comb += [
            total.eq(exact),
            self.saturated.eq(beyond.any() & ~beyond.all()),
            self.v_next.eq(Mux(self.saturated, limit, total)),
        ]
        return m


class RequantMultiply(wiring.Component):
    """Combinational first half of requantization: ``product = (v + bias) * mult`` or ``v * mult``.

    Members
    -------
    v: membrane after the last step.
    mult, bias: as in :func:`hdl.program.Requant`.
    bias_in_sum: add the bias here (eq. 9) instead of after the scaling (eq. 10).
    product: :func:`product_bits` wide, exact.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "v": In(signed(config.membrane_bits)),
            "mult": In(unsigned(config.mult_bits)),
            "bias": In(signed(config.bias_bits)),
            "bias_in_sum": In(1),
            "product": Out(signed(product_bits(config))),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        biased = Signal(signed(max(self.config.membrane_bits, self.config.bias_bits) + 1))
        m.d.comb += biased.eq(self.v + Mux(self.bias_in_sum, self.bias, 0))
        m.d.comb += self.product.eq(biased * self.mult)
        return m


class RequantRound(wiring.Component):
    """Combinational second half of requantization, then RoT and DRLO.

    ``a = clamp((product + (bias << shift) + half) >> shift, lo, hi)``, without the bias where ``bias_in_sum``;
    as ``bias << shift`` is a multiple of ``2^shift``, the bias is added after the shift.

    Members
    -------
    product: from :class:`RequantMultiply`.
    shift, bias, bias_in_sum: the same channel's constants.
    lo, hi: clamp, ``lo <= hi``; both within ``act_bits`` bits (unsigned, or two's complement).
    rot, drlo: see :class:`hdl.sparsity.Sparsify`; 0 for signed activations.
    a: the activation, two's complement where ``lo`` is negative.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "product": In(signed(product_bits(config))),
            "shift": In(bits_for(config.max_shift)),
            "bias": In(signed(config.bias_bits)),
            "bias_in_sum": In(1),
            "lo": In(signed(config.act_bits + 1)),
            "hi": In(signed(config.act_bits + 1)),
            "rot": In(bits_for(config.time_steps - 1)),
            "drlo": In(bits_for(config.time_steps)),
            "a": Out(unsigned(config.act_bits)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.sparsify = sparsify = Sparsify(self.config)
        exact = _round_shift(self.product, self.shift) + Mux(self.bias_in_sum, 0, self.bias)
        scaled = Signal(exact.shape())
        clamped = Signal(signed(self.config.act_bits + 1))
        m.d.comb += [
            scaled.eq(exact),
            clamped.eq(Mux(scaled < self.lo, self.lo, Mux(scaled > self.hi, self.hi, scaled))),
            sparsify.a.eq(clamped),
            sparsify.hi.eq(self.hi),
            sparsify.rot.eq(self.rot),
            sparsify.drlo.eq(self.drlo),
            self.a.eq(sparsify.o),
        ]
        return m
