"""Real factors as integer multiplier and right shift: factor ~ mult * 2^-shift."""

import math
from fractions import Fraction

from .errors import SdannError

__all__ = ["to_membrane_scale", "to_multiplier"]

Real = float | Fraction


def _exact(value: Real, what: str) -> Fraction:
    if not math.isfinite(value) or value < 0:
        raise SdannError(f"{what} must be a finite number of at least 0, not {value}")
    return Fraction(value)


def _top_shift(value: Fraction, mult_bits: int) -> int:
    """The shift with which ``value`` has bit mult_bits-1 as its top bit: 2^(b-1) <= value 2^shift < 2^b."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    if Fraction(2) ** exponent > value:
        exponent -= 1
    return mult_bits - 1 - exponent


def to_multiplier(factor: Real, *, mult_bits: int = 16, max_shift: int = 31) -> tuple[int, int]:
    """(mult, shift) with mult * 2^-shift nearest to ``factor`` (M = S_w S_x / S_a), 1 <= shift <= max_shift.

    The multiplier's top bit (of ``mult_bits``) is set where the shift permits; a smaller factor takes a smaller
    multiplier and 0 takes 0. Raises SdannError for a negative factor or one too large for a shift of 1.
    """
    value = _exact(factor, "a requantization factor")
    if value == 0:
        return 0, 1
    shift = min(_top_shift(value, mult_bits), max_shift)
    mult = math.floor(value * Fraction(2) ** shift + Fraction(1, 2))
    if mult == 1 << mult_bits:  # rounded up to the next power of two
        mult, shift = mult >> 1, shift - 1
    if shift < 1:
        raise SdannError(
            f"requantization factor {float(value):g} is too large for a {mult_bits}-bit multiplier "
            f"(at most {((1 << mult_bits) - 1) / 2:g}): the layer's output range is too small for its inputs"
        )
    return mult, shift


def to_membrane_scale(s1: Real, *, mult_bits: int = 16, max_shift: int = 31) -> tuple[int, int]:
    """(mult1, shift1) of eq. 16's s_1, rounded down so that V keeps its headroom; s_1 >= 1 gives the bypass (1, 0)."""
    value = _exact(s1, "a membrane scale")
    if value >= 1:
        return 1, 0
    if value == 0:
        raise SdannError("a membrane scale of 0 would lose every spike: use a wider membrane")
    shift = min(_top_shift(value, mult_bits), max_shift)
    mult = math.floor(value * Fraction(2) ** shift)
    if mult == 0:
        raise SdannError(f"a membrane scale of {float(value):g} needs a shift beyond {max_shift}: use a wider membrane")
    return mult, shift
