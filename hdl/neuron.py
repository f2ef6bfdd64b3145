"""A neuron's arithmetic: scaled integration (paper eqs. 15-18) and requantization, one pipeline for both.

Both are a product, a shift that rounds to nearest (ties up), and an addition:

    integration       V(t) = sat_N(2 V(t-1) + (I(t) * mult1 + half) >> shift1)
    requantization    a = sparsify(clamp(bias + ((V + bias_in_sum) * mult + half) >> shift))

so they share multiplier, shifter and adder. ``(p + 2^(s-1)) >> s`` equals ``(((p << 1) >> s) + 1) >> 1``, which is also
``p`` for ``s = 0``: the bit that decides is the carry into the last addition. The shifter is made of multipliers, which
an FPGA has to spare, and a last multiplexer: a right shift by s is a left shift by ``15 - s % 16``, a product with a
power of two, and a right shift by ``15 + 16 * (s // 16)``. Nothing wraps inside.
"""

from itertools import pairwise

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, bits_for
from .products import registered_product
from .sparsity import Sparsify

__all__ = ["ADDEND_AT", "MEMBRANE_AT", "VALUE_AT", "NeuronLane", "product_bits", "value_bits"]

ADDEND_AT = 5
"""Cycles from an operand to its addend."""
MEMBRANE_AT = 7
"""Cycles from an operand to the membrane that results."""
VALUE_AT = 10
"""Cycles from an operand to the requantized value that results."""

LIMB = 17  # unsigned bits that a signed 18 x 18 multiplier takes
LOW_SHIFT = 4  # bits of a shift that fit a multiplier as a power of two


def product_bits(config: ChipConfig) -> int:
    """Width of the product (signed), exact for I and for V plus a bias."""
    return max(config.isum_bits, config.membrane_word_bits + 1, config.bias_bits + 1) + config.mult_bits


def value_bits(config: ChipConfig) -> int:
    """Width of a clamped value (signed): activations and wide read-out values fit."""
    return max(config.act_bits, config.out_bits) + 1


