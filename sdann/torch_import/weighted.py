"""Operations with weights: convolutions, linear layers, BatchNorm."""

import numpy as np

from ..errors import UnsupportedError
from ..float_model import FloatArray, FloatEdge
from .builder import Builder
from .op import Op, array, as_map, pair, stride_for
from .values import Affine, Part, Value, scaled

__all__ = ["batch_norm", "convolution", "linear", "square_kernel"]

Pads = tuple[tuple[int, int], tuple[int, int]]


def square_kernel(weight: FloatArray, pads: Pads, dilation: tuple[int, int] = (1, 1)) -> tuple[FloatArray, int]:
    """(weight, padding) of the same convolution without dilation and with one padding on all sides.

    ``pads``: zeros (before, after) for rows and for columns. Taps that never count become zeros in the kernel.
    """
    rows, cols = ((k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True))
    wide = np.zeros((*weight.shape[:2], rows, cols))
    wide[:, :, :: dilation[0], :: dilation[1]] = weight
    padding = max(max(side) for side in pads)
    return np.pad(wide, ((0, 0), (0, 0), *((padding - a, padding - b) for a, b in pads))), padding


def _pads(op: Op, kernel: tuple[int, int], dilation: tuple[int, int]) -> Pads:
    padding = op.args["padding"]
    if isinstance(padding, dict):  # as ONNX has it
        return padding["rows"], padding["columns"]
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":  # torch puts the odd zero behind
        rows, cols = ((k - 1) * d for k, d in zip(kernel, dilation, strict=True))
        return (rows // 2, rows - rows // 2), (cols // 2, cols - cols // 2)
    above, left = pair(padding) if op.kind == "conv2d" else (0, pair(padding)[0])
    return (above, above), (left, left)


def _dense(weight: FloatArray, groups: int) -> FloatArray:
    """Weights of ``groups`` groups as one block-diagonal matrix."""
    out, fan_in = len(weight) // groups, weight.shape[1]
    dense = np.zeros((len(weight), fan_in * groups, *weight.shape[2:]))
    for group in range(groups):
        rows, cols = slice(group * out, (group + 1) * out), slice(group * fan_in, (group + 1) * fan_in)
        dense[rows, cols] = weight[rows]
    return dense


def _sum(builder: Builder, op: Op, parts: tuple[Part, ...], edges: list[FloatEdge], bias: FloatArray) -> Affine:
    """A sum with one edge per part; those whose weights are all zero are left out where another remains."""
    sources = [builder.activation(part, op) for part in parts]
    used = [(edge, source) for edge, source in zip(edges, sources, strict=True) if np.any(edge.weight)]
    used = used or [(edges[0], sources[0])]
    return builder.affine(op.name, tuple(edge for edge, _ in used), bias, tuple(source for _, source in used))


def convolution(builder: Builder, op: Op) -> Value:
    """A 2-d convolution, and a 1-d one as a convolution of one row."""
    value = op.value()
    shapes = as_map(op, value)
    weight = array(op.constant("weight"), 0)
    stride, dilation = pair(op.args["stride"]), pair(op.args["dilation"])
    if op.kind == "conv1d":
        weight, stride, dilation = weight[:, :, None], (1, stride[0]), (1, dilation[0])
    bias = array(op.constant("bias"), len(weight))
    groups = op.args["groups"]
    pads = _pads(op, (weight.shape[2], weight.shape[3]), dilation)
    weight, padding = square_kernel(weight, pads, dilation)
    rows, cols = (side + 2 * padding - kernel for side, kernel in zip(shapes[0][1:], weight.shape[2:], strict=True))
    step = stride_for(op, stride, (rows, cols))
    ends = np.cumsum(value.splits)[:-1]
    depthwise = groups == len(weight) == sum(value.splits) and groups > 1
    dense = _dense(weight, groups) if groups > 1 and not depthwise else weight
    whole = op.args.get("step")
    steps = np.split(whole, ends) if depthwise and whole is not None else [whole] * len(value.parts)
    edges = [
        FloatEdge(
            source=_source(builder, part, op), kind="depthwise" if depthwise else "conv", weight=w, stride=step,
            padding=padding, step=s,
        )
        for part, w, s in zip(
            value.parts, np.split(dense, ends, axis=0 if depthwise else 1), steps, strict=True
        )
    ]  # fmt: skip
    if depthwise:  # every part of the source makes a part of the result
        sums = zip(value.parts, edges, np.split(bias, ends), strict=True)
        return Value(tuple(_sum(builder, op, (part,), [edge], b) for part, edge, b in sums), op.view)
    return Value((_sum(builder, op, value.parts, edges, bias),), op.view)


def _source(builder: Builder, part: Part, op: Op) -> str:
    return builder.activation(part, op).source


def linear(builder: Builder, op: Op) -> Value:
    """A linear layer on a vector, or on a flattened map."""
    value = op.value()
    weight = array(op.constant("weight"), 0)
    if value.view[-1] != value.size:
        raise op.refusal(
            f"a Linear layer on a tensor of shape {list(value.view)} per sample; put nn.Flatten() before it"
        )
    bias = array(op.constant("bias"), len(weight))
    return Value((linear_sum(builder, op, value, weight, bias, op.args.get("step")),), op.view)


def linear_sum(
    builder: Builder, op: Op, value: Value, weight: FloatArray, bias: FloatArray, step: FloatArray | None = None
) -> Affine:
    """``weight`` [C_out, elements of ``value``] times all elements of ``value``, plus ``bias``.

    ``step``: see :class:`sdann.float_model.FloatEdge`.
    """
    ends = np.cumsum([np.prod(shape) for shape in value.shapes])[:-1]
    edges = [
        FloatEdge(source=_source(builder, part, op), kind="linear", weight=w.reshape(len(w), *shape), step=step)
        for part, shape, w in zip(value.parts, value.shapes, np.split(weight, ends, axis=1), strict=True)
    ]
    return _sum(builder, op, value.parts, edges, bias)


def batch_norm(builder: Builder, op: Op) -> Value:
    """BatchNorm with its running statistics, folded into the sum before it, or a 1 x 1 depthwise layer of its own."""
    value = op.value()
    mean, var = op.constant("running_mean"), op.constant("running_var")
    if op.args["training"] and mean is not None:
        raise op.refusal("BatchNorm is active although the model is not training; pass training=self.training")
    if mean is None or var is None:
        raise op.refusal("it keeps no running statistics; use track_running_stats=True and train again")
    size = len(mean)
    if sum(value.splits) != size:
        raise op.refusal(f"BatchNorm over {size} features of a flattened map; put it before the flattening")
    gain = array(op.constant("weight"), size, 1.0) / np.sqrt(array(var, size) + op.args["eps"])
    offset = array(op.constant("bias"), size) - array(mean, size) * gain
    ends = np.cumsum(value.splits)[:-1]
    parts = [
        scaled(ready(builder, op, part), g, o, op.name)
        for part, g, o in zip(value.parts, np.split(gain, ends), np.split(offset, ends), strict=True)
    ]
    return Value(tuple(parts), op.view)


def ready(builder: Builder, op: Op, part: Part) -> Part:
    """``part`` for another linear operation: a sum is taken from other users, and must not wait for its ReLU."""
    if not isinstance(part, Affine):
        return part
    if part.pool is not None:
        raise UnsupportedError(
            f"layer {op.name!r} follows the max pooling of {part.name!r} before its ReLU; put nn.ReLU() before it"
        )
    return builder.take(part, op)
