"""ONNX's operators in the terms of the importer from torch, whose handlers then do the work."""

from collections.abc import Callable

import numpy as np
import torch

from ..float_model import FloatArray
from ..torch_import.builder import Builder
from ..torch_import.elementwise import add, concatenate, rectify, scale
from ..torch_import.pooling import mean
from ..torch_import.reshaping import dropout, permute, reshape
from ..torch_import.values import Value
from ..torch_import.weighted import batch_norm, convolution, linear
from .node import Constant, Integers, Node, Tensor
from .pooling import average_pool, global_average, max_pool, pads_of
from .rounding import clip_integers, dequantize, quantize

__all__ = ["HANDLERS", "HOST", "REMEDIES"]


def _step(node: Node, step: FloatArray | None) -> FloatArray | None:
    """One step per output channel, [C_out], of a weight's [C_out, ...]."""
    if step is None:
        return None
    rows = step.reshape(len(step), -1)
    if (rows != rows[:, :1]).any():
        raise node.refusal("its weight is quantized per input channel; quantize it per tensor or per output channel")
    return np.array(rows[:, 0])


def _weight(node: Node, number: int) -> Constant:
    weight = node.constant(number)
    if weight is None:
        raise node.refusal("it has no weight; give it one")
    return weight


def _conv(builder: Builder, node: Node) -> Value:
    weight = _weight(node, 1)
    sides = weight.array.ndim - 2
    value = node.value()
    if sides not in (1, 2) or len(value.view) != sides + 1:
        raise node.refusal(f"a convolution over {sides} axes is not supported; use one over 1 or 2")
    strides, dilations = (node.get(name, [1] * sides) for name in ("strides", "dilations"))
    pads = pads_of(node, value.view[1:], weight.array.shape[2:], strides, dilations)
    padding = {"rows": pads[-2] if sides == 2 else (0, 0), "columns": pads[-1]}
    return convolution(
        builder,
        node.op(
            f"conv{sides}d", input=value, weight=torch.from_numpy(np.array(weight.array, dtype=np.float64)),
            bias=node.tensor(2), stride=strides, padding=padding, dilation=dilations, groups=node.get("group", 1),
            step=_step(node, weight.step),
        ),
    )  # fmt: skip


def _product(
    builder: Builder, node: Node, weight: Constant, transposed: bool, gain: float, bias: torch.Tensor | None
) -> Value:
    """Linear layer; ``weight``: [inputs, outputs], or ``transposed``."""
    array, step = weight.array, weight.step
    if array.ndim != 2:
        raise node.refusal(f"a product with a constant of shape {list(array.shape)}; use a matrix")
    if not transposed:
        array, step = array.T, None if step is None else step.T
    if gain <= 0:
        raise node.refusal(f"alpha is {gain:g}; use 1")
    step = _step(node, step)
    return linear(
        builder,
        node.op(
            "linear", input=node.value(), weight=torch.from_numpy(np.array(array, dtype=np.float64) * gain), bias=bias,
            step=None if step is None else step * gain,
        ),
    )  # fmt: skip


def _gemm(builder: Builder, node: Node) -> Value:
    if node.get("transA", 0):
        raise node.refusal("transA mixes the samples of a batch; keep the batch as the first axis")
    weight, bias = _weight(node, 1), node.tensor(2)
    outputs = weight.array.shape[0 if node.get("transB", 0) else 1]
    if bias is not None:
        if bias.ndim > 1 and bias.shape[0] != 1:
            raise node.refusal(f"its C of shape {list(bias.shape)} is not one number per output; use a bias")
        bias = (bias.reshape(-1) * node.get("beta", 1.0)).expand(outputs).clone()
    return _product(builder, node, weight, bool(node.get("transB", 0)), node.get("alpha", 1.0), bias)


def _matmul(builder: Builder, node: Node) -> Value:
    return _product(builder, node, _weight(node, 1), False, 1.0, None)


def _batch_norm(builder: Builder, node: Node) -> Value:
    if node.get("training_mode", 0):
        raise node.refusal("BatchNormalization is in training mode; export the model in evaluation mode")
    names = dict(zip(("weight", "bias", "running_mean", "running_var"), range(1, 5), strict=True))
    tensors = {name: node.tensor(number) for name, number in names.items()}
    # torch's own float32, in which 1e-5 is 9.99999974e-6
    return batch_norm(builder, node.op("batch_norm", input=node.value(), training=False, eps=node.get("epsilon", 1e-5),
                                       **tensors))  # fmt: skip


