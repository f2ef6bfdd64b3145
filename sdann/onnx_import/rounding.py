"""QuantizeLinear, Clip of integers and DequantizeLinear: grids of activations and steps of constants."""

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper

from ..float_model import Grid
from ..graph import INPUT
from ..torch_import.builder import Builder
from ..torch_import.op import Op
from ..torch_import.values import Affine, Part, Value, identity_edge
from .node import Constant, Integers, Node, Tensor

__all__ = ["clip_integers", "dequantize", "quantize"]


def _parameters(node: Node) -> tuple[npt.NDArray[Any], npt.NDArray[Any], int, int]:
    """(scale, zero point, least, largest integer) of QuantizeLinear or DequantizeLinear."""
    if node.get("block_size", 0):
        raise node.refusal("quantization in blocks is not supported; use one scale per tensor or per channel")
    scale, zero = node.constant(1), node.constant(2)
    if scale is None:
        raise node.refusal("its scale is left out; give one")
    source = node.inputs[0]
    if zero is not None:
        kind = zero.array.dtype
    elif node.kind == "DequantizeLinear":
        kind = source.array.dtype if isinstance(source, Constant) else np.dtype(np.uint8)
    else:
        number = node.get("output_dtype", 0) or TensorProto.UINT8
        kind = np.dtype(helper.tensor_dtype_to_np_dtype(number))
    try:
        limits = ml_dtypes.iinfo(kind)  # type: ignore[no-untyped-call]  # also of 4 bits
    except ValueError:
        raise node.refusal(f"it quantizes to {kind}; use integers of 8 bits or less") from None
    zeros = np.zeros((), dtype=np.int64) if zero is None else zero.array.astype(np.int64)
    return scale.array.astype(np.float64), zeros, int(limits.min), int(limits.max)


def _along(node: Node, values: npt.NDArray[Any], axes: int) -> npt.NDArray[Any]:
    """``values``, one or one per place along the node's axis, so that they go with a tensor of ``axes`` axes."""
    if values.size == 1:
        return values.reshape(())
    shape = [1] * axes
    shape[node.get("axis", 1) % axes] = -1
    return values.reshape(shape)


def _one(node: Node) -> tuple[float, int, int, int]:
    """The parameters of activations."""
    scale, zero, low, high = _parameters(node)
    if scale.size != 1 or zero.size != 1:
        raise node.refusal("activations are quantized per channel; use one scale and one zero point for all")
    return float(scale.reshape(())), int(zero.reshape(())), low, high


def quantize(builder: Builder, node: Node) -> Tensor:
    """QuantizeLinear: of a constant at once, else a promise that DequantizeLinear keeps."""
    source = node.inputs[0]
    if isinstance(source, Constant):
        scale, zero, low, high = _parameters(node)
        axes = source.array.ndim
        # In float32 as every runtime does it, half to even.
        quotient = source.array.astype(np.float32) / _along(node, scale, axes).astype(np.float32)
        return Constant(np.clip(np.rint(quotient).astype(np.int64) + _along(node, zero, axes), low, high))
    return Integers(node.value(), *_one(node), node.output)


def clip_integers(node: Node, source: Constant | Integers) -> Tensor:
    """Clip between QuantizeLinear and DequantizeLinear (QCDQ): fewer bits than the type has."""
    limits = [node.integers(number) for number in (1, 2)]
    low, high = (None if limit is None else limit[0] for limit in limits)
    if isinstance(source, Constant):
        return Constant(np.clip(source.array.astype(np.int64), low, high))
    return replace(
        source, lo=source.lo if low is None else max(low, source.lo),
        hi=source.hi if high is None else min(high, source.hi), tensor=node.output,
    )  # fmt: skip


def dequantize(builder: Builder, node: Node) -> Tensor:
    """DequantizeLinear: of a constant real numbers with a step, else activations on a grid."""
    source = node.inputs[0]
    if isinstance(source, Constant):
        scale, zero, _, _ = _parameters(node)
        axes = source.array.ndim
        step = np.broadcast_to(_along(node, scale, axes), source.array.shape)
        return Constant((source.array.astype(np.int64) - _along(node, zero, axes)) * step, step)
    if not isinstance(source, Integers):
        raise node.refusal("it reads no integers; put QuantizeLinear before it")
    unit, offset, _, _ = _one(node)
    if (unit, offset) != (source.scale, source.zero):
        raise node.refusal(
            f"its scale and zero point {unit:g}, {offset} are not those of QuantizeLinear, {source.scale:g}, "
            f"{source.zero}; use the same"
        )
    value = source.value
    if value.host:
        return value  # rounding of what the host makes
    grid = Grid(step=unit, lo=source.lo - offset, hi=source.hi - offset, tensor=source.tensor, zero=offset)
    if not grid.lo <= 0 < grid.hi:
        raise node.refusal(f"its integers {source.lo}..{source.hi} less its zero point {offset} hold nothing above 0")
    op = Op(node.name, node.kind, {}, value.view)
    return Value(tuple(_rounded(builder, op, part, grid) for part in value.parts), value.view)


def _rounded(builder: Builder, op: Op, part: Part, grid: Grid) -> Part:
    """``part`` on ``grid``: a layer where it is known to be one, else a sum that remembers its grid."""
    if isinstance(part, Affine):
        return builder.on_grid(part, grid, op)
    if part.source != INPUT:
        grid = replace(grid, lo=0) if part.nonnegative else grid
    before = builder.grid(part.source)
    if before is not None and before.lo < 0 <= grid.lo:  # was rounded before its ReLU as well
        grid = replace(grid, hi=min(grid.hi, before.hi)) if before.step == grid.step else grid
        before = None
    if before is None:
        builder.set_grid(part.source, grid)
        return builder.known[part.source]
    if before == grid:
        builder.set_grid(part.source, grid)
        return part
    again = builder.affine(op.name, (identity_edge(part),), np.zeros(part.shape[0]), (part,))
    return builder.layer(replace(again, grid=grid), op, relu=not part.nonnegative)
