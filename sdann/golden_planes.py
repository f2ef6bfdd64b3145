"""The golden model of layers that round or saturate at every step: whole layers, one bit-plane after the other.

It defines scaled integration (eqs. 15-18) and exact integration into a narrow membrane; with a wide membrane and no
scaling it equals :mod:`sdann.golden`.
"""

import numpy as np

from .check import check_input, check_network
from .golden import GoldenResult, activate, edge_sops, edge_sum
from .graph import INPUT, IntArray, Layer, QuantizedNetwork

__all__ = ["run", "scale_current"]


def scale_current(layer: Layer, current: IntArray) -> IntArray:
    """s_1(I): (I m_1 + (1 << sh_1-1)) >> sh_1, or I itself where the layer has no scaling (or shift1 = 0)."""
    if layer.scaled is None:
        return current
    mult1, shift1 = layer.scaled.mult1, layer.scaled.shift1
    return current * mult1 + (1 << shift1 >> 1) >> shift1


def run(network: QuantizedNetwork, x: IntArray) -> GoldenResult:
    """Run ``x`` (integers [N, C, H, W], T bits): V <- sat_N(2 V + s_1(I)), most significant plane first.

    Raises SdannError for an inconsistent network or an input of another shape or range.
    """
    check_network(network)
    activations = {INPUT: check_input(network, x)}
    accumulators: dict[str, IntArray] = {}
    sops: dict[str, int] = {}
    saturations: dict[str, int] = {}
    top = (1 << network.membrane_bits - 1) - 1
    for layer in network.layers:
        sources = [(edge, activations[edge.source]) for edge in layer.edges]
        v = np.zeros((len(x), *layer.shape), dtype=np.int64)
        saturated = 0
        for bit in reversed(range(network.time_steps)):
            current = np.zeros_like(v)
            for edge, a in sources:
                negative = edge.source == INPUT and network.input_signed and bit == network.time_steps - 1
                current += edge_sum(edge, -(a >> bit & 1) if negative else a >> bit & 1)
            wide = 2 * v + scale_current(layer, current)
            v = np.clip(wide, -top - 1, top)
            saturated += int((v != wide).sum())
        accumulators[layer.name] = v
        saturations[layer.name] = saturated
        sops[layer.name] = sum(edge_sops(edge, a, layer.shape, network.time_steps) for edge, a in sources)
        activations[layer.name] = activate(layer, v, network.time_steps)
    return GoldenResult(activations=activations, accumulators=accumulators, sops=sops, saturations=saturations)
