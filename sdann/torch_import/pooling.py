"""Average and max pooling."""

from dataclasses import replace

import numpy as np

from ..float_model import FloatArray, FloatEdge
from ..graph import Pool, Shape
from .builder import Builder
from .op import Op, as_map, pair, stride_for
from .values import Affine, Part, Value
from .weighted import linear_sum, ready, square_kernel

__all__ = ["adaptive_average", "average", "max_pool", "mean"]


def _window(builder: Builder, op: Op, part: Part, kernel: tuple[int, int], stride: int, padding: int) -> Part:
    """The mean over windows of ``part``. A 1 x 1 convolution that has no ReLU yet is swapped with it."""
    if isinstance(part, Affine) and part.mixed:
        return _pooled_before(builder, op, part, kernel, stride, padding)
    source = builder.activation(part, op)
    weight = np.full((source.shape[0], 1, *kernel), 1 / (kernel[0] * kernel[1]))
    edge = FloatEdge(source=source.source, kind="avgpool", weight=weight, stride=stride, padding=padding)
    return builder.affine(op.name, (edge,), np.zeros(source.shape[0]), (source,))


def _pooled_before(builder: Builder, op: Op, part: Affine, kernel: tuple[int, int], stride: int, padding: int) -> Part:
    plain = all(edge.kind in ("conv", "depthwise", "identity") for edge in part.edges)
    if (
        part.pool is not None
        or padding
        or not plain
        or any(edge.weight.shape[2:] != (1, 1) or edge.stride != 1 or edge.padding for edge in part.edges)
    ):
        builder.activation(part, op)  # says that ReLU is missing
    part = builder.take(part, op)
    pooled = [
        builder.activation(_window(builder, op, builder.known[edge.source], kernel, stride, 0), op)
        for edge in part.edges
    ]
    edges = tuple(replace(edge, source=source.source) for edge, source in zip(part.edges, pooled, strict=True))
    return builder.affine(part.name, edges, part.bias, tuple(pooled))


def _average(
    builder: Builder, op: Op, kernel: tuple[int, int], stride: tuple[int, int], pads: tuple[int, int]
) -> Value:
    value = op.value()
    shape = as_map(op, value)[0]
    if pads[0] != pads[1]:
        return _padded(builder, op, kernel, stride, pads)
    rows, cols = (side + 2 * pads[0] - k for side, k in zip(shape[1:], kernel, strict=True))
    step = stride_for(op, stride, (rows, cols))
    return Value(tuple(_window(builder, op, part, kernel, step, pads[0]) for part in value.parts), op.view)


def _padded(builder: Builder, op: Op, kernel: tuple[int, int], stride: tuple[int, int], pads: tuple[int, int]) -> Value:
    """Another padding for rows than for columns: depthwise weights."""
    parts = []
    for part in op.value().parts:
        source = builder.activation(part, op)
        ones = np.full((source.shape[0], 1, *kernel), 1 / (kernel[0] * kernel[1]))
        weight, padding = square_kernel(ones, ((pads[0], pads[0]), (pads[1], pads[1])))
        rows, cols = (side + 2 * padding - k for side, k in zip(source.shape[1:], weight.shape[2:], strict=True))
        edge = FloatEdge(
            source=source.source, kind="depthwise", weight=weight, padding=padding,
            stride=stride_for(op, stride, (rows, cols)),
        )  # fmt: skip
        parts.append(builder.affine(op.name, (edge,), np.zeros(source.shape[0]), (source,)))
    return Value(tuple(parts), op.view)


def _ceiling(op: Op, shape: tuple[int, ...]) -> None:
    """Refuses ceil_mode where it changes the result's shape from ``shape``."""
    if op.args["ceil_mode"] and op.view[-len(shape) :] != shape:
        raise op.refusal("ceil_mode=True adds windows that reach over the border; use ceil_mode=False, or pad the map")


