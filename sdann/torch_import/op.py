"""One operation of the exported program, as the handlers see it."""

from dataclasses import dataclass
from typing import Any

import torch

from ..errors import UnsupportedError
from ..float_model import FloatArray
from ..graph import Shape
from .values import Value

__all__ = ["STRIDES", "Op", "array", "as_map", "pair", "stride_for"]

STRIDES = (1, 2, 4)


@dataclass(frozen=True, eq=False)
class Op:
    """``name``: of the layer that it would make, for messages too. ``kind``: torch's name of it, such as "conv2d".

    ``args``: by torch's names of them; tensors are Values, or torch.Tensor where they do not depend on the input.
    ``view``: the result's shape without the batch.
    """

    name: str
    kind: str
    args: dict[str, Any]
    view: tuple[int, ...]

    def value(self) -> Value:
        """The tensor that the operation acts on, which must depend on the network's input."""
        value = self.args["self"] if "self" in self.args else self.args["input"]
        if not isinstance(value, Value):
            raise self.refusal("it acts on a constant; let it act on what is computed from the input")
        return value

    def constant(self, argument: str) -> torch.Tensor | None:
        """A tensor argument that must not depend on the input, or None."""
        value = self.args[argument]
        if value is not None and not isinstance(value, torch.Tensor):
            raise self.refusal(f"its {argument} is computed from the input; use a parameter")
        return value

    def refusal(self, why: str) -> UnsupportedError:
        """The error that says ``why`` (and what to do instead)."""
        return UnsupportedError(f"layer {self.name!r}: {why}")


def array(tensor: torch.Tensor | None, size: int, default: float = 0.0) -> FloatArray:
    """``tensor`` as float64, or [size] times ``default`` for None."""
    if tensor is None:
        return torch.full((size,), default, dtype=torch.float64).numpy()
    return tensor.to(torch.float64).numpy()


def pair(sizes: int | list[int] | tuple[int, ...]) -> tuple[int, int]:
    """Torch's 2-d sizes, of which one stands for both."""
    sizes = [sizes] if isinstance(sizes, int) else list(sizes)
    return sizes[0], sizes[-1]


def stride_for(op: Op, stride: tuple[int, int], extent: tuple[int, int]) -> int:
    """The one stride with which rows and columns come out as with ``stride``.

    ``extent``: how far the kernel can move. A side that it cannot move along takes any stride.
    """
    for candidate in STRIDES:
        if all(
            candidate == s or room // max(s, 1) == 0 == room // candidate
            for s, room in zip(stride, extent, strict=True)
        ):
            return candidate
    if stride[0] != stride[1]:
        raise op.refusal(f"stride {stride} differs between rows and columns; use the same for both")
    raise op.refusal(f"stride {stride[0]} is not supported; use 1, 2 or 4")


def as_map(op: Op, value: Value) -> list[Shape]:
    """Shapes of the parts of a value that ``op`` takes as a feature map, or as a row of it (1-d operations)."""
    if value.is_map or (len(value.view) == 2 and all(s[1:] == (1, value.view[1]) for s in value.shapes)):
        return value.shapes
    raise op.refusal(f"a tensor of shape {list(value.view)} per sample is not a feature map here; reshape less")
