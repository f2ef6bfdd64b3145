"""ReLU and its kin, sums, scaling by constants, concatenation."""

import math
from typing import Any

import numpy as np
import torch

from ..float_model import FloatArray
from .builder import Builder
from .op import Op
from .values import Activation, Affine, Part, Value, identity_edge, scaled
from .weighted import ready

__all__ = ["add", "concatenate", "rectify", "scale"]


def _limits(op: Op) -> tuple[float | None, float | None]:
    """(lower, upper) limit of a clamping operation."""
    if op.kind in ("relu", "relu6"):
        return 0.0, 6.0 if op.kind == "relu6" else None
    low, high = ("min_val", "max_val") if op.kind == "hardtanh" else ("min", "max")
    found = [op.args.get(name) for name in (low, high)]
    if any(isinstance(limit, (torch.Tensor, Value)) for limit in found):
        raise op.refusal("its limits are tensors; use numbers")
    lower, upper = (None if limit is None or math.isinf(limit) else float(limit) for limit in found)
    return lower, upper


def rectify(builder: Builder, op: Op) -> Value:
    """ReLU, and clipping from 0 to a number, of any spelling."""
    value = op.value()
    lower, upper = _limits(op)
    if lower is None and all(isinstance(part, Activation) and part.nonnegative for part in value.parts):
        lower = 0.0
    if lower != 0 or (upper is not None and upper <= 0):
        raise op.refusal(f"{op.kind} from {lower} to {upper} is not supported; use nn.ReLU() or nn.ReLU6()")
    return value.with_parts(tuple(builder.rectified(part, op, upper) for part in value.parts))


def _per_channel(op: Op, number: Any, value: Value, argument: str) -> FloatArray:
    """A constant of an elementwise operation as [C]."""
    channels = sum(value.splits)
    if isinstance(number, (torch.SymInt, torch.SymFloat)):
        raise op.refusal(f"its {argument} depends on the size of the batch; use a constant")
    tensor = torch.as_tensor(number, dtype=torch.float64)
    if tensor.numel() == 1:
        return np.full(channels, float(tensor))
    shape = (channels, 1, 1) if value.is_map else (channels,)
    squeezed = tensor.reshape(tensor.shape[1:]) if tensor.ndim > len(shape) and tensor.shape[0] == 1 else tensor
    if squeezed.shape != shape or (not value.is_map and not value.is_vector):
        raise op.refusal(f"its {argument} of shape {list(tensor.shape)} is not one number per channel; use one")
    return squeezed.reshape(-1).numpy()


def _affine(builder: Builder, op: Op, value: Value, gain: FloatArray, offset: FloatArray) -> Value:
    ends = np.cumsum(value.splits)[:-1]
    return value.with_parts(
        tuple(
            scaled(ready(builder, op, part), g, o, op.name)
            for part, g, o in zip(value.parts, np.split(gain, ends), np.split(offset, ends), strict=True)
        )
    )


def scale(builder: Builder, op: Op) -> Value:
    """Multiplication and division by constants."""
    value, other = op.args["self"], op.args["other"]
    if not isinstance(value, Value) and op.kind == "mul":
        value, other = other, value
    if not isinstance(value, Value) or isinstance(other, Value):
        raise op.refusal(f"{op.kind} of two tensors (gating, attention) is not supported; leave it out")
    if op.args.get("rounding_mode") is not None:
        raise op.refusal("a rounding division is not supported; leave the rounding out")
    factor = _per_channel(op, other, value, "factor")
    return _affine(builder, op, value, 1 / factor if op.kind == "div" else factor, np.zeros(len(factor)))


def add(builder: Builder, op: Op) -> Value:
    """Sums and differences of two tensors, or of a tensor and a constant."""
    left, right = op.args["self"], op.args["other"]
    if op.kind == "rsub":
        left, right = right, left
    factor = float(op.args.get("alpha", 1)) * (1 if op.kind == "add" else -1)
    if isinstance(left, Value) and isinstance(right, Value):
        return _added(builder, op, left, right, factor)
    if isinstance(left, Value):
        offset = factor * _per_channel(op, right, left, "addend")
        return _affine(builder, op, left, np.ones(len(offset)), offset)
    offset = _per_channel(op, left, right, "addend")
    return _affine(builder, op, right, np.full(len(offset), factor), offset)


def _added(builder: Builder, op: Op, left: Value, right: Value, factor: float) -> Value:
    if left.view != right.view or left.size != right.size:
        raise op.refusal(
            f"it adds tensors of shapes {list(left.view)} and {list(right.view)}; make their shapes equal first"
        )
    if left.shapes != right.shapes:
        raise op.refusal(
            f"it adds concatenations of {left.splits} and of {right.splits} channels; add before concatenating"
        )
    parts = []
    for one, two in zip(left.parts, right.parts, strict=True):
        size = one.shape[0]
        a = _addend(builder, op, one)
        b = scaled(_addend(builder, op, two), np.full(size, factor), np.zeros(size), op.name)
        parts.append(
            Affine(
                op.name,
                a.edges + b.edges,
                a.bias + b.bias,
                a.shape,
                a.mixed or b.mixed,
                a.nonnegative and b.nonnegative,
            )
        )
    return left.with_parts(tuple(parts))


def _addend(builder: Builder, op: Op, part: Part) -> Affine:
    part = ready(builder, op, part)
    if isinstance(part, Activation):
        return builder.affine(op.name, (identity_edge(part),), np.zeros(part.shape[0]), (part,))
    return part


def concatenate(builder: Builder, op: Op) -> Value:
    """Concatenation of channels, or of flat tensors."""
    values: list[Value] = op.args["tensors"]
    axis = op.args["dim"] % (len(op.view) + 1)
    if not all(isinstance(value, Value) for value in values):
        raise op.refusal("it concatenates a constant; leave it out")
    if axis != 1 or any(value.view[1:] != op.view[1:] for value in values):
        raise op.refusal(f"it concatenates along axis {axis}; only channels (axis 1) can be concatenated")
    if any(not (value.is_map or len(value.view) == 1 or value.is_vector) for value in values):
        raise op.refusal("it concatenates reshaped maps; reshape after concatenating")
    return Value(tuple(part for value in values for part in value.parts), op.view)
