"""How much each neuron of a layer costs: spikes of a calibration run, and the synaptic operations that they cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sdann.graph import INPUT, Edge, FanIn, IntArray, Layer, QuantizedNetwork
from sdann.mapper.geometry import groups_of

__all__ = ["Spikes", "assumed_spikes", "count_spikes", "layer_visits", "layer_work", "with_repeated"]

Floats = npt.NDArray[np.float64]

_DENSITY = 0.25
"""Share of bits that are set, where there is no calibration data."""


@dataclass(frozen=True, eq=False)
class Spikes:
    """Per sample, by source and group of ``lanes`` channels, float64 [groups, H, W] each.

    ``spikes``: set bits. ``pairs``: half of the set bits of each time step, rounded up, summed over the steps.
    ``bundles``: time steps in which some channel of the group spikes. ``lanes``: channels of a group. ``samples``: how
    many they are the mean of, 0 where they are assumed.
    """

    spikes: Mapping[str, Floats]
    pairs: Mapping[str, Floats]
    bundles: Mapping[str, Floats]
    lanes: int
    samples: int


def count_spikes(network: QuantizedNetwork, activations: Mapping[str, IntArray], lanes: int) -> Spikes:
    """Counts the spikes of a run. ``activations``: int64 [N, C, H, W] by name, the input's included."""
    spikes, pairs, bundles = {}, {}, {}
    mask = (1 << network.time_steps) - 1
    samples = len(activations[INPUT])
    for name in (INPUT, *(layer.name for layer in network.layers[:-1])):
        channels, height, width = network.shape_of(name)
        groups = groups_of(channels, lanes)
        bits, odd, used = (np.zeros((groups, height, width)) for _ in range(3))
        for sample in activations[name]:
            padded = np.zeros((groups * lanes, height, width), dtype=np.uint16)
            padded[:channels] = sample & mask
            grouped = padded.reshape(groups, lanes, height, width)
            bits += np.bitwise_count(grouped).sum(axis=1)
            odd += np.bitwise_count(np.bitwise_xor.reduce(grouped, axis=1))
            used += np.bitwise_count(np.bitwise_or.reduce(grouped, axis=1))
        spikes[name], pairs[name], bundles[name] = bits / samples, (bits + odd) / 2 / samples, used / samples
    return Spikes(spikes=spikes, pairs=pairs, bundles=bundles, lanes=lanes, samples=samples)


def with_repeated(spikes: Spikes, network: QuantizedNetwork) -> Spikes:
    """Spikes of layers that are not known (relays, see :mod:`sdann.mapper.relays`) are those of what they repeat."""
    more, pairs, bundles = dict(spikes.spikes), dict(spikes.pairs), dict(spikes.bundles)
    for layer in network.layers[:-1]:
        if layer.name not in more:
            for counts in (more, pairs, bundles):
                counts[layer.name] = counts[layer.edges[0].source]
    return replace(spikes, spikes=more, pairs=pairs, bundles=bundles)


def assumed_spikes(network: QuantizedNetwork, lanes: int) -> Spikes:
    """The same number of spikes everywhere: what a mapping without calibration data goes by."""
    spikes: dict[str, Floats] = {}
    pairs: dict[str, Floats] = {}
    bundles: dict[str, Floats] = {}
    for name in (INPUT, *(layer.name for layer in network.layers[:-1])):
        channels, height, width = network.shape_of(name)
        groups = groups_of(channels, lanes)
        counts = np.minimum(channels - np.arange(groups) * lanes, lanes)
        bits = _DENSITY * counts
        odd = (1 - (1 - 2 * _DENSITY) ** counts) / 2
        some = 1 - (1 - _DENSITY) ** counts
        for found, mean in ((spikes, bits), (pairs, (bits + odd) / 2), (bundles, some)):
            found[name] = np.broadcast_to((network.time_steps * mean)[:, None, None], (groups, height, width)).copy()
    return Spikes(spikes=spikes, pairs=pairs, bundles=bundles, lanes=lanes, samples=0)


def _reached(counts: Floats, edge: Edge, shape: tuple[int, int]) -> Floats:
    """What a neuron's kernel covers of ``counts`` [..., H, W]: [..., rows, columns] of the edge's output."""
    pad = edge.padding
    kernel_h, kernel_w = edge.weight.shape[2:]
    *lead, height, width = counts.shape
    total = np.zeros((*lead, height + 2 * pad + 1, width + 2 * pad + 1))
    total[..., pad + 1 : pad + 1 + height, pad + 1 : pad + 1 + width] = counts
    total = total.cumsum(axis=-1).cumsum(axis=-2)
    rows, columns = np.arange(shape[0]) * edge.stride, np.arange(shape[1]) * edge.stride

    def at(y: npt.NDArray[np.int64], x: npt.NDArray[np.int64]) -> Floats:
        return np.asarray(total[..., y[:, None], x[None, :]])

    low_y, high_y, low_x, high_x = rows, rows + kernel_h, columns, columns + kernel_w
    return at(high_y, high_x) - at(low_y, high_x) - at(high_y, low_x) + at(low_y, low_x)


def layer_work(network: QuantizedNetwork, layer: Layer, spikes: Spikes, part: Sequence[FanIn]) -> Floats:
    """Synaptic operations per sample that the fan-in ``part`` of a layer causes.

    float64 [groups, H, W] of its neurons (before pooling), summed over the channels of each group.
    """
    lanes = spikes.lanes
    channels, height, width = layer.shape
    groups = groups_of(channels, lanes)
    exists = np.minimum(channels - np.arange(groups) * lanes, lanes)
    total = np.zeros((groups, height, width))
    for some in part:
        edge = layer.edges[some.edge]
        counts = spikes.spikes[edge.source]
        first, last = some.channel0 // lanes, groups_of(some.channel0 + some.channels, lanes)
        if edge.kind == "depthwise":
            total[first:last] += _reached(counts[first:last], edge, (height, width))
        else:
            total += exists[:, None, None] * _reached(counts[first:last].sum(axis=0), edge, (height, width))
    return total


def layer_visits(
    network: QuantizedNetwork, layer: Layer, spikes: Spikes, part: Sequence[FanIn], ports: int
) -> Floats:  # fmt: skip
    """Visits of the accumulator per sample that the fan-in ``part`` of a layer causes: cycles of a core that adds.

    float64 [groups, H, W], of each word of its neurons (before pooling). ``ports``: set bits of a bundle that one visit
    adds; a depthwise edge takes one visit whatever the bundle.
    """
    channels, height, width = layer.shape
    total = np.zeros((groups_of(channels, spikes.lanes), height, width))
    for some in part:
        edge = layer.edges[some.edge]
        first, last = some.channel0 // spikes.lanes, groups_of(some.channel0 + some.channels, spikes.lanes)
        if edge.kind == "depthwise":
            total[first:last] += _reached(spikes.bundles[edge.source][first:last], edge, (height, width))
        else:
            counts = (spikes.pairs if ports == 2 else spikes.spikes)[edge.source]
            total += _reached(counts[first:last].sum(axis=0), edge, (height, width))
    return total
