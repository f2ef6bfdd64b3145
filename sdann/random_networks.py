"""Random small integer networks for tests: chains of convolutions, depthwise pools and linear layers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .check import check_network, edge_shape
from .fixed_point import to_multiplier
from .golden import activate, edge_sum
from .graph import INPUT, BiasMode, Edge, EdgeKind, IntArray, Layer, QuantizedNetwork, Shape
from .membrane import with_membrane

__all__ = ["random_input", "random_network"]


def random_input(network: QuantizedNetwork, rng: np.random.Generator, samples: int) -> IntArray:
    """Integers [samples, C, H, W] over the input's whole range; some samples all zero, all ones or of extremes only."""
    steps = network.time_steps
    low, high = (-(1 << steps - 1), (1 << steps - 1) - 1) if network.input_signed else (0, (1 << steps) - 1)
    x = rng.integers(low, high + 1, (samples, *network.input_shape))
    for sample in x:
        kind = rng.integers(8)
        if kind == 0:
            sample[:] = rng.choice([0, low, high])
        elif kind == 1:
            sample[:] = rng.choice([low, high], sample.shape)
        elif kind == 2:
            sample[rng.random(sample.shape) < 0.7] = 0
    return x


def _random_weight(rng: np.random.Generator, shape: Sequence[int], weight_bits: int) -> IntArray:
    half = 1 << weight_bits - 1
    if rng.random() < 0.5:
        weight = rng.integers(-half, half, shape)
    else:  # trained weights crowd around zero
        weight = np.clip(np.rint(rng.normal(0, half / 4, shape)), -half, half - 1).astype(np.int64)
    weight.flat[rng.integers(weight.size)] = rng.choice([-half, half - 1])
    return np.asarray(weight, dtype=np.int64)


