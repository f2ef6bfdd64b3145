"""Walks an ONNX graph and lets a handler say what each node makes of what it reads."""

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto
from onnx.reference import ReferenceEvaluator

from ..errors import UnsupportedError
from ..graph import INPUT
from ..torch_import.builder import Builder
from ..torch_import.values import Value
from .model import STANDARD, OnnxGraph
from .node import Constant, Integers, Node, Tensor, node_name
from .operators import HANDLERS, HOST, REMEDIES
from .rounding import clip_integers, dequantize, quantize

__all__ = ["interpret"]

AFTER_HOST = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast", "Transpose", "Dropout",
              "QuantizeLinear", "DequantizeLinear")  # fmt: skip
"""What may follow an operator that is left to the host."""

KEEP_STEP = ("Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")
"""Operators after which a constant's numbers are the same ones."""

SUPPORTED = (
    "Conv, Gemm, MatMul, BatchNormalization, Relu, Clip, MaxPool, AveragePool, GlobalAveragePool, Add, Concat, "
    "Flatten, Reshape, QuantizeLinear, DequantizeLinear"
)


def _evaluated(node: NodeProto, inputs: list[Tensor | None], graph: OnnxGraph) -> Constant:
    """A node that reads constants only, done at once."""
    made = Node(node, inputs, None)
    constants = [item for item in inputs if isinstance(item, Constant)]
    if node.op_type == "QuantizeLinear":
        found = quantize(Builder(graph.input_shape), made)
    elif node.op_type == "DequantizeLinear":
        found = dequantize(Builder(graph.input_shape), made)
    elif node.op_type == "Clip" and constants[0].array.dtype.kind != "f":
        found = clip_integers(made, constants[0])
    else:
        feeds = {
            str(name): item.array for name, item in zip(node.input, inputs, strict=True) if isinstance(item, Constant)
        }
        step = constants[0].step if constants and node.op_type in KEEP_STEP else None
        array = _run(node, feeds, graph)
        if step is None:
            return Constant(array)
        return Constant(array, _run(node, feeds | {str(node.input[0]): np.array(step)}, graph))
    assert isinstance(found, Constant)
    return found


def _run(node: NodeProto, feeds: dict[str, npt.NDArray[Any]], graph: OnnxGraph) -> npt.NDArray[Any]:
    try:
        made: Any = ReferenceEvaluator(node, opsets={"": graph.opset}).run(None, feeds)
        return np.asarray(made[0])
    except Exception as error:  # of whatever onnx's reference stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedError(
            f"layer {node_name(node)!r}: {node.op_type} of constants fails: {reason}; fold the constants, as "
            "onnxruntime.quantization.shape_inference.quant_pre_process does"
        ) from None


class _Interpreter:
    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.builder = Builder(graph.input_shape)
        self.tensors: dict[str, Tensor] = {name: Constant(array) for name, array in graph.constants.items()}
        self.tensors[graph.input] = Value((self.builder.known[INPUT],), graph.view)
        self.host_layer = ""

    def call(self, proto: NodeProto) -> Tensor:
        """What one node makes."""
        inputs = [self.tensors[name] if name else None for name in proto.input]
        name = node_name(proto)
        if proto.domain not in STANDARD or (proto.op_type not in HANDLERS and proto.op_type in REMEDIES):
            raise self._unknown(proto)
        if proto.op_type == "Shape":
            return self._shape(proto, inputs)
        if all(isinstance(item, Constant) or item is None for item in inputs):
            return _evaluated(proto, inputs, self.graph)
        node = Node(proto, inputs, self.graph.shapes.get(proto.output[0]))
        host = next((v.host for v in inputs if isinstance(v, Value) and v.host), ())
        if host and proto.op_type not in HOST and proto.op_type not in AFTER_HOST:
            raise UnsupportedError(
                f"layer {self.host_layer!r}: {host[-1]} is possible only after the last layer, where the host does it; "
                "use Relu for an activation, leave out the rest"
            )
        if proto.op_type not in ("QuantizeLinear", "DequantizeLinear", "Clip"):
            self._check_batch(node)
        if proto.op_type in HOST:
            value = node.value()
            self.host_layer = self.host_layer or name
            return Value(value.parts, node.view, host=(*value.host, HOST[proto.op_type]))
        if proto.op_type not in HANDLERS:
            raise self._unknown(proto)
        made = HANDLERS[proto.op_type](self.builder, node)
        if isinstance(made, Value) and made.host:
            self.host_layer = self.host_layer or name
        return made

    def _check_batch(self, node: Node) -> None:
        if node.shape is not None and (not node.shape or node.shape[0] != self.graph.batch):
            raise node.refusal(f"{node.kind} mixes the samples of a batch; keep the batch as the first axis")

    def _shape(self, proto: NodeProto, inputs: list[Tensor | None]) -> Constant:
        shape = self.graph.shapes.get(proto.input[0])
        if shape is None:
            raise UnsupportedError(f"layer {node_name(proto)!r}: the shape that it reads is not known; fix all sizes")
        node = Node(proto, inputs, None)
        start, end = node.get("start", 0), node.get("end", None)
        return Constant(np.array(shape[start:end], dtype=np.int64))

    def _unknown(self, proto: NodeProto) -> UnsupportedError:
        domain = f"{proto.domain}." if proto.domain not in STANDARD else ""
        remedy = REMEDIES.get(proto.op_type, f"use {SUPPORTED}")
        return UnsupportedError(f"layer {node_name(proto)!r}: {domain}{proto.op_type} is not supported; {remedy}")


def interpret(graph: OnnxGraph) -> tuple[Builder, Value]:
    """(all layers that the graph makes, its output). Raises UnsupportedError that names the node and the remedy."""
    interpreter = _Interpreter(graph)
    for node in graph.nodes:
        interpreter.tensors[node.output[0]] = interpreter.call(node)
    output = interpreter.tensors.get(graph.output)
    if isinstance(output, Integers):
        raise UnsupportedError("the model ends in QuantizeLinear; end it with DequantizeLinear")
    if not isinstance(output, Value):
        raise UnsupportedError("the model's output does not depend on its input")
    return interpreter.builder, output
