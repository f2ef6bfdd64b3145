"""The spiking model: spike-train encoded membranes, step by step (eqs. 11-21), as the chip's cores work.

Written from the side of the spikes: each spike adds its synapses' weights to the neurons it reaches. Shares no
arithmetic with the golden models, against which it is checked. What happens to whole trains is in :mod:`sdann.trains`.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from .check import check_input, check_network
from .graph import INPUT, Edge, FanIn, IntArray, Layer, QuantizedNetwork
from .trains import BoolArray, decode, drlo_train, encode, pool_train, rot_train, truncate_train

__all__ = ["Record", "StemResult", "run"]

Record = Literal["spikes", "currents", "membranes"]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class StemResult:
    """What a network does on N samples. Step t = 0 carries the most significant bit.

    ``activations``: int64 [N, C, H, W] per layer, the input's under :data:`sdann.graph.INPUT`. ``spikes``: bool [T,
    N, C, H, W] per source (the input and every unsigned layer). ``currents``: I(t), ``membranes``: V(t) of the
    neurons, summed over the layer's parts: int64 [T, N, C, H, W] per layer. ``part_currents``, ``part_membranes``: the
    same of each part, int64 [P, T, N, C, H, W] per layer with ``parts``. These five are empty unless recorded.
    ``sops``, ``saturations`` per layer and ``spike_counts`` per source are sums over samples.
    """

    activations: dict[str, IntArray]
    spikes: dict[str, BoolArray]
    currents: dict[str, IntArray]
    membranes: dict[str, IntArray]
    sops: dict[str, int]
    saturations: dict[str, int]
    spike_counts: dict[str, int]
    part_currents: dict[str, IntArray] = field(default_factory=dict)
    part_membranes: dict[str, IntArray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class _Synapses:
    """Those of one FanIn, of edge ``number``: ``weight`` [K_h, K_w, C_out, C_in] (C_in = 1 for depthwise) from
    ``channels`` of the source to ``neurons``, the channels they reach.
    """

    number: int
    edge: Edge
    weight: FloatArray
    channels: slice
    neurons: slice


def _synapses(layer: Layer, some: FanIn) -> _Synapses:
    edge = layer.edges[some.edge]
    channels = slice(some.channel0, some.channel0 + some.channels)
    neurons = channels if edge.kind == "depthwise" else slice(None)
    weight = edge.weight[channels] if edge.kind == "depthwise" else edge.weight[:, channels]
    # Kernel offset first, so that the weights of one lie together. float64 holds I(t) exactly (check_network keeps it
    # far below 2^53), and multiplies faster than integers do.
    weights = np.ascontiguousarray(weight.transpose(2, 3, 0, 1), dtype=np.float64) * 2.0**edge.shift
    return _Synapses(number=some.edge, edge=edge, weight=weights, channels=channels, neurons=neurons)


def _reach(size: int, outputs: int, kernel_offset: int, edge: Edge) -> tuple[slice, slice]:
    """Positions along one axis with a synapse at this kernel offset: (of the source, of the neurons)."""
    first = max(0, -((kernel_offset - edge.padding) // edge.stride))
    last = min(outputs - 1, (size - 1 + edge.padding - kernel_offset) // edge.stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    start = first * edge.stride + kernel_offset - edge.padding
    return slice(start, start + (last - first) * edge.stride + 1, edge.stride), slice(first, last + 1)


def _deliver(synapses: _Synapses, spikes: BoolArray, current: FloatArray, *, negative: bool) -> int:
    """Add (or subtract) the weights of one step's spikes [N, C, H, W]; returns the SOPs.

    ``current``: of the neurons, [N, C_out, H_out, W_out].
    """
    spikes, current = spikes[:, synapses.channels], current[:, synapses.neurons]
    sops = 0
    for ky, kx in np.ndindex(*synapses.weight.shape[:2]):
        weight = -synapses.weight[ky, kx] if negative else synapses.weight[ky, kx]
        rows, out_rows = _reach(spikes.shape[2], current.shape[2], ky, synapses.edge)
        cols, out_cols = _reach(spikes.shape[3], current.shape[3], kx, synapses.edge)
        arriving = spikes[:, :, rows, cols]
        n, channels, height, width = arriving.shape
        fired = int(np.count_nonzero(arriving))
        if fired == 0:
            continue
        if synapses.edge.kind == "depthwise":
            sops += fired
            current[:, :, out_rows, out_cols] += weight[:, 0, None, None] * arriving
        else:
            sops += fired * len(weight)
            flat = arriving.reshape(n, channels, height * width).astype(np.float64)
            current[:, :, out_rows, out_cols] += (weight @ flat).reshape(n, len(weight), height, width)
    return sops


def _wrap(current: FloatArray, bits: int) -> IntArray:
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


class _Integrator:
    """The neurons of a layer: for each part P its I(t) and V(t), int64 [P, N, C, H, W]."""

    def __init__(self, layer: Layer, network: QuantizedNetwork, samples: int, isum_bits: int) -> None:
        self.layer, self.network, self.isum_bits = layer, network, isum_bits
        self.parts = [[_synapses(layer, some) for some in part] for part in layer.split]
        self.membranes: IntArray = np.zeros((len(self.parts), samples, *layer.shape), dtype=np.int64)
        self.currents = np.zeros_like(self.membranes)
        self.kept: dict[str, list[IntArray]] = {"currents": [], "membranes": []}
        self.sops = self.saturations = 0

    def step(self, spikes: list[BoolArray], *, first: bool) -> None:
        """One time step with ``spikes`` [N, C, H, W] of each edge's source; ``first``: t = 0, where signs count."""
        for p, part in enumerate(self.parts):
            total = np.zeros(self.currents[p].shape)
            for synapses in part:
                negative = first and synapses.edge.source == INPUT and self.network.input_signed
                self.sops += _deliver(synapses, spikes[synapses.number], total, negative=negative)
            self.currents[p] = _wrap(total, self.isum_bits)
            v, saturated = _integrate(self.layer, self.membranes[p], self.currents[p], self.network.membrane_bits)
            self.membranes[p] = v
            self.saturations += saturated

    def keep(self, record: Collection[Record]) -> None:
        """Keep this step's I(t), V(t), as far as they are to be recorded."""
        for name, values in (("currents", self.currents), ("membranes", self.membranes)):
            if name in record:
                self.kept[name].append(values.copy())

    def store(self, result: StemResult) -> None:
        """Enter counts and records."""
        name = self.layer.name
        result.sops[name], result.saturations[name] = self.sops, self.saturations
        records = {
            "currents": (result.currents, result.part_currents),
            "membranes": (result.membranes, result.part_membranes),
        }
        for what, (whole, parts) in records.items():
            if self.kept[what]:
                traces = np.stack(self.kept[what], axis=1)
                whole[name] = traces.sum(axis=0)
                if self.layer.parts:
                    parts[name] = traces


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
        integrator = _Integrator(layer, network, n, isum_bits)
        for t in range(steps):
            integrator.step([trains[edge.source][t] for edge in layer.edges], first=t == 0)
            integrator.keep(record)
        integrator.store(result)
        v = integrator.membranes.sum(axis=0)
        if layer.raw:
            result.activations[layer.name] = v
            continue
        a = _fire(layer, v)
        if not layer.signed:
            train = truncate_train(rot_train(encode(a, steps), layer.rot, layer.hi), layer.truncate)
            train = drlo_train(train, layer.drlo)
            trains[layer.name] = train if layer.pool is None else pool_train(train, layer.pool)
            result.spike_counts[layer.name] = int(np.count_nonzero(trains[layer.name]))
            a = decode(trains[layer.name])
        result.activations[layer.name] = a
    if "spikes" in record:
        result.spikes.update(trains)
    return result
