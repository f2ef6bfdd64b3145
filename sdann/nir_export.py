"""An integer network as a graph of NIR, the Neuromorphic Intermediate Representation, as far as NIR can say it.

NIR has weights and neurons, and neither integers, ReLU, max pooling nor this chip's neurons: what it cannot say stands
in the nodes' metadata, from which the network could be had back number for number. docs/onnx.md says what is lost
without.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from .check import check_network
from .errors import SdannError, UnsupportedError
from .graph import INPUT, Edge, Layer, QuantizedNetwork, Shape

try:
    import nir
except ModuleNotFoundError:
    raise SdannError('NIR needs the package nir: pip install "sdann[nir]"') from None

__all__ = ["nir_graph", "save_nir"]

VERSION = 1
"""Of the metadata."""


def _node_name(name: str) -> str:
    """``name`` as a key of HDF5, where a slash would make groups."""
    return name.strip("/").replace("/", ".")


def _matrix(edge: Edge, source: Shape, shape: Shape) -> np.ndarray:
    """Weights [C_out, C_in] of an edge between vectors, whatever its kind."""
    if edge.kind == "linear":
        return edge.weight.reshape(len(edge.weight), -1)
    if source[1:] != (1, 1) or shape[1:] != (1, 1):
        raise UnsupportedError(
            f"edge from {edge.source!r}: NIR has no convolution of a vector to a map; leave its padding out"
        )
    taps = edge.weight[:, :, edge.padding, edge.padding]  # the others see padding only
    return np.diag(taps[:, 0]) if edge.kind == "depthwise" else taps


class _Graph:
    def __init__(self, network: QuantizedNetwork) -> None:
        self.network = network
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        # Of the input and of each layer: the node that gives its activations, and whether they are a vector there.
        self.given: dict[str, tuple[str, bool]] = {}

    def vector(self, layer: Layer) -> bool:
        """True if the layer's neurons are a vector for NIR: one of its edges ends in a matrix."""
        return any(edge.kind == "linear" or self.given[edge.source][1] for edge in layer.edges)

    def add(self, name: str, node: Any, *sources: str) -> str:
        """``node``, which reads ``sources``; its name."""
        if name in self.nodes:
            raise UnsupportedError(f"two nodes would be called {name!r}: rename a layer")
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def synapses(self, layer: Layer, number: int, bias: np.ndarray) -> str:
        """The node, or two, of one edge: integer weights times 2^k_e, and ``bias`` in units of the sum."""
        edge = layer.edges[number]
        source, vector = self.given[edge.source]
        shape = self.network.shape_of(edge.source)
        base = f"{_node_name(layer.name)}.{number}"
        metadata: dict[str, Any] = {"kind": edge.kind, "shift": edge.shift, "weight_bits": self.network.weight_bits}
        factor = 1 << edge.shift
        if edge.kind == "linear" or vector:
            if not vector:
                flatten = nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0, end_dim=-1)
                source = self.add(f"{base}.flatten", flatten, source)
            weight = (_matrix(edge, shape, layer.shape) * factor).astype(np.float32)
            if edge.kind != "linear":  # its taps on padding are lost
                metadata |= {"weight": edge.weight, "stride": edge.stride, "padding": edge.padding}
            return self.add(base, nir.Affine(weight=weight, bias=bias, metadata=metadata), source)
        if edge.weight.shape[2] != edge.weight.shape[3]:
            raise UnsupportedError(
                f"edge from {edge.source!r}: nir {nir.__version__} miscounts the outputs of kernels of "
                f"{edge.weight.shape[2]} x {edge.weight.shape[3]}; use square ones"
            )
        taps = edge.weight * factor
        if edge.kind == "depthwise":  # nir 1.0.8 checks the channels of grouped convolutions wrongly
            channels = np.arange(shape[0])
            dense = np.zeros((shape[0], shape[0], *taps.shape[2:]), dtype=np.int64)
            dense[channels, channels] = taps[:, 0]
            taps = dense
        conv = nir.Conv2d(
            input_shape=(shape[1], shape[2]), weight=taps.astype(np.float32), stride=edge.stride,
            padding=edge.padding, dilation=1, groups=1, bias=bias, metadata=metadata,
        )  # fmt: skip
        source = self.add(base, conv, source)
        if self.vector(layer):  # because of another edge
            flatten = nir.Flatten(input_type={"input": np.array(layer.shape)}, start_dim=0, end_dim=-1)
            source = self.add(f"{base}.flatten", flatten, source)
        return source

    def layer(self, layer: Layer) -> None:
        """All nodes of one layer."""
        name, factor = _node_name(layer.name), layer.mult / np.exp2(layer.shift)
        bias = layer.bias.astype(np.float64)
        if layer.bias_mode == "scaled":
            bias = np.divide(bias, factor, out=np.zeros_like(bias), where=factor > 0)
        if layer.scaled is not None:  # M = s_1 s_2
            factor = factor * layer.scaled.mult1 / 2.0**layer.scaled.shift1
            bias = bias * 2.0**layer.scaled.shift1 / layer.scaled.mult1
        if layer.raw:
            factor, bias = np.ones_like(factor), np.zeros_like(bias)
        sources = [
            self.synapses(layer, number, bias if number == 0 else np.zeros_like(bias))
            for number in range(len(layer.edges))
        ]
        vector = self.vector(layer)
        shape = (layer.shape[0],) if vector else layer.shape
        gain = np.broadcast_to(factor.reshape(-1, *[1] * (len(shape) - 1)), shape).astype(np.float64)
        metadata = _metadata(layer, self.network)
        if layer.signed:
            made = self.add(name, nir.Scale(scale=gain, metadata=metadata), *sources)
        else:
            ones = np.ones(shape)
            made = self.add(name, nir.IF(r=gain, v_threshold=ones, metadata=metadata), *sources)
        if layer.pool is not None:
            sides = {key: np.full(2, getattr(layer.pool, key)) for key in ("stride", "padding")}
            window = np.full(2, layer.pool.kernel)
            node = nir.AvgPool2d(kernel_size=window, **sides, metadata={"kind": "max"})
            made = self.add(f"{name}.pool", node, made)
        self.given[layer.name] = made, vector


