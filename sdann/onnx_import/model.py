"""An ONNX model as it is read: one input, one output, nodes in order, shapes of all tensors."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, shape_inference

from ..errors import FileFormatError, UnsupportedError
from ..graph import Shape
from ..torch_import.finish import map_shape

__all__ = ["BATCH", "OnnxGraph", "graph_of", "load_graph"]

BATCH = 2
"""Samples that shapes are inferred for, where the model leaves their number open; 1 could be taken for anything."""

REAL = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
STANDARD = ("", "ai.onnx", "com.microsoft")
"""Domains of the operators; onnxruntime has QuantizeLinear in a domain of its own for types that ONNX lacked."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxGraph:
    """``model``: as it was read. ``input``, ``output``: names of its only input and output.

    ``batch``: samples in ``shapes``, which has the shape of every tensor, batch and all, that could be inferred;
    ``fixed_batch``: the model takes no other number.
    ``input_shape``: of one sample. ``view``: the same with the axes that the model has. ``opset``: of the standard
    operators.
    """

    name: str
    model: ModelProto
    input: str
    output: str
    batch: int
    fixed_batch: bool
    input_shape: Shape
    view: tuple[int, ...]
    opset: int
    shapes: dict[str, tuple[int, ...]]
    constants: dict[str, npt.NDArray[Any]]

    @property
    def nodes(self) -> list[NodeProto]:
        """All nodes, in topological order."""
        return list(self.model.graph.node)


def load_graph(path: str | Path) -> OnnxGraph:
    """Reads an ONNX file; raises FileFormatError and UnsupportedError that say what is wrong with it."""
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; give an ONNX model")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # of protobuf, of onnx, of the files that hold external data
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise FileFormatError(f"{path}: not a valid ONNX model: {reason}; export it again") from None
    return graph_of(model, path.stem)


def graph_of(model: ModelProto, name: str) -> OnnxGraph:
    """``model`` with all shapes; raises UnsupportedError for one without one real input and one output."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise UnsupportedError(
            f"the model has {len(inputs)} inputs ({', '.join(value.name for value in inputs)}) and "
            f"{len(model.graph.output)} outputs; give it one of each, both tensors"
        )
    (given,), (output,) = inputs, model.graph.output
    dims = given.type.tensor_type.shape.dim
    sides = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in dims]
    if given.type.tensor_type.elem_type not in REAL or len(sides) < 2:
        raise UnsupportedError(f"input {given.name!r} must be a real tensor with a batch axis")
    if not all(side > 0 for side in sides[1:]):
        raise UnsupportedError(
            f"input {given.name!r} leaves sizes open beside the batch's; fix them, as with "
            "`python -m onnxruntime.tools.make_dynamic_shape_fixed`"
        )
    batch, fixed = sides[0] or BATCH, bool(sides[0])
    domains = {opset.domain: opset.version for opset in model.opset_import}
    return OnnxGraph(
        name=name, model=model, input=given.name, output=output.name, batch=batch, fixed_batch=fixed,
        constants=constants, input_shape=map_shape(tuple(sides[1:])), view=tuple(sides[1:]), opset=domains.get("", 1),
        shapes=_shapes(model, given.name, (batch, *sides[1:])),
    )  # fmt: skip


def _shapes(model: ModelProto, name: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors that onnx can infer, for an input of ``shape``."""
    fixed = ModelProto()
    fixed.CopyFrom(model)
    del fixed.graph.value_info[:]  # which may hold the batch's symbol
    for node in fixed.graph.node:
        if node.domain == "com.microsoft" and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.domain = ""
    for value in fixed.graph.input:
        if value.name == name:
            value.CopyFrom(helper.make_tensor_value_info(name, value.type.tensor_type.elem_type, shape))
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(fixed, data_prop=True)
    found = {name: shape}
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            found[value.name] = tuple(int(dim.dim_value) for dim in tensor.shape.dim)
    return found | {key: np.shape(array) for key, array in constants_of(fixed).items()}


def constants_of(model: ModelProto) -> dict[str, npt.NDArray[Any]]:
    """The model's initializers."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