def average(builder: Builder, op: Op) -> Value:
    """Average pooling with a fixed window."""
    kernel, pads = pair(op.args["kernel_size"]), pair(op.args["padding"])
    stride = pair(op.args["stride"] or op.args["kernel_size"])
    value = op.value()
    if op.args.get("divisor_override") is not None:
        raise op.refusal("divisor_override is not supported; leave it out")
    if any(pads) and not op.args["count_include_pad"]:
        raise op.refusal("count_include_pad=False divides by less at the border; use True, or no padding")
    if op.kind == "avg_pool1d":
        _ceiling(op, ((value.view[-1] + 2 * pads[0] - kernel[0]) // stride[0] + 1,))
        return _average_row(builder, op, kernel[0], stride[0], pads[0])
    _ceiling(
        op, tuple((v + 2 * p - k) // s + 1 for v, p, k, s in zip(value.view[-2:], pads, kernel, stride, strict=True))
    )
    return _average(builder, op, kernel, stride, pads)


def _average_row(builder: Builder, op: Op, kernel: int, stride: int, padding: int) -> Value:
    """Windows along the last axis: of a row map, of a whole flattened map, or over the channels of a vector."""
    value = op.value()
    shapes = value.shapes
    if len(value.view) == 2 and all(shape[1:] == (1, value.view[1]) for shape in shapes):
        return _average(builder, op, (1, kernel), (1, stride), (0, padding))
    if len(value.view) == 2 and kernel == value.view[1] and all(shape[1] * shape[2] == kernel for shape in shapes):
        rows, cols = shapes[0][1:]
        return Value(tuple(_window(builder, op, part, (rows, cols), 1, 0) for part in value.parts), op.view)
    if not value.is_vector or value.view[-1] != value.size or padding:
        raise op.refusal(
            f"1-d pooling of a tensor of shape {list(value.view)} per sample; flatten it to one row, without padding"
        )
    weight = np.zeros((op.view[-1], value.size))
    for row, weights in enumerate(weight):
        weights[row * stride : row * stride + kernel] = 1 / kernel
    part = value.parts[0]
    if len(value.parts) == 1 and isinstance(part, Affine) and part.mixed:
        return Value((_mixed_channels(builder, op, part, weight),), op.view)
    return Value((linear_sum(builder, op, value, weight, np.zeros(len(weight))),), op.view)


def _mixed_channels(builder: Builder, op: Op, part: Affine, weight: FloatArray) -> Affine:
    """``weight`` [C_out, C] times a sum that has no ReLU yet: one layer instead of two."""
    if any(edge.kind not in ("conv", "linear") for edge in part.edges):
        builder.activation(part, op)  # says that ReLU is missing
    ready(builder, op, part)
    edges = tuple(replace(edge, weight=np.tensordot(weight, edge.weight, 1), step=None) for edge in part.edges)
    return replace(part, edges=edges, bias=weight @ part.bias, shape=(len(weight), 1, 1), grid=None)


def adaptive_average(builder: Builder, op: Op) -> Value:
    """Average pooling to sizes that divide the map's."""
    sides = op.value().view[-2:] if op.kind.endswith("2d") else op.value().view[-1:]
    sizes = op.view[-len(sides) :]
    if any(side % size for side, size in zip(sides, sizes, strict=True)):
        raise op.refusal(f"a map of {list(sides)} cannot be cut evenly into {list(sizes)}; use a size that divides it")
    kernel = tuple(side // size for side, size in zip(sides, sizes, strict=True))
    if all(k == 1 for k in kernel):
        return op.value()
    if len(kernel) == 1:
        return _average_row(builder, op, kernel[0], kernel[0], 0)
    return _average(builder, op, pair(kernel), pair(kernel), (0, 0))


def mean(builder: Builder, op: Op) -> Value:
    """Mean over rows and columns, of a map or of a map whose positions are flattened."""
    value = op.value()
    axes = sorted(axis % (len(value.view) + 1) for axis in op.args["dim"] or [])
    whole: list[list[int]] = [[2, 3]] if value.is_map else []
    if len(value.view) == 2 and all(shape[1] * shape[2] == value.view[1] for shape in value.shapes):
        whole.append([2])
    if axes not in whole:
        raise op.refusal("only the mean over all rows and columns is supported; use nn.AvgPool2d or reshape less")
    rows, cols = value.shapes[0][1:]
    return Value(tuple(_window(builder, op, part, (rows, cols), 1, 0) for part in value.parts), op.view)


def max_pool(builder: Builder, op: Op) -> Value:
    """Max pooling, before or after ReLU."""
    value = op.value()
    shape: Shape = as_map(op, value)[0]
    kernel, stride = pair(op.args["kernel_size"]), pair(op.args["stride"] or op.args["kernel_size"])
    padding, dilation = pair(op.args["padding"]), pair(op.args["dilation"])
    if kernel[0] != kernel[1] or padding[0] != padding[1]:
        raise op.refusal("max pooling differs between rows and columns; use the same kernel_size and padding for both")
    if not 1 <= kernel[0] <= 4 or dilation != (1, 1):
        raise op.refusal("max pooling takes kernels of 1 to 4 without dilation; use several in a row")
    rows, cols = (side + 2 * padding[0] - kernel[0] for side in shape[1:])
    _ceiling(op, tuple(room // s + 1 for room, s in zip((rows, cols), stride, strict=True)))
    pool = Pool(kernel=kernel[0], stride=stride_for(op, stride, (rows, cols)), padding=padding[0])
    return Value(tuple(builder.pooled(part, pool, op) for part in value.parts), op.view)
