"""sdann.fixed_point: nearest multiplier, rounding down of s_1, limits."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdann.errors import SdannError
from sdann.fixed_point import to_membrane_scale, to_multiplier

BITS, MAX_SHIFT = 5, 9


def test_nearest_multiplier_by_exhaustion() -> None:
    # The nearest of all multipliers, restricted to those that are normalized or as small as the shift permits.
    half = 1 << BITS - 1
    allowed = [Fraction(m, 1 << s) for s in range(1, MAX_SHIFT + 1) for m in range(1 << BITS)
                      if m >= half or s == MAX_SHIFT]  # fmt: skip
    for numerator in range(31 * 8 + 1):
        for factor in (Fraction(numerator, 16), Fraction(numerator, 3000)):
            mult, shift = to_multiplier(factor, mult_bits=BITS, max_shift=MAX_SHIFT)
            assert 1 <= shift <= MAX_SHIFT and 0 <= mult < 1 << BITS
            assert mult >= half or shift == MAX_SHIFT or factor == 0
            distance = abs(Fraction(mult, 1 << shift) - factor)
            assert distance == min(abs(v - factor) for v in [*allowed, Fraction(0)])


@given(st.floats(1e-12, 30000.0))
def test_default_widths(factor: float) -> None:
    mult, shift = to_multiplier(factor)
    error = abs(Fraction(mult, 1 << shift) - Fraction(factor))
    assert error <= Fraction(1, 2 << shift)
    assert mult >> 15 == 1 or shift == 31


def test_zero_and_limits() -> None:
    assert to_multiplier(0.0) == (0, 1)
    assert to_multiplier(1e-30) == (0, 31)
    assert to_multiplier(1.0) == (1 << 15, 15)
    assert to_multiplier(((1 << 16) - 1) / 2) == ((1 << 16) - 1, 1)
    for bad in (32768.0, 32767.9, -0.5, float("nan"), float("inf")):
        with pytest.raises(SdannError):
            to_multiplier(bad)


@given(st.fractions(Fraction(1, 10**6), 1))
def test_membrane_scale_rounds_down(s1: Fraction) -> None:
    mult, shift = to_membrane_scale(s1)
    assert Fraction(mult, 1 << shift) <= s1 < Fraction(mult + 1, 1 << shift)
    if s1 < 1:
        assert mult.bit_length() == 16 or shift == 31


def test_membrane_scale_bypass_and_limits() -> None:
    assert to_membrane_scale(1.0) == (1, 0)
    assert to_membrane_scale(7.5) == (1, 0)
    assert to_membrane_scale(0.5) == (1 << 15, 16)
    with pytest.raises(SdannError):
        to_membrane_scale(0.0)
    with pytest.raises(SdannError, match="wider membrane"):
        to_membrane_scale(1e-12)