def _random_edge(
    rng: np.random.Generator,
    kind: EdgeKind,
    source: str,
    shape: Shape,
    channels: int,
    max_kernel: int,
    max_side: int,
    weight_bits: int,
) -> Edge:
    c, height, width = shape
    if kind == "linear":
        return Edge(source=source, kind=kind, weight=_random_weight(rng, (channels, c, height, width), weight_bits))
    while True:  # a 1 x 1 kernel without padding always passes
        kernel_h, kernel_w = (int(rng.integers(1, min(max_kernel, side + 1) + 1)) for side in (height, width))
        padding = int(rng.integers(0, max(kernel_h, kernel_w) // 2 + 1))
        stride = int(rng.choice([1, 1, 2]))
        rows, cols = height + 2 * padding - kernel_h, width + 2 * padding - kernel_w
        if min(rows, cols) >= 0 and max(rows, cols) // stride < max_side:
            break
    if kind == "depthwise" and rng.random() < 0.5:  # average pooling
        side = min(2, height, width)
        return Edge(source=source, kind=kind, weight=np.ones((c, 1, side, side), dtype=np.int64), stride=side)
    outputs, inputs = (c, 1) if kind == "depthwise" else (channels, c)
    weight = _random_weight(rng, (outputs, inputs, kernel_h, kernel_w), weight_bits)
    return Edge(source=source, kind=kind, weight=weight, stride=stride, padding=padding)


def _second_edge(rng: np.random.Generator, first: Edge, shape: Shape, weight_bits: int) -> Edge:
    """Another edge of the same geometry from the same source, as a residual sum would have."""
    weight = _random_weight(rng, first.weight.shape, weight_bits)
    return replace(first, weight=weight, shift=int(rng.integers(0, 3)))


def _calibrated(
    layer: Layer, v: IntArray, rng: np.random.Generator, mult_bits: int, max_shift: int, bias_bits: int
) -> Layer:
    """Constants that spread the activations of ``v`` [N, C, H, W] over lo..hi with many of them non-zero."""
    shift_by = v.mean(axis=(0, 2, 3)) - 0.25 * v.std(axis=(0, 2, 3))  # so 0 lies a little below the mean
    spread = np.maximum(np.abs(v - shift_by[:, None, None]).max(axis=(0, 2, 3)), 1)
    factors = layer.hi / spread * rng.uniform(0.7, 1.5, len(spread))
    if rng.random() < 0.5:  # one scale per layer
        factors[:] = factors.min()
    largest = (1 << bias_bits - 1) - 1
    constants = np.array([to_multiplier(f, mult_bits=mult_bits, max_shift=max_shift) for f in factors], dtype=np.int64)
    bias = -shift_by if layer.bias_mode == "sum" else -shift_by * factors
    return replace(
        layer, mult=constants[:, 0].copy(), shift=constants[:, 1].copy(),
        bias=np.clip(np.rint(bias), -largest - 1, largest).astype(np.int64),
    )  # fmt: skip


def random_network(
    rng: np.random.Generator,
    *,
    time_steps: int = 8,
    max_side: int = 6,
    channels: int = 6,
    layers: int = 3,
    edge_kinds: Sequence[EdgeKind] = ("conv", "depthwise", "linear"),
    max_kernel: int = 3,
    max_edges: int = 1,
    signed_input: bool | None = None,
    signed_output: bool | None = None,
    bias_modes: Sequence[BiasMode] = ("sum", "scaled"),
    sparsity: bool = True,
    membrane_bits: int = 32,
    scaled: bool = False,
    weight_bits: int = 8,
    mult_bits: int = 16,
    max_shift: int = 31,
    bias_bits: int = 16,
) -> QuantizedNetwork:
    """A random chain of exactly ``layers`` layers whose every layer has at least 10 % non-zero activations.

    ``max_side``: most rows and columns of any map. ``channels``: most channels of any map. ``edge_kinds``: kinds to
    draw from (a linear layer leaves a 1 x 1 map, on which the chain goes on). ``max_edges``: 2 sometimes adds a
    second edge from the same source. ``signed_input``, ``signed_output`` (of the last layer): drawn when None.
    ``sparsity``: sometimes RoT and DRLO. ``membrane_bits``, ``scaled``: as in :func:`sdann.membrane.with_membrane`;
    unscaled and narrow saturates. The remaining arguments are the chip's widths. The same generator state gives the
    same network.
    """
    signed_input = bool(rng.random() < 0.5) if signed_input is None else signed_input
    signed_output = bool(rng.random() < 0.5) if signed_output is None else signed_output
    height, width = (int(s) for s in rng.integers(1, max_side + 1, 2))
    network = QuantizedNetwork(
        name="random", input_shape=(int(rng.integers(1, channels + 1)), height, width),
        input_signed=signed_input, time_steps=time_steps, membrane_bits=48,
        weight_bits=weight_bits, layers=(),
    )  # fmt: skip
    x = random_input(network, rng, 24)
    a = x
    source = INPUT
    for index in range(layers):
        signed = signed_output and index == layers - 1
        hi = (1 << time_steps - signed) - 1
        for attempt in range(200):
            kind = edge_kinds[int(rng.integers(len(edge_kinds)))]
            shape: Shape = (a.shape[1], a.shape[2], a.shape[3])
            outputs = int(rng.integers(1, channels + 1))
            edge = _random_edge(rng, kind, source, shape, outputs, max_kernel, max_side, weight_bits)
            edges: tuple[Edge, ...] = (edge,)
            if max_edges > 1 and rng.random() < 0.5:
                edges += (_second_edge(rng, edge, shape, weight_bits),)
            v = np.sum([edge_sum(e, a) for e in edges], axis=0)
            empty = np.zeros(v.shape[1], dtype=np.int64)
            layer = Layer(
                name=f"{kind}{index + 1}", shape=edge_shape(edge, shape), edges=edges, mult=empty, shift=empty + 1,
                bias=empty, bias_mode=bias_modes[int(rng.integers(len(bias_modes)))] if not scaled else "scaled",
                lo=-hi - 1 if signed else 0, hi=hi, signed=signed,
            )  # fmt: skip
            layer = _calibrated(layer, v, rng, mult_bits, max_shift, bias_bits)
            if sparsity and not signed and time_steps > 3:
                layer = replace(layer, rot=int(rng.choice([0, 0, 1, 2])), drlo=int(rng.choice([0, 0, 2, 3])))
            after = activate(layer, v, time_steps)
            if np.count_nonzero(after) >= 0.2 * after.size or attempt == 199:
                break
        network = replace(network, layers=(*network.layers, layer))
        a, source = after, layer.name
    check_network(network)
    return with_membrane(network, membrane_bits, scaled=scaled, calibration=x, mult_bits=mult_bits, max_shift=max_shift)
