"""A plain model of one core, by whole feature maps: no addresses, no pipelines, no flits."""

import random
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Edge:
    """Weights[c_out, ky, kx, c_in] (depthwise: [c, ky, kx]) on a source map [y, x, c_in]."""

    weights: np.ndarray
    source: tuple[int, int, int]
    stride: int = 1
    y_offset: int = 0
    x_offset: int = 0
    depthwise: bool = False
    signed: bool = False
    shift: int = 0
    group0: int = 0


@dataclass
class Layer:
    """Neurons [y, x, channel], of which ``channels`` exist of those that fill the lanes."""

    height: int
    width: int
    channels: int
    padded: int
    edges: list[Edge]
    mult: np.ndarray
    shift: np.ndarray
    bias: np.ndarray
    isum_bits: int = 24
    membrane_bits: int = 32
    scaled: bool = False
    mult1: int = 1
    shift1: int = 0
    bias_in_sum: bool = False
    lo: int = 0
    hi: int = 255
    rot: int = 0
    drlo: int = 0
    sops: int = 0
    visits: int = 0
    saturations: int = 0
    current: np.ndarray = field(init=False)
    membrane: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.current = np.zeros((self.height, self.width, self.padded), dtype=object)
        self.membrane = np.zeros((self.height, self.width, self.padded), dtype=object)

    def accumulate(self, edge: Edge, spikes: np.ndarray, first: bool, lanes: int, ports: int) -> None:
        """Adds what 0/1 ``spikes`` [y, x, c] of one step contribute. ``ports``: bits of a bundle that a visit takes."""
        sign = -1 if edge.signed and first else 1
        kernel_h, kernel_w = edge.weights.shape[1:3]
        for row, column, ky, kx in np.ndindex(self.height, self.width, kernel_h, kernel_w):
            y, x = row * edge.stride + ky - edge.y_offset, column * edge.stride + kx - edge.x_offset
            if not (0 <= y < spikes.shape[0] and 0 <= x < spikes.shape[1]):
                continue
            here = spikes[y, x].astype(object)
            weights = edge.weights[:, ky, kx].astype(object)
            if edge.depthwise:
                self.current[row, column, : len(here)] += sign * weights * here * 2**edge.shift
                self.sops += int(here[: self.channels].sum())
                self.visits += sum(bool(here[c : c + lanes].any()) for c in range(0, len(here), lanes))
            else:
                self.current[row, column] += sign * (weights @ here) * 2**edge.shift
                self.sops += int(here.sum()) * self.channels
                bundles = [int(here[c : c + lanes].sum()) for c in range(0, len(here), lanes)]
                self.visits += sum(-(-bits // ports) for bits in bundles) * (self.padded // lanes)

    def wrapped(self) -> np.ndarray:
        """I(t) as stored."""
        half = 1 << (self.isum_bits - 1)
        return (self.current + half) % (2 * half) - half

    def integrate(self) -> None:
        current = self.wrapped()
        if self.scaled:
            current = (current * self.mult1 + ((1 << self.shift1) >> 1)) // 2**self.shift1
        exact = 2 * self.membrane + current
        limit = 1 << (self.membrane_bits - 1)
        self.saturations += int(((exact < -limit) | (exact >= limit)).sum())
        self.membrane = np.clip(exact, -limit, limit - 1)
        self.current[:] = 0

    def requantize(self) -> np.ndarray:
        """Activations [y, x, channel]; V becomes zero."""
        self.integrate()
        result = np.zeros(self.membrane.shape, dtype=object)
        for index in np.ndindex(*self.membrane.shape):
            mult, shift, bias = (int(c[index[2]]) for c in (self.mult, self.shift, self.bias))
            v = int(self.membrane[index])
            if self.bias_in_sum:
                a = ((v + bias) * mult + (1 << (shift - 1))) >> shift
            else:
                a = (v * mult + (bias << shift) + (1 << (shift - 1))) >> shift
            a = min(max(a, self.lo), self.hi)
            if self.rot:
                a = min(((a + (1 << (self.rot - 1))) >> self.rot) << self.rot, self.hi >> self.rot << self.rot)
            if self.drlo:
                ones = [b for b in reversed(range(8)) if a >> b & 1][: self.drlo]
                a = sum(1 << b for b in ones)
            result[index] = a
        self.membrane[:] = 0
        return result


def random_edge(rng: random.Random, layer_size, padded: int, channels: int, kernel: int, **options) -> Edge:
    """An edge whose source covers the layer's ``layer_size`` = (height, width) at least in part."""
    height, width = layer_size
    stride = options.pop("stride", 1)
    depthwise = options.pop("depthwise", False)
    pad = rng.randrange(kernel)
    source_h = min(8, max(1, (height - 1) * stride + kernel - pad - rng.randrange(2)))
    source_w = min(8, max(1, (width - 1) * stride + kernel - pad + rng.randrange(2)))
    shape = (padded, kernel, kernel) if depthwise else (padded, kernel, kernel, channels)
    weights = np.array([rng.randint(-128, 127) for _ in range(int(np.prod(shape)))]).reshape(shape)
    return Edge(
        weights, (source_h, source_w, channels), stride, pad - rng.choice((0, 0, stride)), pad, depthwise, **options
    )
