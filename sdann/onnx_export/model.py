"""A whole network as an ONNX model of integer operators."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, ValueInfoProto, helper

from ..check import check_network
from ..errors import UnsupportedError
from ..graph import INPUT, QuantizedNetwork
from .builder import GraphBuilder
from .edges import Sources, value_type
from .layers import activate, integrate

__all__ = ["OPSET", "ExportedLayer", "ExportedNetwork", "export_network"]

OPSET, IR_VERSION = 18, 8
"""The oldest that have every operator used, so that old runtimes read the model."""

MOST_BYTES = (1 << 31) - 1
"""Of a protobuf message, which an ONNX file is."""


@dataclass(frozen=True, kw_only=True)
class ExportedLayer:
    """Names of its graph outputs, both [N, C, H, W]. ``form``: "whole sums" or "bit-planes", how it integrates."""

    layer: str
    accumulator: str
    activation: str
    form: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ExportedNetwork:
    """``input``: name of the model's only input, integers [N, C, H, W] of type ``input_type``. ``layers``: in graph
    order. The model's first output is the activation of the last layer, the others are all layers' accumulators and
    activations.
    """

    model: ModelProto
    input: str
    input_type: np.dtype[Any]
    layers: tuple[ExportedLayer, ...]

    @property
    def nodes(self) -> int:
        """Operators in the model."""
        return len(self.model.graph.node)

    def serialize(self) -> bytes:
        """The model as the bytes of an ONNX file; raises UnsupportedError beyond 2 GiB."""
        size = self.model.ByteSize()
        if size > MOST_BYTES:
            raise UnsupportedError(
                f"the ONNX model takes {size / 2**30:.1f} GiB, and an ONNX file holds 2: export a narrower network"
            )
        return bytes(self.model.SerializeToString())

    def save(self, path: str | Path) -> None:
        """Writes the ONNX file."""
        Path(path).write_bytes(self.serialize())


def export_network(network: QuantizedNetwork) -> ExportedNetwork:
    """``network`` as a model whose every number is an integer; it computes what ``docs/numerics.md`` defines.

    Takes the network's parameters, and no code of the models. Raises SdannError for an inconsistent network, and
    UnsupportedError, naming the layer, where 64-bit integers could overflow.
    """
    check_network(network)
    make = GraphBuilder()
    input_type = value_type(network.time_steps, network.input_signed)
    sources = Sources(make, network, INPUT)
    layers = []
    infos = []

    def info(name: str, data_type: np.dtype[Any], shape: tuple[int, ...]) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(data_type), ["N", *shape])

    for layer in network.layers:
        make.layer = layer.name
        v = integrate(make, layer, network, sources)
        # Identities, so that a layer's two outputs have names of their own whatever it is made of.
        accumulator = make.node("Identity", v.tensor, what="accumulator")
        tensor, data_type = activate(make, layer, network, v)
        activation = make.node("Identity", tensor, what="activation")
        sources.add(layer.name, activation)
        infos.append(info(accumulator, np.dtype(v.data_type), layer.shape))
        infos.append(info(activation, data_type, layer.output_shape))
        form = "bit-planes" if v.by_planes else "whole sums"
        layers.append(ExportedLayer(layer=layer.name, accumulator=accumulator, activation=activation, form=form))
    graph = make.graph(network.name, [info(INPUT, input_type, network.input_shape)], [infos.pop(), *infos])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="sdann"
    )
    helper.set_model_props(model, {"time_steps": str(network.time_steps), "scales": json.dumps(network.scales)})
    return ExportedNetwork(model=model, input=INPUT, input_type=input_type, layers=tuple(layers))