def _clip(builder: Builder, node: Node) -> Tensor:
    source = node.inputs[0]
    if isinstance(source, (Constant, Integers)):
        return clip_integers(node, source)
    limits = [node.tensor(number) for number in (1, 2)]
    low, high = (
        node.get(name, None) if limit is None else float(limit)
        for name, limit in zip(("min", "max"), limits, strict=True)
    )
    return rectify(builder, node.op("clamp", self=node.value(), min=low, max=high))


def _operand(node: Node, number: int) -> Value | torch.Tensor:
    if isinstance(node.inputs[number], Constant):
        tensor = node.tensor(number)
        assert tensor is not None
        return tensor
    return node.value(number)


def _add(builder: Builder, node: Node) -> Value:
    if len(node.inputs) != 2:
        raise node.refusal(f"{node.kind} of {len(node.inputs)} tensors; add two at a time")
    kind = "sub" if node.kind == "Sub" else "add"
    return add(builder, node.op(kind, self=_operand(node, 0), other=_operand(node, 1), alpha=1))


def _scale(builder: Builder, node: Node) -> Value:
    return scale(builder, node.op(node.kind.lower(), self=_operand(node, 0), other=_operand(node, 1)))


def _reshape(builder: Builder, node: Node) -> Value:
    return reshape(builder, node.op("reshape", self=node.value()))


def _transpose(builder: Builder, node: Node) -> Value:
    value = node.value()
    axes = node.get("perm", list(range(len(value.view) + 1))[::-1])
    return permute(builder, node.op("permute", self=value, dims=axes))


def _mean(builder: Builder, node: Node) -> Value:
    axes = node.get("axes", None) or node.integers(1)
    return mean(builder, node.op("mean", self=node.value(), dim=axes))


def _concat(builder: Builder, node: Node) -> Value:
    return concatenate(builder, node.op("cat", tensors=[_operand(node, i) for i in range(len(node.inputs))],
                                        dim=node.get("axis", 0)))  # fmt: skip


def _relu(builder: Builder, node: Node) -> Value:
    return rectify(builder, node.op("relu", self=node.value()))


def _dropout(builder: Builder, node: Node) -> Value:
    return dropout(builder, node.op("dropout", input=node.value()))


HANDLERS: dict[str, Callable[[Builder, Node], Tensor]] = {
    "Conv": _conv, "Gemm": _gemm, "MatMul": _matmul, "BatchNormalization": _batch_norm, "Relu": _relu, "Clip": _clip,
    "Add": _add, "Sub": _add, "Sum": _add, "Mul": _scale, "Div": _scale, "MaxPool": max_pool,
    "AveragePool": average_pool, "GlobalAveragePool": global_average, "ReduceMean": _mean, "Concat": _concat,
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast"), _reshape),
    "Transpose": _transpose, "Dropout": _dropout, "QuantizeLinear": quantize, "DequantizeLinear": dequantize,
}  # fmt: skip
"""By the operator's name."""

HOST = {
    "Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "LeakyRelu": "leaky_relu",
    "PRelu": "prelu", "Elu": "elu", "Selu": "selu", "Celu": "celu", "Gelu": "gelu", "Mish": "mish",
    "Softplus": "softplus", "HardSwish": "hardswish", "HardSigmoid": "hardsigmoid",
}  # fmt: skip
"""Operators that the host can do after the last layer, by their names in the result."""

_QDQ = "quantize as QDQ: onnxruntime's quantize_static with quant_format=QuantFormat.QDQ"
REMEDIES = {
    **dict.fromkeys(
        ("QLinearConv", "QLinearMatMul", "QLinearAdd", "QGemm", "QLinearGlobalAveragePool", "QLinearAveragePool",
         "QLinearConcat"), _QDQ,
    ),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"), f"{_QDQ}, not quantize_dynamic"),
    **dict.fromkeys(("Quant", "BipolarQuant", "Trunc"), "export as QCDQ: brevitas.export.export_onnx_qcdq"),
    "ConvTranspose": "use Conv; upsample on the host", "Resize": "upsample on the host",
    "Upsample": "upsample on the host", "Pad": "give the padding to the convolution",
    "GlobalMaxPool": "use MaxPool with kernels of at most 4", "LayerNormalization": "use BatchNormalization",
    "GroupNormalization": "use BatchNormalization", "InstanceNormalization": "use BatchNormalization",
    "Split": "use one convolution per branch", "Slice": "use a convolution that computes only what is needed",
}  # fmt: skip
