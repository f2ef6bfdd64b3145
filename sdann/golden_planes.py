"""The golden model of layers that round or saturate at every step: whole layers, one bit-plane after the other.

It defines scaled integration (eqs. 15-18) and exact integration into a narrow membrane, for each part of a split fan-in
by itself; with a wide membrane and no scaling it equals :mod:`sdann.golden`.
"""

from dataclasses import replace

import numpy as np

from .check import check_input, check_network
from .golden import GoldenResult, activate, edge_sops, edge_sum
from .graph import INPUT, FanIn, IntArray, Layer, QuantizedNetwork

__all__ = ["part_current", "run", "scale_current"]


def scale_current(layer: Layer, current: IntArray) -> IntArray:
    """s_1(I): (I m_1 + (1 << sh_1-1)) >> sh_1, or I itself where the layer has no scaling (or shift1 = 0)."""
    if layer.scaled is None:
        return current
    mult1, shift1 = layer.scaled.mult1, layer.scaled.shift1
    return current * mult1 + (1 << shift1 >> 1) >> shift1


def part_current(layer: Layer, part: tuple[FanIn, ...], planes: list[IntArray]) -> IntArray:
    """I(t) of one part [N, C, H, W]; ``planes``: for each edge its source's bit-plane of step t, times its sign."""
    current = np.zeros((len(planes[0]), *layer.shape), dtype=np.int64)
    for some in part:
        edge, plane = layer.edges[some.edge], planes[some.edge]
        channels = slice(some.channel0, some.channel0 + some.channels)
        if edge.kind == "depthwise":
            current[:, channels] += edge_sum(replace(edge, weight=edge.weight[channels]), plane[:, channels])
        else:
            current += edge_sum(replace(edge, weight=edge.weight[:, channels]), plane[:, channels])
    return current


def run(network: QuantizedNetwork, x: IntArray) -> GoldenResult:
    """Run ``x`` (integers [N, C, H, W], T bits): V <- sat_N(2 V + s_1(I)), most significant plane first, in each part.

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
        parts = [np.zeros((len(x), *layer.shape), dtype=np.int64) for _ in layer.split]
        saturated = 0
        for bit in reversed(range(network.time_steps)):
            negative = network.input_signed and bit == network.time_steps - 1
            planes = [-(a >> bit & 1) if negative and edge.source == INPUT else a >> bit & 1 for edge, a in sources]
            for p, part in enumerate(layer.split):
                wide = 2 * parts[p] + scale_current(layer, part_current(layer, part, planes))
                parts[p] = np.clip(wide, -top - 1, top)
                saturated += int((parts[p] != wide).sum())
        accumulators[layer.name] = v = np.asarray(sum(parts))
        saturations[layer.name] = saturated
        sops[layer.name] = sum(edge_sops(edge, a, layer.shape, network.time_steps) for edge, a in sources)
        activations[layer.name] = activate(layer, v, network.time_steps)
    return GoldenResult(activations=activations, accumulators=accumulators, sops=sops, saturations=saturations)
