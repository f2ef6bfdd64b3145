"""Float models: what the importer makes of each operator computes what onnxruntime computes."""

import numpy as np
import pytest

from sdann.float_model import forward
from sdann.onnx_import.judge import run_model

from .conftest import Model


def conv(**attributes):
    groups, kernel = attributes.get("group", 1), attributes.pop("kernel", 3)

    def build(model: Model) -> str:
        weight = model.real(8, model.shape[0] // groups, kernel, kernel)
        return model.node("Conv", "x", weight, model.real(8), **attributes)

    return build


def after_relu(*nodes):
    """A convolution with ReLU, then each of ``nodes``: (operator, attributes)."""

    def build(model: Model) -> str:
        tensor = model.node("Relu", conv(pads=[1] * 4)(model))
        for kind, attributes in nodes:
            tensor = model.node(kind, tensor, **attributes)
        return tensor

    return build


def normalized(model: Model) -> str:
    tensor = conv(pads=[1] * 4)(model)
    numbers = [model.real(8) for _ in range(3)] + [model.real(8, low=0.5, high=2)]
    return model.node("Relu", model.node("BatchNormalization", tensor, *numbers, epsilon=1e-3))


def residual(model: Model) -> str:
    one = model.node("Relu", conv(pads=[1] * 4)(model))
    two = model.node("Conv", one, model.real(8, 8, 3, 3), pads=[1] * 4)
    return model.node("Relu", model.node("Add", two, one))


def clipped(model: Model) -> str:
    return model.node("Clip", conv()(model), model.constant(np.float32(0)), model.constant(np.float32(0.5)))


def linear(kind: str, **attributes):
    def build(model: Model) -> str:
        flat = model.node("Flatten", model.node("Relu", conv(pads=[1] * 4)(model)))
        size = 8 * model.shape[1] * model.shape[2]
        if kind == "MatMul":
            return model.node("Add", model.node("MatMul", flat, model.real(size, 5)), model.real(5))
        weight = model.real(5, size) if attributes.get("transB") else model.real(size, 5)
        return model.node("Gemm", flat, weight, model.real(5), **attributes)

    return build


def reshaped(model: Model) -> str:
    """A shape that is computed, as exporters write it for an open batch."""
    tensor = model.node("Relu", conv(pads=[1] * 4)(model))
    size = model.node("Gather", model.node("Shape", tensor), model.constant(np.array([0])), axis=0)
    shape = model.node("Concat", size, model.constant(np.array([-1])), axis=0)
    return model.node("Gemm", model.node("Reshape", tensor, shape), model.real(8 * 6 * 6, 3))


def constants(model: Model) -> str:
    """Numbers per channel, before and after; nodes on constants alone; Identity, Dropout, Cast."""
    weight = model.node("Transpose", model.real(3, 3, 2, 8), perm=[3, 2, 0, 1])
    tensor = model.node("Conv", "x", model.node("Identity", weight))
    tensor = model.node("Add", model.node("Mul", tensor, model.real(8, 1, 1)), model.real(1, 8, 1, 1))
    return model.node("Cast", model.node("Dropout", model.node("Relu", tensor)), to=1)


def concatenated(model: Model) -> str:
    parts = [model.node("Relu", conv()(model)) for _ in range(2)]
    return model.node("Conv", model.node("Concat", *parts, axis=1), model.real(3, 16, 1, 1))


def mean(model: Model) -> str:
    tensor = model.node("Relu", conv()(model))
    return model.node("ReduceMean", tensor, model.constant(np.array([2, 3])), keepdims=0)


MAX, AVERAGE = "MaxPool", "AveragePool"
CASES = {
    "conv": conv(), "stride, padding": conv(strides=[2, 2], pads=[1] * 4), "groups": conv(group=2),
    "unequal padding": conv(pads=[0, 1, 2, 1]), "dilation": conv(dilations=[2, 2]),
    "same upper": conv(auto_pad="SAME_UPPER", strides=[2, 2]), "same lower": conv(auto_pad="SAME_LOWER", kernel=2),
    "valid": conv(auto_pad="VALID"), "normalized": normalized, "residual": residual, "clipped": clipped,
    "depthwise": lambda model: model.node("Conv", after_relu()(model), model.real(8, 1, 3, 3), group=8),
    "max pool": after_relu((MAX, {"kernel_shape": [2, 2], "strides": [2, 2]})),
    "max pool, stride 1": after_relu((MAX, {"kernel_shape": [3, 3], "pads": [1] * 4})),
    "average pool": after_relu((AVERAGE, {"kernel_shape": [2, 2], "strides": [2, 2]})),
    "padded average": after_relu(
        (AVERAGE, {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1, "strides": [1, 1]})
    ),
    "global average": after_relu(("GlobalAveragePool", {}), ("Flatten", {})), "mean": mean,
    "gemm": linear("Gemm"), "gemm, factors": linear("Gemm", transB=1, alpha=0.5, beta=2.0),
    "matmul": linear("MatMul"), "reshaped": reshaped, "constants": constants, "concatenated": concatenated,
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_onnxruntime_does(case) -> None:
    model = Model(2, 6, 6, seed=1)
    found = model.imported(CASES[case](model))
    images = np.random.default_rng(2).uniform(-1, 1, (3, 2, 6, 6)).astype(np.float32)
    expected = run_model(found.graph, images)[0]
    ours = forward(found.model, images)[found.model.layers[-1].name]
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    assert np.abs(expected).max() > 0.01


def test_a_wrong_weight_is_noticed() -> None:
    """The comparison above can fail: the same model with one number changed."""
    model = Model(2, 6, 6, seed=1)
    found = model.imported(conv()(model))
    images = np.random.default_rng(2).uniform(-1, 1, (3, 2, 6, 6)).astype(np.float32)
    layer = found.model.layers[0]
    layer.edges[0].weight[0, 0, 0, 0] += 0.01
    expected = run_model(found.graph, images)[0]
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(forward(found.model, images)[layer.name], expected, rtol=1e-4, atol=1e-5)


def test_rows_vectors_and_hosts() -> None:
    row = Model(2, 9)
    tensor = row.node("Relu", row.node("Conv", "x", row.real(4, 2, 3), pads=[1, 1]))
    assert row.imported(row.node("AveragePool", tensor, kernel_shape=[3])).model.input_shape == (2, 1, 9)
    vector = Model(5)
    tensor = vector.node("Gemm", "x", vector.real(5, 4))
    found = vector.imported(vector.node("Softmax", tensor)).model
    assert found.host == ("softmax",) and found.input_shape == (5, 1, 1)
    assert found.layers[0].name == "Gemm0" and not found.layers[0].relu


def test_a_batch_that_is_fixed() -> None:
    """The model takes two images at a time, and three are given."""
    model = Model(2, 6, 6, batch=2)
    tensor = model.node("Relu", conv()(model))
    tensor = model.node("Reshape", tensor, model.constant(np.array([2, 128])))
    found = model.imported(model.node("Gemm", tensor, model.real(128, 3)))
    images = np.random.default_rng(2).uniform(-1, 1, (3, 2, 6, 6)).astype(np.float32)
    expected = run_model(found.graph, images)[0]
    assert expected.shape == (3, 3)
    np.testing.assert_allclose(forward(found.model, images)["Gemm3"][..., 0, 0], expected, rtol=1e-4, atol=1e-5)
