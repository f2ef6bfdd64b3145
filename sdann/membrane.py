"""A network for another membrane width: exact (and saturating, where too narrow) or with scaled integration."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from .check import check_input, check_network
from .errors import SdannError
from .fixed_point import to_membrane_scale, to_multiplier
from .golden import GoldenResult
from .golden_planes import part_current
from .graph import IntArray, Layer, QuantizedNetwork, Scaled
from .reference import run

__all__ = ["peak_membrane", "with_membrane"]


def peak_membrane(network: QuantizedNetwork, layer: Layer, result: GoldenResult) -> int:
    """V_max: the largest |V(t)| of any part of ``layer`` on ``result``'s activations, without saturation."""
    peak = 0
    for bit in range(network.time_steps):
        # After the step of this bit, V is the sum over the activations' bits from it upwards (eq. 18).
        values = [result.activations[edge.source] >> bit for edge in layer.edges]
        for part in layer.split:
            v = part_current(layer, part, values)
            peak = max(peak, int(v.max()), -int(v.min()))
    return peak


def _scaled(layer: Layer, s1: Fraction, mult_bits: int, max_shift: int) -> Layer:
    """``layer`` with V in units of s_1: s_2 = M / s_1 and eq. 10's bias (eq. 15-19)."""
    mult1, shift1 = to_membrane_scale(s1, mult_bits=mult_bits, max_shift=max_shift)
    actual = Fraction(mult1, 1 << shift1)
    factors = [Fraction(int(m), 1 << int(sh)) for m, sh in zip(layer.mult, layer.shift, strict=True)]
    bias = layer.bias
    if layer.bias_mode == "sum":
        rounded = [int((b * f + Fraction(1, 2)) // 1) for b, f in zip(layer.bias.tolist(), factors, strict=True)]
        bias = np.array(rounded, dtype=np.int64)
    scaled = replace(layer, bias=bias, bias_mode="scaled", scaled=Scaled(mult1=mult1, shift1=shift1))
    if layer.raw:  # its constants have no effect
        return scaled
    constants = [to_multiplier(f / actual, mult_bits=mult_bits, max_shift=max_shift) for f in factors]
    mult, shift = np.array(constants, dtype=np.int64).T
    return replace(scaled, mult=mult.copy(), shift=shift.copy())


def with_membrane(
    network: QuantizedNetwork,
    membrane_bits: int,
    *,
    scaled: bool,
    calibration: IntArray | None = None,
    mult_bits: int = 16,
    max_shift: int = 31,
) -> QuantizedNetwork:
    """``network`` (unscaled) for a membrane of ``membrane_bits`` bits.

    ``scaled``: s_1 <= (2^(N-1) - 1 - 2^(T-1)) / V_max per layer, at most 1, from ``calibration`` (integer inputs [N,
    C, H, W]); every layer's bias becomes eq. 10's, and a raw layer's ``scales`` entry is divided by its s_1. V_max is
    that of the largest part of a split fan-in, so split first. Otherwise only the width changes, and V saturates where
    it does not fit. Raises SdannError for a scaled network, a missing calibration, or a membrane too narrow for any
    scale.
    """
    check_network(network)
    if any(layer.scaled is not None for layer in network.layers):
        raise SdannError("the network has scaled integration already: start from the unscaled one")
    if not scaled:
        return replace(network, membrane_bits=membrane_bits)
    if calibration is None:
        raise SdannError("scaled integration needs calibration inputs")
    room = (1 << membrane_bits - 1) - 1 - (1 << network.time_steps - 1)
    if room < 1:
        raise SdannError(f"{membrane_bits} membrane bits leave no room for {network.time_steps} time steps")
    wide = replace(network, membrane_bits=62)
    result = run(wide, check_input(network, calibration))
    layers, scales = [], dict(network.scales)
    for layer in network.layers:
        s1 = min(Fraction(1), Fraction(room, max(peak_membrane(network, layer, result), 1)))
        try:
            changed = _scaled(layer, s1, mult_bits, max_shift)
        except SdannError as error:
            raise SdannError(f"layer {layer.name!r}: {error}") from None
        if layer.raw and layer.name in scales and changed.scaled is not None:
            scales[layer.name] *= 2.0**changed.scaled.shift1 / changed.scaled.mult1
        layers.append(changed)
    return replace(network, membrane_bits=membrane_bits, layers=tuple(layers), scales=scales)
