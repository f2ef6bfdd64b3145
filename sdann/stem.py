"""The spiking model: spike-train encoded membranes, step by step (eqs. 11-21), as the chip's cores work.

Written from the side of the spikes: each spike adds its synapses' weights to the neurons it reaches. Shares no
arithmetic with the golden models, against which it is checked.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from .check import check_input, check_network
from .graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork

__all__ = ["Record", "StemResult", "decode", "drlo_train", "encode", "rot_train", "run"]

Record = Literal["spikes", "currents", "membranes"]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class StemResult:
    """What a network does on N samples. Step t = 0 carries the most significant bit.

    ``activations``: int64 [N, C, H, W] per layer, the input's under :data:`sdann.graph.INPUT`. ``spikes``: bool [T,
    N, C, H, W] per source (the input and every unsigned layer). ``currents``: I(t), ``membranes``: V(t), int64 [T, N,
    C, H, W] per layer. These three are empty unless recorded. ``sops``, ``saturations`` per layer and
    ``spike_counts`` per source are sums over samples.
    """

    activations: dict[str, IntArray]
    spikes: dict[str, BoolArray]
    currents: dict[str, IntArray]
    membranes: dict[str, IntArray]
    sops: dict[str, int]
    saturations: dict[str, int]
    spike_counts: dict[str, int]


def encode(a: IntArray, time_steps: int, *, signed: bool = False) -> BoolArray:
    """Spike trains [T, ...] of activations [...] (eqs. 20-21): fire where V >= theta(t) = 2^(T-1-t), subtract it.

    ``signed``: step 0 weighs -2^(T-1) (eq. 11), so it fires for negative values. Otherwise a negative
    value emits nothing, and one of 2^T or more fires in every step.
    """
    v = np.array(a, dtype=np.int64)
    train = np.zeros((time_steps, *v.shape), dtype=np.bool_)
    for t in range(time_steps):
        theta = 1 << (time_steps - 1 - t)
        if signed and t == 0:
            train[t] = v < 0
            v[train[t]] += theta
        else:
            train[t] = v >= theta
            v[train[t]] -= theta
    return train


def decode(train: BoolArray, *, signed: bool = False) -> IntArray:
    """The values [...] of spike trains [T, ...]: each step doubles what came before it."""
    value = np.zeros(train.shape[1:], dtype=np.int64)
    for t, spikes in enumerate(train):
        value = value + value + np.where(spikes, -1 if signed and t == 0 else 1, 0)
    return value


def rot_train(train: BoolArray, k: int, hi: int) -> BoolArray:
    """Rounding of trains (eq. 22) on spikes: that of weight 2^(k-1) carries upwards, the last k fall silent."""
    if k == 0:
        return train
    steps = len(train)
    rounded = np.zeros_like(train)
    carry = train[steps - k]
    for t in range(steps - k - 1, -1, -1):
        rounded[t] = train[t] != carry
        carry = train[t] & carry
    largest = encode(np.array(hi), steps)
    largest[steps - k :] = False
    over = carry | (decode(rounded) > decode(largest))
    return np.where(over, largest.reshape(steps, *[1] * (train.ndim - 1)), rounded)


def drlo_train(train: BoolArray, n: int) -> BoolArray:
    """Drop all but the first ``n`` spikes of each train (0: keep all)."""
    return train & (np.cumsum(train, axis=0) <= n) if n else train


def _reach(size: int, outputs: int, kernel_offset: int, edge: Edge) -> tuple[slice, slice]:
    """Positions along one axis with a synapse at this kernel offset: (of the source, of the neurons)."""
    first = max(0, -((kernel_offset - edge.padding) // edge.stride))
    last = min(outputs - 1, (size - 1 + edge.padding - kernel_offset) // edge.stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    start = first * edge.stride + kernel_offset - edge.padding
    return slice(start, start + (last - first) * edge.stride + 1, edge.stride), slice(first, last + 1)


def _deliver(edge: Edge, spikes: BoolArray, current: npt.NDArray[np.float64]) -> int:
    """Add the weights of one step's spikes [N, C, H, W] to ``current`` [N, C_out, H_out, W_out]; returns the SOPs.

    float64 holds these sums exactly (far below 2^53) and multiplies faster than integers do.
    """
    weight = edge.weight.astype(np.float64) * 2.0**edge.shift
    sops = 0
    for ky in range(weight.shape[2]):
        rows, out_rows = _reach(spikes.shape[2], current.shape[2], ky, edge)
        for kx in range(weight.shape[3]):
            cols, out_cols = _reach(spikes.shape[3], current.shape[3], kx, edge)
            arriving = spikes[:, :, rows, cols]
            n, channels, height, width = arriving.shape
            fired = int(np.count_nonzero(arriving))
            if fired == 0:
                continue
            if edge.kind == "depthwise":
                sops += fired
                current[:, :, out_rows, out_cols] += weight[:, 0, ky, kx, None, None] * arriving
            else:
                sops += fired * len(weight)
                flat = arriving.reshape(n, channels, height * width).astype(np.float64)
                delivered = (weight[:, :, ky, kx] @ flat).reshape(n, len(weight), height, width)
                current[:, :, out_rows, out_cols] += delivered
    return sops


def _wrap(current: npt.NDArray[np.float64], bits: int) -> IntArray:
    """I(t) in two's complement of ``bits`` bits: wraps, never saturates."""
    half = 1 << (bits - 1)
    return (current.astype(np.int64) + half) % (2 * half) - half