class NeuronLane(wiring.Component):
    """One neuron in every cycle. What one neuron needs is given in several cycles, counted from its operand's.

    Members
    -------
    integrate: bit; from the first operand to the last result of a row of neurons, integration or requantization.
    scaled, mult1, shift1, bias_in_sum, lo, hi, rot, truncate, drlo:
        As in :func:`hdl.program.CoreDescriptor`, constant likewise. Not scaled: the current is I.
    current: I(t), the operand of integration (cycle 0).
    membrane: V, the operand of requantization (cycle 0), and V(t-1), the addend of integration (cycle ADDEND_AT).
    from_zero: take that addend as 0 (cycle ADDEND_AT).
    mult, shift, bias: as in :func:`hdl.program.Requant` (cycle 0; of no effect in integration).
    add, part: bit, membrane (cycle ADDEND_AT)
        The sum of ``part`` and ``membrane``, without saturation, is the membrane of cycle MEMBRANE_AT, whatever there
        was in cycle 0. Only where ``parts`` exceeds 1.
    v: the new membrane (cycle MEMBRANE_AT; of integration and addition).
    saturated: bit; it was clipped to ``membrane_bits`` (cycle MEMBRANE_AT, integration only).
    value: requantized value, signed (cycle VALUE_AT). RoT, truncation and DRLO change its ``act_bits`` low bits.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        membrane = signed(config.membrane_word_bits)
        shift = bits_for(config.max_shift)
        adder = {"add": In(1), "part": In(membrane)} if config.parts > 1 else {}
        super().__init__({
            "integrate": In(1),
            "scaled": In(1), "mult1": In(unsigned(config.mult_bits)), "shift1": In(shift),
            "bias_in_sum": In(1), "lo": In(signed(value_bits(config))), "hi": In(signed(value_bits(config))),
            "rot": In(bits_for(config.time_steps - 1)), "truncate": In(1), "drlo": In(bits_for(config.time_steps)),
            "current": In(signed(config.isum_bits)),
            "membrane": In(membrane),
            "from_zero": In(1),
            "mult": In(unsigned(config.mult_bits)), "shift": In(shift), "bias": In(signed(config.bias_bits)),
            **adder,
            "v": Out(membrane),
            "saturated": Out(1),
            "value": Out(signed(value_bits(config))),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config, integrate = self.config, self.integrate

        # 0: operand and constants.
        operand = Signal(signed(max(config.isum_bits, config.membrane_word_bits)))
        mult = [Signal(unsigned(config.mult_bits), name=f"mult_{n}") for n in (1, 2)]
        shift = [Signal.like(self.shift, name=f"shift_{n}") for n in range(1, 4)]
        bias = [Signal(signed(config.bias_bits), name=f"bias_{n}") for n in range(1, 6)]
        m.d.sync += operand.eq(Mux(integrate, self.current, self.membrane))
        with m.If(integrate):
            m.d.sync += [
                mult[0].eq(Mux(self.scaled, self.mult1, 1)),
                shift[0].eq(Mux(self.scaled, self.shift1, 0)), bias[0].eq(0),
            ]  # fmt: skip
        with m.Else():
            m.d.sync += [
                mult[0].eq(self.mult), shift[0].eq(self.shift), bias[0].eq(self.bias),
            ]  # fmt: skip
        for pipe in (mult, shift, bias):
            m.d.sync += [b.eq(a) for a, b in pairwise(pipe)]

        # 1: the bias of eq. 9.
        biased = Signal(signed(product_bits(config) - config.mult_bits))
        m.d.sync += biased.eq(operand + Mux(self.bias_in_sum, bias[0], 0))

        # 2, 3: the product, in limbs that fit a multiplier.
        partial = self._limbs(m, platform, "partial", biased, mult[1])
        product = Signal(signed(product_bits(config)))
        m.d.sync += product.eq(sum(p << (n * LIMB) for n, p in enumerate(partial)))

        # 4, 5: shifted, twice as large. A limb's bits and the next one's are never at one place.
        low = min(LOW_SHIFT, len(self.shift))
        reach = (1 << low) - 1
        power, high = Signal(reach + 1), Signal(max(1, len(self.shift) - low))
        m.d.sync += [power.eq(1 << ~shift[-1][:low]), high.eq(shift[-1][low:])]
        high_later = Signal.like(high)
        m.d.sync += high_later.eq(high)
        placed = 0
        for n, limb in enumerate(self._limbs(m, platform, "limb", product, power)):
            placed |= limb << (n * LIMB)
        shifted = Signal(signed(product_bits(config) + 1))
        with m.Switch(high_later):
            for n in range(1 << (len(self.shift) - low)):
                with m.Case(n):
                    m.d.sync += shifted.eq(placed >> (reach - 1 + (n << low)))

        # 5: the addend: 2V, or the bias of eq. 10.
        addend = Signal(signed(max(config.membrane_word_bits + 1, config.bias_bits)))
        with m.If(integrate):
            m.d.sync += addend.eq(Mux(self.from_zero, 0, self.membrane << 1))
        with m.Else():
            m.d.sync += addend.eq(Mux(self.bias_in_sum, 0, bias[-1]))
        adding = Signal()  # of stage 7
        if config.parts > 1:
            add = Signal()
            m.d.sync += [add.eq(self.add), adding.eq(add)]
            with m.If(self.add):
                m.d.sync += [shifted.eq(self.part << 1), addend.eq(self.membrane)]

        # 6: the sum, with the bit below the result's as carry.
        carry, whole = shifted[0], shifted[1:].as_signed()
        exact = Cat(carry, whole).as_signed() + Cat(carry, addend).as_signed()
        total = Signal(signed(len(exact) - 1))
        m.d.sync += total.eq(exact >> 1)

        # 7: saturation of V, clamp of the value.
        n = config.membrane_bits
        beyond = total[n - 1 :]  # copies of the sign bit, exactly where the sum fits
        clipped = Signal(signed(n))
        m.d.comb += [
            clipped.eq(Cat((~total[-1]).replicate(n - 1), total[-1])),
            self.saturated.eq(beyond.any() & ~beyond.all() & ~adding),
            self.v.eq(Mux(self.saturated, clipped, total)),
        ]  # fmt: skip
        bits = value_bits(config)
        small, high, clamped = Signal(signed(bits)), total[bits - 1 :], Signal(signed(bits))
        m.d.comb += small.eq(total)
        below, above = Signal(), Signal()
        fits = ~(high.any() & ~high.all())
        m.d.comb += [
            below.eq(Mux(fits, small < self.lo, total[-1])), above.eq(Mux(fits, small > self.hi, ~total[-1])),
        ]  # fmt: skip
        m.d.sync += clamped.eq(Mux(below, self.lo, Mux(above, self.hi, small)))

        # 8, 9: fewer spikes.
        m.submodules.sparsify = sparsify = Sparsify(config)
        low = config.act_bits
        m.d.comb += [
            sparsify.a.eq(clamped), sparsify.hi.eq(self.hi), sparsify.rot.eq(self.rot),
            sparsify.truncate.eq(self.truncate), sparsify.drlo.eq(self.drlo),
        ]  # fmt: skip
        others = Signal(bits - low)
        m.d.sync += [others.eq(clamped[low:]), self.value.eq(Cat(sparsify.o, others))]
        return m

    @staticmethod
    def _limbs(m: Module, platform: object, name: str, value: Signal, factor: Value) -> list[Signal]:
        """Registers with the products of each LIMB bits of a signed ``value`` and an unsigned ``factor``."""
        products = []
        for n, low in enumerate(range(0, len(value), LIMB)):
            limb = value[low : low + LIMB]
            limb = limb.as_signed() if low + LIMB >= len(value) else limb
            products.append(Signal((limb * factor).shape(), name=f"{name}_{n}"))
            registered_product(m, platform, products[n], limb, factor)
        return products
