"""The outside judge: evaluates an integer network with torch's convolutions, for checks of the golden model.

Shares no code with the golden models. float64 holds every sum exactly (below 2^53), and requantization runs in 64-bit
integers; where that could overflow, the judge refuses.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from .errors import SdannError
from .graph import INPUT, Edge, FanIn, IntArray, Layer, QuantizedNetwork

__all__ = ["JudgeResult", "judge"]


@dataclass(frozen=True, kw_only=True)
class JudgeResult:
    """``activations``: int64 [N, C, H, W]; ``sops``, ``saturations``: summed over samples. By layer."""

    activations: dict[str, IntArray]
    sops: dict[str, int]
    saturations: dict[str, int]


def judge(network: QuantizedNetwork, x: IntArray) -> JudgeResult:
    """Runs ``x`` (integers [N, C, H, W], T bits) plane by plane, each part of a split fan-in by itself.

    I(t) is not wrapped: a layer in which it could is one that no chip accepts. Raises SdannError where 64 bits
    could overflow.
    """
    steps = network.time_steps
    values = {INPUT: torch.from_numpy(np.ascontiguousarray(x, dtype=np.int64))}
    sops: dict[str, int] = {}
    saturations: dict[str, int] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            for layer in network.layers:
                top = (1 << (network.membrane_bits - 1)) - 1
                membranes = [torch.zeros((len(x), *layer.shape), dtype=torch.int64) for _ in layer.split]
                saturated = 0
                for plane in reversed(range(steps)):
                    bits = [(values[edge.source] >> plane) & 1 for edge in layer.edges]
                    if network.input_signed and plane == steps - 1:
                        bits = [-b if e.source == INPUT else b for e, b in zip(layer.edges, bits, strict=True)]
                    for index, part in enumerate(layer.split):
                        exact = 2 * membranes[index] + _current(layer, part, bits)
                        membranes[index] = exact.clamp(-top - 1, top)
                        saturated += int((membranes[index] != exact).sum())
                sops[layer.name] = sum(_synaptic_operations(edge, values[edge.source], steps) for edge in layer.edges)
                saturations[layer.name] = saturated
                v = torch.stack(membranes).sum(dim=0)
                values[layer.name] = v if layer.raw else _activate(layer, v, steps)
    finally:
        torch.set_num_threads(threads)
    activations = {k: t.numpy() for k, t in values.items() if k != INPUT}
    return JudgeResult(activations=activations, sops=sops, saturations=saturations)


def _current(layer: Layer, part: tuple[FanIn, ...], bits: list[torch.Tensor]) -> torch.Tensor:
    """s_1(I) of one part; ``bits``: of each edge's source, negative where they count so."""
    current = torch.zeros((len(bits[0]), *layer.shape), dtype=torch.int64)
    for some in part:
        edge = layer.edges[some.edge]
        spikes = bits[some.edge].narrow(1, some.channel0, some.channels)
        weight = torch.from_numpy(edge.weight)
        if edge.kind == "depthwise":
            weight = weight.narrow(0, some.channel0, some.channels)
            reached = current.narrow(1, some.channel0, some.channels)
        else:
            weight, reached = weight.narrow(1, some.channel0, some.channels), current
        reached += _convolve(edge, weight, spikes) << edge.shift
    if layer.scaled is not None and layer.scaled.shift1:
        half = 1 << (layer.scaled.shift1 - 1)
        current = (current * layer.scaled.mult1 + half) >> layer.scaled.shift1
    return current


def _convolve(edge: Edge, weight: torch.Tensor, spikes: torch.Tensor) -> torch.Tensor:
    if edge.kind == "linear":
        total = functional.linear(spikes.flatten(1).double(), weight.flatten(1).double())[:, :, None, None]
    else:
        groups = len(weight) if edge.kind == "depthwise" else 1
        total = functional.conv2d(
            spikes.double(), weight.double(), stride=edge.stride, padding=edge.padding, groups=groups
        )
    return total.to(torch.int64)


def _synaptic_operations(edge: Edge, x: torch.Tensor, steps: int) -> int:
    """Spikes of ``x`` that reach a neuron: a convolution of their number with weights of 1."""
    spikes = torch.zeros_like(x)
    for plane in range(steps):
        spikes += (x >> plane) & 1
    if edge.kind == "depthwise":
        return int(_convolve(edge, torch.ones(edge.weight.shape), spikes).sum())
    one_neuron = torch.ones((1, *edge.weight.shape[1:]))
    return len(edge.weight) * int(_convolve(edge, one_neuron, spikes).sum())


def _activate(layer: Layer, v: torch.Tensor, steps: int) -> torch.Tensor:
    """Requantization, truncation or RoT, DRLO and pooling of V(T-1) [N, C, H, W]."""
    mult, shift, bias = (torch.from_numpy(a).reshape(1, -1, 1, 1) for a in (layer.mult, layer.shift, layer.bias))
    reach = int(v.abs().max()) + int(bias.abs().max())
    if reach * int(mult.max()) + (int(bias.abs().max()) + 1 << int(shift.max())) >= 1 << 62:
        raise SdannError(f"layer {layer.name!r}: the judge's 64 bits do not hold its requantization")
    half = torch.ones_like(shift) << (shift - 1)
    scaled = (v + bias) * mult + half if layer.bias_mode == "sum" else v * mult + (bias << shift) + half
    a = (scaled >> shift).clamp(layer.lo, layer.hi)
    if layer.rot:
        grid = 1 << layer.rot
        a = torch.div(a + grid // 2, grid, rounding_mode="floor").clamp(max=layer.hi // grid) * grid
    if layer.truncate:
        a = a - torch.remainder(a, 1 << layer.truncate)
    if layer.drlo:
        kept, left = torch.zeros_like(a), torch.full_like(a, layer.drlo)
        for plane in reversed(range(steps)):
            spike = ((a >> plane) & 1) * (left > 0)
            kept, left = kept + (spike << plane), left - spike
        a = kept
    if layer.pool is not None:  # torch's own padding is minus infinity, and at most half a kernel
        padded = functional.pad(a.double(), [layer.pool.padding] * 4)
        a = functional.max_pool2d(padded, layer.pool.kernel, layer.pool.stride).to(torch.int64)
    return a