def _integrate(layer: Layer, v: IntArray, current: IntArray, bits: int) -> tuple[IntArray, int]:
    """Eq. 18 with saturation to ``bits`` bits: (V(t), number of saturated neurons)."""
    if layer.scaled is not None and layer.scaled.shift1 > 0:
        divisor = 1 << layer.scaled.shift1
        current = (current * layer.scaled.mult1 + divisor // 2) // divisor
    v = v + v + current
    high, low = v >= 1 << (bits - 1), v < -(1 << (bits - 1))
    v[high] = (1 << (bits - 1)) - 1
    v[low] = -(1 << (bits - 1))
    return v, int(np.count_nonzero(high) + np.count_nonzero(low))


def _fire(layer: Layer, v: IntArray) -> IntArray:
    """Requantization of V(T-1), neuron by channel, in Python's integers where 63 bits could overflow."""
    a = np.empty_like(v)
    for c in range(v.shape[1]):
        mult, shift, bias = int(layer.mult[c]), int(layer.shift[c]), int(layer.bias[c])
        after = bias
        values = v[:, c]
        if layer.bias_mode == "sum":
            values, after = values + bias, 0
        if int(np.abs(values).max()) * mult + (1 << shift) >= 1 << 63:
            values = values.astype(object)
        # b << sh is a multiple of 2^sh, so it may as well be added after the shift.
        scaled = (values * mult + (1 << (shift - 1))) // (1 << shift) + after
        a[:, c] = np.maximum(np.minimum(scaled, layer.hi), layer.lo)
    return a


def run(
    network: QuantizedNetwork,
    x: IntArray,
    *,
    isum_bits: int = 24,
    record: Collection[Record] = ("spikes", "currents", "membranes"),
) -> StemResult:
    """Run ``x`` (integers [N, C, H, W], T bits) through the spiking network.

    ``isum_bits``: width of I(t). ``record``: which traces to keep (8 bytes per neuron, step and sample).
    Raises SdannError for an inconsistent network or an input of another shape or range.
    """
    check_network(network)
    x = check_input(network, x)
    steps, n = network.time_steps, len(x)
    trains = {INPUT: encode(x, steps, signed=network.input_signed)}
    result = StemResult(
        activations={INPUT: decode(trains[INPUT], signed=network.input_signed)}, spikes={}, currents={}, membranes={},
        sops={}, saturations={}, spike_counts={INPUT: int(np.count_nonzero(trains[INPUT]))},
    )  # fmt: skip
    for layer in network.layers:
        v = np.zeros((n, *layer.shape), dtype=np.int64)
        currents: list[IntArray] = []
        membranes: list[IntArray] = []
        sops = saturations = 0
        for t in range(steps):
            total = np.zeros(v.shape)
            for edge in layer.edges:
                part = np.zeros(v.shape)
                sops += _deliver(edge, trains[edge.source][t], part)
                total += -part if t == 0 and edge.source == INPUT and network.input_signed else part
            current = _wrap(total, isum_bits)
            v, saturated = _integrate(layer, v, current, network.membrane_bits)
            saturations += saturated
            if "currents" in record:
                currents.append(current)
            if "membranes" in record:
                membranes.append(v)
        if currents:
            result.currents[layer.name] = np.stack(currents)
        if membranes:
            result.membranes[layer.name] = np.stack(membranes)
        result.sops[layer.name], result.saturations[layer.name] = sops, saturations
        a = _fire(layer, v)
        if not layer.signed:
            trains[layer.name] = drlo_train(rot_train(encode(a, steps), layer.rot, layer.hi), layer.drlo)
            result.spike_counts[layer.name] = int(np.count_nonzero(trains[layer.name]))
            a = decode(trains[layer.name])
        result.activations[layer.name] = a
    if "spikes" in record:
        result.spikes.update(trains)
    return result
