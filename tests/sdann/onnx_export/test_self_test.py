"""The self-test passes here, and finds every kind of inexact kernel."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sdann.errors import SdannError
from sdann.onnx_export import inexact_operator, require_exact, self_test, session
from sdann.onnx_export.model import export_network

from .cases import samples, single

Inputs = Mapping[str, np.ndarray]


def test_this_machine_is_exact() -> None:
    assert inexact_operator() is None
    require_exact()


def _operator(model: bytes) -> str:
    return onnx.load_from_string(model).graph.node[0].op_type


def saturating(model: bytes, inputs: Inputs) -> Any:
    """MatMulInteger as on x86 without VNNI for uint8 x int8: pairs of products saturate at 16 bits."""
    if _operator(model) != "MatMulInteger":
        return self_test._run(model, inputs)
    graph = onnx.load_from_string(model).graph
    constants = {tensor.name: numpy_helper.to_array(tensor).astype(np.int64) for tensor in graph.initializer}
    weight, x_zero, w_zero = (constants[name] for name in graph.node[0].input[1:])
    w, x = weight - w_zero, inputs["x"].astype(np.int64)
    if len(w) % 2:
        w, x = np.pad(w, ((0, 1), (0, 0))), np.pad(x, ((0, 0), (0, 1)))
    pairs = sum(x[:, i::2, None] * w[None, i::2] for i in range(2)).clip(-(1 << 15), (1 << 15) - 1)
    return pairs.sum(axis=1) - x_zero * w.sum(axis=0)


def in_float(model: bytes, inputs: Inputs) -> Any:
    """Sums that were rounded to float32's 24 bits."""
    return self_test._run(model, inputs).astype(np.float32).astype(np.int64)


def towards_zero(model: bytes, inputs: Inputs) -> Any:
    """Shifts that round negative numbers up."""
    found = self_test._run(model, inputs)
    return found + (found < 0) if _operator(model) == "Mul" else found


def padded_wrongly(model: bytes, inputs: Inputs) -> Any:
    """Convolutions whose padding is 0 whatever the zero point."""
    graph = onnx.load_from_string(model)
    if graph.graph.node[0].op_type != "ConvInteger":
        return self_test._run(model, inputs)
    node = graph.graph.node[0]
    (pads,) = (a for a in node.attribute if a.name == "pads")
    around = pads.ints[0]
    pads.CopyFrom(onnx.helper.make_attribute("pads", [0, 0, 0, 0]))
    x = np.pad(inputs["x"], ((0, 0), (0, 0), (around, around), (around, around)))
    return self_test._run(graph.SerializeToString(), {"x": x})


def of_another_shape(model: bytes, inputs: Inputs) -> Any:
    return self_test._run(model, inputs)[:, :1]


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (saturating, "MatMulInteger, 3 x 45"),
        (in_float, "MatMulInteger"),
        (towards_zero, "64-bit Mul, BitShift and Clip"),
        (padded_wrongly, "ConvInteger"),
        (of_another_shape, "shape"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_inexact_kernel_is_found(fault: Callable[..., Any], named: str) -> None:
    wrong = inexact_operator(fault)
    assert wrong is not None and named in wrong and "expected" in wrong


def test_the_judge_refuses_to_judge_where_it_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "inexact_operator", lambda: "MatMulInteger: expected 1, found 2")
    network = single()
    require_exact.cache_clear()
    try:
        with pytest.raises(SdannError, match=r"onnxruntime .* is not exact on this machine: MatMulInteger: expected 1"):
            session.run(network, export_network(network), samples(network))
    finally:
        require_exact.cache_clear()
