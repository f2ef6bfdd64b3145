"""From an ONNX model, float or quantized elsewhere (QDQ, QCDQ), to the float network that the quantizer reads.

Of a quantized model the float network carries the integers: steps of weights, grids of activations. The rest, from
folding BatchNorm to merging layers, is the same as of a model of torch.
"""

from pathlib import Path

from ..float_model import FloatModel
from ..torch_import.finish import float_model
from .interpret import interpret
from .model import OnnxGraph, load_graph

__all__ = ["OnnxGraph", "from_onnx", "load_graph"]


def from_onnx(source: str | Path | OnnxGraph, *, name: str | None = None) -> FloatModel:
    """The layers of an ONNX model, ``source``: its file, or what :func:`load_graph` made of one.

    ``name``: of the network; None takes the file's. Takes what docs/onnx.md lists. Raises FileFormatError for a file
    that is no ONNX model, and UnsupportedError that names the node and the remedy.
    """
    graph = source if isinstance(source, OnnxGraph) else load_graph(source)
    builder, output = interpret(graph)
    return float_model(builder, output, name or graph.name, graph.input_shape)
