"""Draws for :mod:`sdann.random_networks`: edges, pooling windows, splits of a fan-in."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np

from .graph import Edge, EdgeKind, FanIn, IntArray, Pool, Shape

__all__ = ["edge_between", "random_edge", "random_parts", "random_pool", "random_weight", "second_edge"]


def random_weight(rng: np.random.Generator, shape: Sequence[int], weight_bits: int) -> IntArray:
    """Uniform or crowded around zero, with an extreme among them."""
    half = 1 << weight_bits - 1
    if rng.random() < 0.5:
        weight = rng.integers(-half, half, shape)
    else:  # trained weights crowd around zero
        weight = np.clip(np.rint(rng.normal(0, half / 4, shape)), -half, half - 1).astype(np.int64)
    weight.flat[rng.integers(weight.size)] = rng.choice([-half, half - 1])
    return np.asarray(weight, dtype=np.int64)


def random_edge(
    rng: np.random.Generator,
    kind: EdgeKind,
    source: str,
    shape: Shape,
    channels: int,
    max_kernel: int,
    max_side: int,
    weight_bits: int,
    strides: Sequence[int],
    square: float = 0.0,
) -> Edge:
    """An edge of ``kind`` from a source of ``shape`` to at most ``channels`` channels of ``max_side`` rows, columns.

    ``square``: how often both sides of the kernel are to be equal; else they are drawn one by one.
    """
    c, height, width = shape
    if kind == "linear":
        return Edge(source=source, kind=kind, weight=random_weight(rng, (channels, c, height, width), weight_bits))
    while True:  # a 1 x 1 kernel without padding always passes
        kernel_h, kernel_w = (int(rng.integers(1, min(max_kernel, side + 1) + 1)) for side in (height, width))
        if square and rng.random() < square:
            kernel_h = kernel_w = min(kernel_h, kernel_w) if rng.random() < 0.5 else max(kernel_h, kernel_w)
        padding = int(rng.integers(0, max(kernel_h, kernel_w) // 2 + 1))
        stride = int(rng.choice(strides))
        rows, cols = height + 2 * padding - kernel_h, width + 2 * padding - kernel_w
        if min(rows, cols) >= 0 and max(rows, cols) // stride < max_side:
            break
    if kind == "depthwise" and rng.random() < 0.5:  # average pooling
        side = min(2, height, width)
        return Edge(source=source, kind=kind, weight=np.ones((c, 1, side, side), dtype=np.int64), stride=side)
    outputs, inputs = (c, 1) if kind == "depthwise" else (channels, c)
    weight = random_weight(rng, (outputs, inputs, kernel_h, kernel_w), weight_bits)
    return Edge(source=source, kind=kind, weight=weight, stride=stride, padding=padding)


def second_edge(rng: np.random.Generator, first: Edge, shape: Shape, weight_bits: int) -> Edge:
    """Another edge of the same geometry from the same source, as a residual sum would have."""
    weight = random_weight(rng, first.weight.shape, weight_bits)
    return replace(first, weight=weight, shift=int(rng.integers(0, 3)))


def edge_between(
    rng: np.random.Generator,
    source: str,
    shape: Shape,
    out: Shape,
    *,
    kinds: Sequence[EdgeKind],
    max_kernel: int,
    weight_bits: int,
    strides: Sequence[int],
) -> Edge | None:
    """An edge of any geometry from ``source`` of ``shape`` that makes shape ``out``, or None where there is none."""
    fits = [
        (stride, padding, kernel)
        for stride, padding in product(sorted(set(strides)), range(max_kernel // 2 + 1))
        for kernel in product(range(1, max_kernel + 1), repeat=2)
        if all(
            kernel[i] <= shape[1 + i] + 2 * padding
            and (shape[1 + i] + 2 * padding - kernel[i]) // stride + 1 == out[1 + i]
            for i in range(2)
        )
    ]
    possible: list[EdgeKind] = ["conv"] if fits and "conv" in kinds else []
    if fits and "depthwise" in kinds and shape[0] == out[0]:
        possible.append("depthwise")
    if "linear" in kinds and out[1:] == (1, 1):
        possible.append("linear")
    if not possible:
        return None
    kind, shift = possible[int(rng.integers(len(possible)))], int(rng.integers(0, 3))
    if kind == "linear":
        return Edge(source=source, kind=kind, weight=random_weight(rng, (out[0], *shape), weight_bits), shift=shift)
    stride, padding, kernel = fits[int(rng.integers(len(fits)))]
    weight = random_weight(rng, (out[0], 1 if kind == "depthwise" else shape[0], *kernel), weight_bits)
    return Edge(source=source, kind=kind, weight=weight, stride=stride, padding=padding, shift=shift)


def random_pool(rng: np.random.Generator, shape: Shape, max_side: int) -> Pool | None:
    """A pooling window for neurons of ``shape``; None for some, and where the drawn one does not fit."""
    kernel, stride = int(rng.choice([2, 2, 3, 3, 4])), int(rng.choice([1, 2, 2, 4]))
    padding = int(rng.choice([0, 0, 1, kernel - 1]))
    reach = [side + 2 * padding - kernel for side in shape[1:]]
    if rng.random() < 0.6 or min(reach) < 0 or max(reach) // stride >= max_side:
        return None
    return Pool(kernel=kernel, stride=stride, padding=padding)


def random_parts(rng: np.random.Generator, edges: Sequence[Edge], most: int) -> tuple[tuple[FanIn, ...], ...]:
    """The edges' source channels in random runs, dealt to 2 .. ``most`` parts; none where there is one channel only."""
    runs = []
    for number, edge in enumerate(edges):
        cuts = np.flatnonzero(rng.random(edge.channels - 1) < 0.4) + 1
        bounds = [0, *cuts.tolist(), edge.channels]
        runs += [FanIn(edge=number, channel0=a, channels=b - a) for a, b in pairwise(bounds)]
    if len(runs) < 2:
        return ()
    order = [runs[i] for i in rng.permutation(len(runs))]
    parts: list[list[FanIn]] = [[] for _ in range(int(rng.integers(2, min(most, len(runs)) + 1)))]
    for i, run in enumerate(order):  # one each, then at random
        parts[i if i < len(parts) else int(rng.integers(len(parts)))].append(run)
    return tuple(tuple(part) for part in parts)
