"""The golden model: the integer network itself, whole layers, no spikes. It defines what is right in exact mode.

Layers with scaled integration, or with a membrane that could saturate, are defined by :mod:`sdann.golden_planes`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .check import check_input, check_network, membrane_bound, membrane_fits
from .errors import SdannError
from .graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork, Shape

__all__ = ["GoldenResult", "activate", "drlo", "edge_sops", "edge_sum", "requantize", "rot", "run"]


@dataclass(frozen=True, kw_only=True)
class GoldenResult:
    """What a network does on N samples. Keys are layer names, in graph order.

    ``activations``: int64 [N, C, H, W], with the input under :data:`sdann.graph.INPUT` first. ``accumulators``:
    V(T-1), int64 [N, C, H, W] (in exact mode the sum over w x). ``sops``: synaptic operations that reach each layer,
    summed over samples. ``saturations``: saturated updates of V, summed over samples and neurons.
    """

    activations: dict[str, IntArray]
    accumulators: dict[str, IntArray]
    sops: dict[str, int]
    saturations: dict[str, int]


def edge_sum(edge: Edge, x: IntArray) -> IntArray:
    """(sum_i w_i x_i) << k_e for every neuron: int64 [N, C, H, W] -> [N, C_out, H_out, W_out]."""
    pad = (edge.padding, edge.padding)
    windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), pad, pad)), edge.weight.shape[2:], axis=(2, 3))
    windows = windows[:, :, :: edge.stride, :: edge.stride]
    if edge.kind == "depthwise":
        total = np.einsum("ncyxij,cij->ncyx", windows, edge.weight[:, 0])
    else:
        total = np.tensordot(windows, edge.weight, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)
    return np.asarray(total << edge.shift, dtype=np.int64)


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


def activate(layer: Layer, v: IntArray, time_steps: int) -> IntArray:
    """Activations from V(T-1): requantization, RoT, then DRLO."""
    return drlo(rot(requantize(layer, v), layer.rot, layer.hi), layer.drlo, time_steps)


def edge_sops(edge: Edge, x: IntArray, shape: Shape, time_steps: int) -> int:
    """Synaptic operations: set bits of each x (two's complement) times neurons reached. ``shape``: the output's."""
    bits = sum(((x >> b) & 1).sum(axis=0) for b in range(time_steps))  # [C, H, W]
    axes = []
    for size, out, kernel in zip(x.shape[2:], shape[1:], edge.weight.shape[2:], strict=True):
        reached = np.arange(out)[:, None] * edge.stride + np.arange(kernel) - edge.padding
        axes.append(np.bincount(reached[(reached >= 0) & (reached < size)], minlength=size))
    outputs = 1 if edge.kind == "depthwise" else shape[0]
    return int((bits * np.outer(*axes)).sum()) * outputs


def run(network: QuantizedNetwork, x: IntArray) -> GoldenResult:
    """Run ``x`` (integers [N, C, H, W], T bits) through an exact network.

    Raises SdannError for an inconsistent network, an input of another shape or range, a layer with scaled integration,
    and a layer whose worst-case sum does not fit the membrane.
    """
    check_network(network)
    activations = {INPUT: check_input(network, x)}
    accumulators: dict[str, IntArray] = {}
    sops: dict[str, int] = {}
    for layer in network.layers:
        if layer.scaled is not None:
            raise SdannError(f"layer {layer.name!r} has scaled integration: use the bit-plane golden")
        if not membrane_fits(layer, network):
            raise SdannError(
                f"layer {layer.name!r} may reach |V| = {membrane_bound(layer, network.time_steps)}, which does "
                f"not fit {network.membrane_bits} bits: use the bit-plane golden"
            )
        sources = [(edge, activations[edge.source]) for edge in layer.edges]
        accumulators[layer.name] = np.sum([edge_sum(edge, a) for edge, a in sources], axis=0)
        sops[layer.name] = sum(edge_sops(edge, a, layer.shape, network.time_steps) for edge, a in sources)
        activations[layer.name] = activate(layer, accumulators[layer.name], network.time_steps)
    return GoldenResult(
        activations=activations, accumulators=accumulators, sops=sops, saturations=dict.fromkeys(sops, 0)
    )
