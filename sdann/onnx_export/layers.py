"""One layer in ONNX's integer operators: integration, requantization, sparsity, pooling.

Everything after the sums is 64-bit integers. A layer whose numbers could need more is refused; no chip takes it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph import Edge, FanIn, IntArray, Layer, QuantizedNetwork, Scaled
from .builder import GraphBuilder
from .edges import HALF, Sources, add_all, product, product_bound, split_weights, value_type, weight_tensor

__all__ = ["LIMIT", "Sum", "activate", "floor_shift", "integrate"]

LIMIT = 1 << 62
"""No intermediate value reaches this magnitude."""


@dataclass(frozen=True, kw_only=True)
class Sum:
    """V(T-1) of a layer. ``tensor``: [N, C, H, W] of ``data_type``; ``bound``: of its magnitude, per channel."""

    tensor: str
    data_type: type[np.int32] | type[np.int64]
    bound: list[int]
    by_planes: bool


def _refuse(layer: Layer, what: str) -> UnsupportedError:
    return UnsupportedError(
        f"layer {layer.name!r} cannot be exported: {what}; ONNX's integers have 64 bits, its integer products 32. Use "
        "smaller weights, multipliers or shifts"
    )


def _reach(layer: Layer, part: tuple[FanIn, ...] | None = None) -> list[int]:
    """Per channel, the sum of 2^k_e |w_e| over the whole fan-in, or over one part of it."""
    weights = [edge.weight if part is None else _masked(edge, i, part) for i, edge in enumerate(layer.edges)]
    sums = [np.abs(w).sum(axis=(1, 2, 3)) << edge.shift for w, edge in zip(weights, layer.edges, strict=True)]
    return [int(value) for value in np.sum(sums, axis=0)]


def _masked(edge: Edge, number: int, part: tuple[FanIn, ...]) -> IntArray:
    """The weights of edge ``number``, with zeros for the source channels that are not in ``part``."""
    weight = np.zeros_like(edge.weight)
    for some in part:
        if some.edge == number:
            taken = slice(some.channel0, some.channel0 + some.channels)
            where = taken if edge.kind == "depthwise" else (slice(None), taken)
            weight[where] = edge.weight[where]
    return weight


def integrate(make: GraphBuilder, layer: Layer, network: QuantizedNetwork, sources: Sources) -> Sum:
    """V(T-1): the sum over w x where that is what V holds, else step by step (eqs. 15-18).

    Raises UnsupportedError for sums that 32 or 64 bits could not hold.
    """
    bound = [reach << network.time_steps for reach in _reach(layer)]
    if layer.scaled is None and max(bound) < 1 << network.membrane_bits - 1:
        terms = _whole_terms(make, layer, network, sources)
        if terms is not None:
            bytewise = network.time_steps > 8 or network.weight_bits > 8  # then partial sums may exceed the whole
            data_type = np.int64 if bytewise or max(bound) >= 1 << 31 else np.int32
            return Sum(tensor=add_all(make, terms, data_type), data_type=data_type, bound=bound, by_planes=False)
    return _by_planes(make, layer, network, sources)


def _whole_terms(
    make: GraphBuilder, layer: Layer, network: QuantizedNetwork, sources: Sources
) -> list[tuple[str, int]] | None:
    """Products of whole values and their factors; None where one could exceed 32 bits."""
    pieces = [split_weights(edge.weight, network.weight_bits) for edge in layer.edges]
    for edge, weights in zip(layer.edges, pieces, strict=True):
        zero = HALF if sources.signed(edge.source) else 0
        if max(product_bound(weight, 255, zero) for weight in weights) >= 1 << 31:
            return None
    terms = []
    for edge, weights in zip(layer.edges, pieces, strict=True):
        for weight in weights:
            tensor = weight_tensor(make, edge, weight)
            for value in sources.pieces(edge.source):
                factor = 1 << value.shift + weight.shift + edge.shift
                terms.append((product(make, edge, weight, tensor, value), factor))
    return terms


def _by_planes(make: GraphBuilder, layer: Layer, network: QuantizedNetwork, sources: Sources) -> Sum:
    """V <- sat_N(2 V + s_1(I)) for each part, most significant bit first; the parts add up."""
    steps, top = network.time_steps, (1 << network.membrane_bits - 1) - 1
    parts, bounds = [], []
    for part in layer.split:
        reach = _reach(layer, part)
        weights = [
            (edge, piece)
            for i, edge in enumerate(layer.edges)
            if any(some.edge == i for some in part)
            for piece in split_weights(_masked(edge, i, part), network.weight_bits)
        ]
        if max(product_bound(piece, 1, 0) for _, piece in weights) >= 1 << 31:
            raise _refuse(layer, "I(t) may exceed the products' 32 bits")
        tensors = [weight_tensor(make, edge, piece) for edge, piece in weights]
        v, largest = "", [0] * len(reach)
        for bit in reversed(range(steps)):
            terms = []
            for (edge, piece), tensor in zip(weights, tensors, strict=True):
                negative = bit == steps - 1 and sources.signed(edge.source)
                factor = 1 << piece.shift + edge.shift
                sums = product(make, edge, piece, tensor, sources.plane(edge.source, bit))
                terms.append((sums, -factor if negative else factor))
            current, step = _scale(make, layer, add_all(make, terms, np.int64), max(reach))
            largest = [min(2 * value + step, top + 1) for value in largest]
            wide = make.node("Add", make.node("Mul", v, make.scalar(2, np.int64)), current) if v else current
            v = make.node("Clip", wide, make.scalar(-top - 1, np.int64), make.scalar(top, np.int64), what="V")
        parts.append(v)
        bounds.append(largest)
    total = add_all(make, [(part, 1) for part in parts], np.int64)
    bound = [sum(channel) for channel in zip(*bounds, strict=True)]
    return Sum(tensor=total, data_type=np.int64, bound=bound, by_planes=True)


def _scale(make: GraphBuilder, layer: Layer, current: str, reach: int) -> tuple[str, int]:
    """s_1(I), and the bound of its magnitude where ``reach`` is that of I."""
    if layer.scaled is None or layer.scaled == Scaled(mult1=1, shift1=0):
        return current, reach
    mult1, shift1 = layer.scaled.mult1, layer.scaled.shift1
    half = 1 << shift1 >> 1
    if reach * mult1 + half >= LIMIT:
        raise _refuse(layer, f"|I(t)| mult1 may reach {reach * mult1 + half}")
    scaled = make.node("Mul", current, make.scalar(mult1, np.int64), what="scaled")
    if shift1 == 0:
        return scaled, reach * mult1
    rounded = make.node("Add", scaled, make.scalar(half, np.int64))
    shifts = np.full(layer.shape[0], shift1)
    return floor_shift(make, rounded, shifts, "shift1"), (reach * mult1 >> shift1) + 1


def floor_shift(make: GraphBuilder, tensor: str, shift: IntArray, what: str) -> str:
    """The arithmetic shift to the right of int64 [N, C, H, W], magnitudes below 2^62, by ``shift`` [C], 0..62.

    ONNX shifts unsigned numbers only, and its division rounds towards 0. So 2^62, a multiple of every 2^shift, makes
    the values positive first and is taken off again.
    """
    column = [-1, 1, 1]
    lifted = make.cast(make.node("Add", tensor, make.scalar(LIMIT, np.int64)), np.uint64)
    by = make.constant(np.reshape(shift, column), np.uint64, what)
    shifted = make.cast(make.node("BitShift", lifted, by, direction="RIGHT"), np.int64)
    lift = np.reshape([LIMIT >> int(s) for s in shift], column)
    return make.node("Sub", shifted, make.constant(lift, np.int64, "lift"))


def _requantize(make: GraphBuilder, layer: Layer, v: Sum) -> str:
    """clamp((v m + (b << sh) + (1 << sh-1)) >> sh, lo, hi), or (v + b) m with eq. 9's bias: int64."""
    in_sum = layer.bias_mode == "sum"
    constants = (layer.mult.tolist(), layer.shift.tolist(), layer.bias.tolist())
    for mult, shift, bias, bound in zip(*constants, v.bound, strict=True):
        added = (bound + abs(bias)) * mult if in_sum else bound * mult + (abs(bias) << shift)
        if added + (1 << shift - 1) >= LIMIT:
            raise _refuse(layer, f"requantization may reach {added + (1 << shift - 1)}, with shift {shift}")

    def column(values: IntArray, what: str) -> str:
        return make.constant(values.reshape(-1, 1, 1), np.int64, what)

    total = v.tensor if v.data_type is np.int64 else make.cast(v.tensor, np.int64)
    if in_sum:
        total = make.node("Add", total, column(layer.bias, "bias"))
    total = make.node("Mul", total, column(layer.mult, "mult"))
    if not in_sum:
        total = make.node("Add", total, column(layer.bias << layer.shift, "bias"))
    total = make.node("Add", total, column(np.left_shift(1, layer.shift - 1), "half"))
    limits = (make.constant(limit, np.int64, name) for limit, name in ((layer.lo, "lo"), (layer.hi, "hi")))
    return make.node("Clip", floor_shift(make, total, layer.shift, "shift"), *limits)


