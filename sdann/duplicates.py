"""What cores count more (or less) than the golden model, because they compute some neurons twice, or not at all.

Where pooling windows overlap a border between cores, both sides compute the neurons that they share; neurons beyond the
last window need no core. This follows from the golden's activations and the image's regions, in a way of its own:
neuron by neuron, with no code of the models.
"""

from dataclasses import dataclass

import numpy as np

from .graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork
from .mapper import ProgramImage

__all__ = ["Duplicates", "duplicates", "multiplicity"]


@dataclass(frozen=True)
class Duplicates:
    """Synaptic operations and saturations of a layer's cores beyond the golden's, over all samples."""

    sops: int = 0
    saturations: int = 0


def multiplicity(image: ProgramImage, layer: str) -> IntArray:
    """How many cores compute each neuron of ``layer``: int64 [C, H, W]."""
    times = np.zeros(image.layer(layer).neurons, dtype=np.int64)
    for core in image.holders(layer):
        r = core.region
        times[r.channel0 : r.channel0 + r.channels, r.y0 : r.y0 + r.height, r.x0 : r.x0 + r.width] += 1
    return times


def duplicates(
    network: QuantizedNetwork, image: ProgramImage, activations: dict[str, IntArray]
) -> dict[str, Duplicates]:
    """:class:`Duplicates` of every layer. ``activations``: the golden's, int64 [N, C, H, W] by name, with the input."""
    found = {}
    for layer in network.layers:
        extra = multiplicity(image, layer.name) - 1
        if not extra.any():
            found[layer.name] = Duplicates()
            continue
        steps = network.time_steps
        sops = saturations = 0
        for place in zip(*np.nonzero(extra), strict=True):
            c, y, x = (int(i) for i in place)
            weight = int(extra[c, y, x])
            sources = [_field(edge, activations[edge.source], (c, y, x)) for edge in layer.edges]
            sops += weight * sum(
                int(((values >> bit) & 1).sum()) for values, _ in sources for bit in range(steps)
            )  # fmt: skip
            saturations += weight * _saturations(layer, network, sources)
        found[layer.name] = Duplicates(sops, saturations)
    return found


def _field(edge: Edge, x: IntArray, place: tuple[int, int, int]) -> tuple[IntArray, IntArray]:
    """What one neuron reads: values [N, C_in, K_h, K_w] with zeros for padding, and its weights [C_in, K_h, K_w].

    Of a depthwise edge C_in counts all source channels, those of others with value and weight 0.
    """
    c, y, x0 = place
    kernel_h, kernel_w = edge.weight.shape[2:]
    values = np.zeros((len(x), x.shape[1], kernel_h, kernel_w), dtype=np.int64)
    weights = np.zeros((x.shape[1], kernel_h, kernel_w), dtype=np.int64)
    channels = slice(c, c + 1) if edge.kind == "depthwise" else slice(None)
    weights[channels] = edge.weight[c] << edge.shift
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            row, column = y * edge.stride - edge.padding + ky, x0 * edge.stride - edge.padding + kx
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                values[:, channels, ky, kx] = x[:, channels, row, column]
    return values, weights


def _saturations(layer: Layer, network: QuantizedNetwork, sources: list[tuple[IntArray, IntArray]]) -> int:
    """Saturated updates of one neuron's membranes, one per part, over all samples."""
    top, count = (1 << (network.membrane_bits - 1)) - 1, 0
    for part in layer.split:
        v = np.zeros(len(sources[0][0]), dtype=np.int64)
        for step in range(network.time_steps):
            bit = network.time_steps - 1 - step
            current = np.zeros_like(v)
            for some in part:
                values, weights = sources[some.edge]
                take = slice(some.channel0, some.channel0 + some.channels)
                spikes = (values[:, take] >> bit) & 1
                sign = -1 if step == 0 and network.input_signed and layer.edges[some.edge].source == INPUT else 1
                current += sign * (spikes * weights[take]).sum(axis=(1, 2, 3))
            if layer.scaled is not None and layer.scaled.shift1:
                half = 1 << (layer.scaled.shift1 - 1)
                current = (current * layer.scaled.mult1 + half) // (1 << layer.scaled.shift1)
            wide = 2 * v + current
            v = np.minimum(np.maximum(wide, -top - 1), top)
            count += int((v != wide).sum())
    return count
