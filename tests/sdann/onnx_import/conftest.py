"""Small ONNX models, written node by node."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from sdann.onnx_import import from_onnx
from sdann.onnx_import.model import graph_of

ROOT = Path(__file__).resolve().parents[3]

FINE = (2**15 + 1) / 2**22
"""A weight's scale that 16 bits of a multiplier hold, and with which no sum is half a unit: rounding cannot differ."""


def load_script(name: str) -> ModuleType:
    """A file of scripts/ as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Model:
    """Collects nodes; ``rng`` makes weights. ``input``: shape of a sample."""

    def __init__(self, *shape: int, seed: int = 0, opset: int = 18, batch: int | str = "N") -> None:
        self.shape, self.opset, self.batch = shape, opset, batch
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants = [], []

    def constant(self, array) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def real(self, *shape: int, low: float = -1.0, high: float = 1.0) -> str:
        return self.constant(self.rng.uniform(low, high, shape).astype(np.float32))

    def node(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", name: str | None = None, **attributes):
        number = len(self.nodes)
        names = [f"t{number}" + (f"_{i}" if i else "") for i in range(outputs)]
        made = helper.make_node(kind, inputs, names, name=name or f"{kind}{number}", domain=domain, **attributes)
        self.nodes.append(made)
        return names[0]

    def quantized(self, tensor: str, scale: float, zero: int = 0, kind=np.uint8, clip: tuple[int, int] | None = None):
        """QuantizeLinear, Clip where it is given, DequantizeLinear."""
        parameters = self.constant(np.float32(scale)), self.constant(np.array(zero, dtype=kind))
        integers = self.node("QuantizeLinear", tensor, *parameters)
        if clip is not None:
            integers = self.node("Clip", integers, *(self.constant(np.array(limit, dtype=kind)) for limit in clip))
        return self.node("DequantizeLinear", integers, *parameters)

    def weight(self, array, scale, zero=None, axis: int = 0) -> str:
        """An integer weight, dequantized."""
        array = np.asarray(array)
        zeros = np.zeros(np.shape(scale), dtype=array.dtype) if zero is None else np.asarray(zero, dtype=array.dtype)
        parameters = self.constant(np.asarray(scale, dtype=np.float32)), self.constant(zeros)
        return self.node("DequantizeLinear", self.constant(array), *parameters, axis=axis)

    def integers(self, *shape: int, limit: int = 127):
        return self.rng.integers(-limit, limit + 1, shape).astype(np.int8)

    def bias(self, values, scale) -> str:
        return self.weight(np.asarray(values, dtype=np.int32), scale)

    def graph(self, output: str, *, name: str = "net"):
        opsets = [helper.make_opsetid("", self.opset)]
        opsets += [helper.make_opsetid(domain, 1) for domain in sorted({n.domain for n in self.nodes} - {""})]
        made = helper.make_graph(
            self.nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, *self.shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)], self.constants,
        )  # fmt: skip
        return graph_of(helper.make_model(made, opset_imports=opsets, ir_version=8), name)

    def imported(self, output: str) -> SimpleNamespace:
        """``graph`` and the float ``model`` of it."""
        graph = self.graph(output)
        return SimpleNamespace(graph=graph, model=from_onnx(graph))


@pytest.fixture(scope="session")
def script() -> ModuleType:
    return load_script("onnx_digits")