def _leading_bits(value: int, count: int) -> int:
    """``value`` with its ``count`` most significant ones only."""
    kept = 0
    for bit in reversed(range(value.bit_length())):
        if value >> bit & 1 and kept.bit_count() < count:
            kept += 1 << bit
    return kept


def _sparsify(make: GraphBuilder, layer: Layer, a: str, steps: int) -> str:
    """Truncation or RoT, then DRLO, of int64 activations (never negative)."""
    if grid := layer.truncate or layer.rot:
        step = make.scalar(1 << grid, np.int64)
        if layer.rot:
            a = make.node("Add", a, make.scalar(1 << grid - 1, np.int64))
        a = make.node("Mul", make.node("Div", a, step), step)
        if layer.rot:
            a = make.node("Min", a, make.constant(layer.hi >> grid << grid, np.int64, "largest"))
    if layer.drlo:
        # A function of 2^T values; ONNX counts no bits.
        table = [_leading_bits(value, layer.drlo) for value in range(1 << steps)]
        a = make.node("Gather", make.constant(table, np.int64, "drlo"), a)
    return a


def activate(make: GraphBuilder, layer: Layer, network: QuantizedNetwork, v: Sum) -> tuple[str, np.dtype[Any]]:
    """Activations of V(T-1), and their type: :func:`value_type` of T bits, of a signed layer int32, of a raw one V's.

    Raises UnsupportedError for a requantization that 64 bits could not hold.
    """
    if layer.raw:
        return v.tensor, np.dtype(v.data_type)
    a = _requantize(make, layer, v)
    if layer.signed:
        return make.cast(a, np.int32), np.dtype(np.int32)
    data_type = value_type(network.time_steps, signed=False)
    a = _sparsify(make, layer, a, network.time_steps)
    if layer.pool is None:
        return make.cast(a, data_type), data_type
    # ONNX pools no 16-bit integers; float32 holds them exactly. Padding is as good as 0: a window always holds a value,
    # and none is negative.
    pooled_type = data_type if data_type == np.uint8 else np.dtype(np.float32)
    pool = layer.pool
    pooled = make.node(
        "MaxPool", make.cast(a, pooled_type), kernel_shape=[pool.kernel] * 2, strides=[pool.stride] * 2,
        pads=[pool.padding] * 4,
    )  # fmt: skip
    return pooled if pooled_type == data_type else make.cast(pooled, data_type), data_type
