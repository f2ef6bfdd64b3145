"""Nodes and constants of an ONNX graph, collected one by one under names that say which layer they belong to."""

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """Collects a graph. Tensors are called ``<layer>/<what>``, with a number where that is taken.

    ``layer``: to which the next nodes and constants belong.
    """

    def __init__(self) -> None:
        self.layer = ""
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._scalars: dict[tuple[str, int], str] = {}
        self._taken: set[str] = set()

    def _name(self, what: str) -> str:
        name, number = f"{self.layer}/{what}", 0
        while name in self._taken:
            number += 1
            name = f"{self.layer}/{what}.{number}"
        self._taken.add(name)
        return name

    def constant(self, values: npt.ArrayLike, data_type: npt.DTypeLike, what: str) -> str:
        """Name of a constant with these values; ``what``: a word for it."""
        name = self._name(what)
        self._constants[name] = numpy_helper.from_array(np.asarray(values, dtype=data_type), name)
        return name

    def scalar(self, value: int, data_type: npt.DTypeLike) -> str:
        """Name of a constant without axes; the same for the same value and type."""
        key = np.dtype(data_type).name, value
        if key not in self._scalars:
            self._scalars[key] = self.constant(value, data_type, f"{key[0]} {value}")
        return self._scalars[key]

    def node(self, operator: str, *inputs: str, what: str | None = None, **attributes: Any) -> str:
        """Adds a node of one output; returns the output's name. ``what``: a word for it, the operator unless given."""
        name = self._name(what or operator)
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def cast(self, tensor: str, data_type: npt.DTypeLike) -> str:
        """``tensor`` as another type."""
        return self.node("Cast", tensor, to=helper.np_dtype_to_tensor_dtype(np.dtype(data_type)))

    def graph(self, name: str, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]) -> GraphProto:
        """The graph of all that was collected."""
        return helper.make_graph(self._nodes, name, inputs, outputs, list(self._constants.values()))