def _metadata(layer: Layer, network: QuantizedNetwork) -> dict[str, Any]:
    """What NIR cannot say of a layer: arrays as they are, all else as JSON under "layer"."""
    fields = {
        "name": layer.name, "shape": layer.shape, "bias_mode": layer.bias_mode, "lo": layer.lo, "hi": layer.hi,
        "signed": layer.signed, "rot": layer.rot, "drlo": layer.drlo, "truncate": layer.truncate, "raw": layer.raw,
        "sources": [edge.source for edge in layer.edges],
        "scaled": None if layer.scaled is None else [layer.scaled.mult1, layer.scaled.shift1],
        "parts": [[[some.edge, some.channel0, some.channels] for some in part] for part in layer.parts],
        "scale": network.scales.get(layer.name),
    }  # fmt: skip
    return {"layer": json.dumps(fields), "mult": layer.mult, "shift": layer.shift, "bias": layer.bias}


def nir_graph(network: QuantizedNetwork) -> "nir.NIRGraph":
    """``network`` as a NIR graph, type-checked by nir.

    Weights are the integers times 2^k_e, biases in units of the sum; an IF neuron of resistance M = S_w S_x / S_a and
    threshold 1 fires, at a constant input, as often as ReLU of the layer says, rounded by nothing; a signed last layer
    is a Scale by M. Raises SdannError for an inconsistent network, and UnsupportedError for one that NIR cannot hold.
    """
    check_network(network)
    graph = _Graph(network)
    shape = np.array(network.input_shape)
    graph.given[INPUT] = graph.add(INPUT, nir.Input(input_type={"input": shape})), False
    for layer in network.layers:
        try:
            graph.layer(layer)
        except UnsupportedError as error:
            raise UnsupportedError(f"layer {layer.name!r}: {error}") from None
    last = network.layers[-1]
    made, vector = graph.given[last.name]
    output = np.array(last.output_shape[:1] if vector else last.output_shape)
    graph.add("output", nir.Output(output_type={"output": output}), made)
    fields = {
        "version": VERSION, "name": network.name, "input_signed": network.input_signed,
        "time_steps": network.time_steps, "membrane_bits": network.membrane_bits,
        "weight_bits": network.weight_bits, "input_scale": network.scales.get(INPUT),
        "layers": [_node_name(layer.name) for layer in network.layers],
    }  # fmt: skip
    return nir.NIRGraph(nodes=graph.nodes, edges=graph.edges, metadata={"sdann": json.dumps(fields)})


def save_nir(network: QuantizedNetwork, path: str | Path) -> int:
    """Writes :func:`nir_graph` as a file of nir's (HDF5); returns the number of nodes."""
    graph = nir_graph(network)
    nir.write(str(path), graph)
    return len(graph.nodes)
