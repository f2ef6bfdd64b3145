"""Random small integer networks for tests: chains of convolutions, depthwise pools and linear layers, and graphs."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from .check import MAX_OUT_BITS, check_network, edge_shape
from .fixed_point import to_multiplier
from .golden import activate, edge_sum
from .graph import INPUT, BiasMode, Edge, EdgeKind, IntArray, Layer, QuantizedNetwork, Shape
from .membrane import with_membrane
from .random_layers import edge_between, random_edge, random_parts, random_pool, second_edge

__all__ = ["FEATURES", "Feature", "random_input", "random_network"]

Feature = Literal["skips", "pool", "truncate", "stride 4", "wide", "raw", "parts"]

FEATURES: tuple[Feature, ...] = get_args(Feature)
"""What goes beyond chains of plain layers, see :func:`random_network`."""


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


def _calibrated(
    layer: Layer, v: IntArray, rng: np.random.Generator, mult_bits: int, max_shift: int, bias_bits: int
) -> Layer:
    """Constants that spread the activations of ``v`` [N, C, H, W] over lo..hi with many of them non-zero."""
    shift_by = v.mean(axis=(0, 2, 3)) - 0.25 * v.std(axis=(0, 2, 3))  # so 0 lies a little below the mean
    spread = np.maximum(np.abs(v - shift_by[:, None, None]).max(axis=(0, 2, 3)), 1)
    factors = np.minimum(layer.hi / spread * rng.uniform(0.7, 1.5, len(spread)), (1 << mult_bits - 1) - 1)
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
    square: float = 0.0,
    strides: Sequence[int] | None = None,
    max_edges: int = 1,
    max_parts: int = 4,
    features: Collection[Feature] = (),
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
    draw from (a linear layer leaves a 1 x 1 map, on which the chain goes on). ``square``: how often input and kernels
    are to be square. ``strides``: to draw from; None: mostly 1. ``max_edges``: 2 sometimes adds a second edge from the
    same source.

    ``features``: each is sometimes drawn. "skips": up to ``max_edges`` edges, from the last four sources or the input,
    of any geometry that fits. "pool": max pooling. "truncate": in place of RoT. "stride 4". "wide", "raw": of a
    signed last layer. "parts": fan-ins split into up to ``max_parts`` parts.

    ``signed_input``, ``signed_output`` (of the last layer): drawn when None.
    ``sparsity``: sometimes RoT and DRLO. ``membrane_bits``, ``scaled``: as in :func:`sdann.membrane.with_membrane`;
    unscaled and narrow saturates. The remaining arguments are the chip's widths. The same generator state gives the
    same network.
    """
    signed_input = bool(rng.random() < 0.5) if signed_input is None else signed_input
    signed_output = bool(rng.random() < 0.5) if signed_output is None else signed_output
    height, width = (int(s) for s in rng.integers(1, max_side + 1, 2))
    if square and rng.random() < square:
        width = height
    network = QuantizedNetwork(
        name="random", input_shape=(int(rng.integers(1, channels + 1)), height, width),
        input_signed=signed_input, time_steps=time_steps, membrane_bits=48,
        weight_bits=weight_bits, layers=(),
    )  # fmt: skip
    x = random_input(network, rng, 24)
    values = {INPUT: x}
    strides = strides or ([1, 1, 1, 1, 2, 2, 4] if "stride 4" in features else [1, 1, 2])
    for index in range(layers):
        signed = signed_output and index == layers - 1
        bits = time_steps
        if "wide" in features and signed and time_steps < MAX_OUT_BITS - 1 and rng.random() < 0.5:
            bits = MAX_OUT_BITS if rng.random() < 0.3 else int(rng.integers(time_steps + 1, MAX_OUT_BITS))
        hi = (1 << bits - signed) - 1
        for attempt in range(200):
            source, a = next(reversed(values.items()))
            kind = edge_kinds[int(rng.integers(len(edge_kinds)))]
            if features and kind == "linear" and "conv" in edge_kinds and index < layers - 1 and rng.random() < 0.8:
                kind = "conv"  # a linear layer leaves a 1 x 1 map, which shows little of a graph
            shape: Shape = (a.shape[1], a.shape[2], a.shape[3])
            outputs = int(rng.integers(1, channels + 1))
            edge = random_edge(rng, kind, source, shape, outputs, max_kernel, max_side, weight_bits, strides, square)
            out = edge_shape(edge, shape)
            edges: tuple[Edge, ...] = (edge,)
            if "skips" in features:
                for _ in range(int(rng.integers(0, max_edges))):
                    other = str(rng.choice([INPUT, *list(values)[-4:]]))
                    skip = edge_between(
                        rng, other, values[other].shape[1:], out, kinds=edge_kinds, max_kernel=max_kernel,
                        weight_bits=weight_bits, strides=strides,
                    )  # fmt: skip
                    edges += () if skip is None else (skip,)
            elif max_edges > 1 and rng.random() < 0.5:
                edges += (second_edge(rng, edge, shape, weight_bits),)
            v = np.sum([edge_sum(e, values[e.source]) for e in edges], axis=0)
            empty = np.zeros(v.shape[1], dtype=np.int64)
            layer = Layer(
                name=f"{kind}{index + 1}", shape=out, edges=edges, mult=empty, shift=empty + 1,
                bias=empty, bias_mode=bias_modes[int(rng.integers(len(bias_modes)))] if not scaled else "scaled",
                lo=-hi - 1 if signed else 0, hi=hi, signed=signed,
            )  # fmt: skip
            layer = _calibrated(layer, v, rng, mult_bits, max_shift, bias_bits)
            if sparsity and not signed and time_steps > 3:
                layer = replace(layer, rot=int(rng.choice([0, 0, 1, 2])), drlo=int(rng.choice([0, 0, 2, 3])))
                if "truncate" in features and layer.rot == 0:
                    layer = replace(layer, truncate=int(rng.choice([0, 1, 2, 3])))
            if "pool" in features and not signed:
                layer = replace(layer, pool=random_pool(rng, out, max_side))
            if "raw" in features and signed:
                layer = replace(layer, raw=bool(rng.random() < 0.4))
            if "parts" in features and rng.random() < 0.5:
                layer = replace(layer, parts=random_parts(rng, edges, max_parts))
            after = activate(layer, v, time_steps)
            if np.count_nonzero(after) >= 0.2 * after.size or attempt == 199:
                break
        network = replace(network, layers=(*network.layers, layer))
        values[layer.name] = after
    check_network(network)
    return with_membrane(network, membrane_bits, scaled=scaled, calibration=x, mult_bits=mult_bits, max_shift=max_shift)
