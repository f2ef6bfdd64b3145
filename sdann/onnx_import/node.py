"""One ONNX node as the handlers see it, and what tensors stand for beside :class:`sdann.torch_import.values.Value`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import NodeProto, helper

from ..errors import UnsupportedError
from ..float_model import FloatArray
from ..torch_import.op import Op
from ..torch_import.values import Value

__all__ = ["Constant", "Integers", "Node", "Tensor", "node_name"]


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input. ``step``: of the same shape, where its values are whole multiples."""

    array: npt.NDArray[Any]
    step: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Integers:
    """What QuantizeLinear makes of ``value``: integers ``lo..hi``, of which ``zero`` stands for 0, times ``scale``.

    ``tensor``: their name.
    """

    value: Value
    scale: float
    zero: int
    lo: int
    hi: int
    tensor: str


Tensor = Value | Constant | Integers


def node_name(node: NodeProto) -> str:
    """The node's name, or where it has none its operator and output."""
    return str(node.name) or f"{node.op_type}:{node.output[0]}"


class Node:
    """``kind``: the operator. ``inputs``: None where one is left out. ``attributes``: those that are given.

    ``view``: shape of the first output without the batch. ``output``: its name.
    """

    def __init__(self, proto: NodeProto, inputs: list[Tensor | None], shape: tuple[int, ...] | None) -> None:
        self.proto, self.kind, self.inputs, self.shape = proto, str(proto.op_type), inputs, shape
        self.name, self.output = node_name(proto), str(proto.output[0])
        self.attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}

    def refusal(self, why: str) -> UnsupportedError:
        """The error that says ``why`` (and what to do instead)."""
        return UnsupportedError(f"layer {self.name!r}: {why}")

    @property
    def view(self) -> tuple[int, ...]:
        if self.shape is None:
            raise self.refusal(
                f"the shape of what {self.kind} makes is not known; run "
                "onnxruntime.quantization.shape_inference.quant_pre_process on the model first"
            )
        return self.shape[1:]

    def get(self, attribute: str, default: Any) -> Any:
        """An attribute, or what ONNX says it is where it is left out."""
        value = self.attributes.get(attribute, default)
        return value.decode() if isinstance(value, bytes) else value

    def value(self, number: int = 0) -> Value:
        """An input that depends on the network's input."""
        found = self.inputs[number]
        if isinstance(found, Integers):
            raise self.refusal(
                f"{self.kind} on integers; only Clip may stand between QuantizeLinear and DequantizeLinear"
            )
        if not isinstance(found, Value):
            raise self.refusal("it acts on a constant; let it act on what is computed from the input")
        return found

    def constant(self, number: int) -> Constant | None:
        """An input that must not depend on the network's input; None where it is left out."""
        found = self.inputs[number] if number < len(self.inputs) else None
        if found is not None and not isinstance(found, Constant):
            raise self.refusal(f"its input {number} is computed from the network's input; use a constant")
        return found

    def integers(self, number: int) -> list[int] | None:
        """A constant input as a list of integers."""
        found = self.constant(number)
        return None if found is None else [int(i) for i in np.asarray(found.array).reshape(-1)]

    def tensor(self, number: int) -> torch.Tensor | None:
        """A constant input in float64."""
        found = self.constant(number)
        return None if found is None else torch.from_numpy(np.array(found.array, dtype=np.float64))

    def op(self, kind: str, /, **args: Any) -> Op:
        """The same operation as the importer from torch knows it; ``args`` by torch's names."""
        return Op(self.name, kind, args, self.view)
