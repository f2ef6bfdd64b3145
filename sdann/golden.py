"""The golden model: the integer network itself, whole layers, no spikes. It defines what is right in exact mode.

Layers with scaled integration, or with a membrane that could saturate, are defined by :mod:`sdann.golden_planes`. How a
fan-in is split makes no difference here: the parts add up to the whole sum.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .check import check_input, check_network, membrane_bound, membrane_fits
from .errors import SdannError
from .graph import INPUT, Edge, IntArray, Layer, Pool, QuantizedNetwork, Shape

__all__ = ["GoldenResult", "activate", "drlo", "edge_sops", "edge_sum", "max_pool", "requantize", "rot", "run"]

BLOCK = 1 << 22  # window elements (of 8 bytes) that are laid out at a time


@dataclass(frozen=True, kw_only=True)
class GoldenResult:
    """What a network does on N samples, by layer in graph order.

    ``activations``: int64 [N, C, H, W] (after pooling), the input's under :data:`sdann.graph.INPUT`. ``accumulators``:
    V(T-1) of the neurons, summed over the parts, int64 [N, C, H, W]; in exact mode the sum over w x. ``sops``: synaptic
    operations that reach each layer, ``saturations``: saturated updates of V; summed over samples, neurons and parts.
    """

    activations: dict[str, IntArray]
    accumulators: dict[str, IntArray]
    sops: dict[str, int]
    saturations: dict[str, int]


def edge_sum(edge: Edge, x: IntArray) -> IntArray:
    """(sum_i w_i x_i) << k_e for every neuron: int64 [N, C, H, W] -> [N, C_out, H_out, W_out].

    float64 products are many times faster than integer ones and exact below 2^53, which is checked.
    """
    out, kernel = len(edge.weight), edge.weight.shape[2:]
    weight_max, x_max = (max(int(a.max()), -int(a.min())) for a in (edge.weight, x))
    if edge.weight[0].size * weight_max * x_max >= 1 << 53:
        raise SdannError(f"sums over the edge from {edge.source!r} may reach 2^53: give it smaller weights")
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *[(edge.padding, edge.padding)] * 2))
    windows = sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: edge.stride, :: edge.stride]
    groups = out if edge.kind == "depthwise" else 1
    weight = edge.weight.astype(np.float64).reshape(groups, out // groups, -1)
    (n, _, height, width), row = windows.shape[:4], windows[0, :, 0].size
    rows = min(height, max(1, BLOCK // row))
    samples = max(1, BLOCK // (row * rows))
    total = np.empty((n, out, height, width), dtype=np.int64)
    for i, y in product(range(0, n, samples), range(0, height, rows)):
        block = windows[i : i + samples, :, y : y + rows].transpose(1, 4, 5, 0, 2, 3)
        sums = weight @ block.reshape(groups, -1, block[0, 0, 0].size)
        total[i : i + samples, :, y : y + rows] = sums.reshape(out, *block.shape[3:]).swapaxes(0, 1)
    return total << edge.shift


def requantize(layer: Layer, v: IntArray) -> IntArray:
    """clamp((v m + (b << sh) + (1 << sh-1)) >> sh, lo, hi), or (v + b) m with eq. 9's bias; ``v``: [N, C, H, W]."""
    m, sh, b = (a[:, None, None] for a in (layer.mult, layer.shift, layer.bias))
    largest = int(abs(b).max()) + 1
    if (int(abs(v).max()) + largest) * int(m.max()) + (largest << int(sh.max())) >= 1 << 63:
        m, sh, b, v = (a.astype(object) for a in (m, sh, b, v))  # Python's integers, of any size
    total = (v + b) * m if layer.bias_mode == "sum" else v * m + (b << sh)
    return np.asarray(np.clip(total + (1 << sh - 1) >> sh, layer.lo, layer.hi), dtype=np.int64)


def rot(a: IntArray, k: int, hi: int) -> IntArray:
    """Rounding of trains (eq. 22): to the nearest multiple of 2^k, at most the largest one that ``hi`` holds."""
    return a if k == 0 else np.minimum((a + (1 << k - 1)) >> k << k, hi >> k << k)


def drlo(a: IntArray, n: int, time_steps: int) -> IntArray:
    """Keep the ``n`` most significant set bits of each value (0: all): clear the lowest ones of what has more."""
    for _ in range(time_steps if n else 0):
        a = np.where(np.bitwise_count(a) > n, a & (a - 1), a)
    return a


def max_pool(a: IntArray, pool: Pool) -> IntArray:
    """The largest value of each window, padding 0: [N, C, H, W] -> [N, C, H_out, W_out]."""
    padded = np.pad(a, ((0, 0), (0, 0), *[(pool.padding, pool.padding)] * 2))
    windows = sliding_window_view(padded, (pool.kernel, pool.kernel), axis=(2, 3))
    return np.asarray(windows[:, :, :: pool.stride, :: pool.stride].max(axis=(4, 5)))


def activate(layer: Layer, v: IntArray, time_steps: int) -> IntArray:
    """Activations from V(T-1): requantization, truncation or RoT, then DRLO, then pooling. Raw: V(T-1) itself."""
    if layer.raw:
        return v
    a = requantize(layer, v) >> layer.truncate << layer.truncate
    a = drlo(rot(a, layer.rot, layer.hi), layer.drlo, time_steps)
    return a if layer.pool is None else max_pool(a, layer.pool)


def edge_sops(edge: Edge, x: IntArray, shape: Shape, time_steps: int) -> int:
    """Synaptic operations: set bits of each x (two's complement) times neurons reached. ``shape``: the neurons'."""
    bits = np.bitwise_count(x & (1 << time_steps) - 1).sum(axis=0, dtype=np.int64)  # [C, H, W]
    axes = []
    for size, out, kernel in zip(x.shape[2:], shape[1:], edge.weight.shape[2:], strict=True):
        reached = np.arange(out)[:, None] * edge.stride + np.arange(kernel) - edge.padding
        axes.append(np.bincount(reached[(reached >= 0) & (reached < size)], minlength=size))
    outputs = 1 if edge.kind == "depthwise" else shape[0]
    return int((bits * np.outer(*axes)).sum()) * outputs


def run(network: QuantizedNetwork, x: IntArray) -> GoldenResult:
    """Run ``x`` (integers [N, C, H, W], T bits) through an exact network.

    Raises SdannError for an inconsistent network or input, and for a layer that the bit-plane golden defines.
    """
    check_network(network)
    activations = {INPUT: check_input(network, x)}
    accumulators, sops = dict[str, IntArray](), dict[str, int]()
    for layer in network.layers:
        if layer.scaled is not None or not membrane_fits(layer, network):
            reach = f"|V| may reach {membrane_bound(layer, network.time_steps)}, beyond {network.membrane_bits} bits"
            raise SdannError(f"layer {layer.name!r} is scaled, or {reach}: use the bit-plane golden")
        sources = [(edge, activations[edge.source]) for edge in layer.edges]
        accumulators[layer.name] = np.asarray(sum(edge_sum(edge, a) for edge, a in sources))
        sops[layer.name] = sum(edge_sops(edge, a, layer.shape, network.time_steps) for edge, a in sources)
        activations[layer.name] = activate(layer, accumulators[layer.name], network.time_steps)
    none = dict.fromkeys(sops, 0)
    return GoldenResult(activations=activations, accumulators=accumulators, sops=sops, saturations=none)
