"""Pooling operators, and ONNX's ways to give a padding."""

from collections.abc import Sequence
from dataclasses import replace

from ..torch_import import pooling
from ..torch_import.builder import Builder
from ..torch_import.values import Activation, Value
from .node import Node

__all__ = ["average_pool", "global_average", "max_pool", "pads_of"]


def pads_of(
    node: Node, sides: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[int, int]]:
    """Zeros (before, after) of each axis, from ``pads`` or ``auto_pad``."""
    auto = node.get("auto_pad", "NOTSET")
    if auto in ("NOTSET", "VALID"):
        pads = node.get("pads", [0] * 2 * len(kernel)) if auto == "NOTSET" else [0] * 2 * len(kernel)
        return list(zip(pads[: len(kernel)], pads[len(kernel) :], strict=True))
    found = []
    for side, k, stride, dilation in zip(sides, kernel, strides, dilations, strict=True):
        reach = (k - 1) * dilation + 1
        total = max((-(-side // stride) - 1) * stride + reach - side, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return found


def _window(node: Node, what: str) -> tuple[list[int], list[int], list[int], list[int]]:
    """(kernel, strides, padding on both sides, dilations)."""
    value = node.value()
    kernel = list(node.get("kernel_shape", []))
    strides, dilations = (list(node.get(name, [1] * len(kernel))) for name in ("strides", "dilations"))
    if len(kernel) not in (1, 2) or len(value.view) != len(kernel) + 1:
        raise node.refusal(f"{what} pooling over {len(kernel)} axes is not supported; use 2")
    pads = pads_of(node, value.view[1:], kernel, strides, dilations)
    if any(before != after for before, after in pads):
        raise node.refusal(f"its padding {pads} differs between the two ends of an axis; use the same on both")
    return kernel, strides, [before for before, _ in pads], dilations


def max_pool(builder: Builder, node: Node) -> Value:
    """MaxPool over rows and columns."""
    kernel, strides, padding, dilations = _window(node, "max")
    if len(kernel) != 2:
        raise node.refusal("max pooling of a row is not supported; use maps with rows and columns")
    made = pooling.max_pool(
        builder,
        node.op(
            "max_pool2d", self=node.value(), kernel_size=kernel, stride=strides, padding=padding, dilation=dilations,
            ceil_mode=bool(node.get("ceil_mode", 0)),
        ),
    )  # fmt: skip
    for part in made.parts:
        if isinstance(part, Activation) and builder.grid(part.source) is None:
            _keep_grid(builder, node, part.source)
    return made


def _keep_grid(builder: Builder, node: Node, name: str) -> None:
    """The largest of activations on a grid is on it too."""
    layer = next(layer for layer in builder.layers if layer.name == name)
    grid = builder.grid(layer.edges[0].source)
    if grid is not None and len(layer.edges) == 1 and layer.edges[0].kind == "identity":
        builder.set_grid(name, replace(grid, tensor=node.output, zero=0))


def average_pool(builder: Builder, node: Node) -> Value:
    """AveragePool over rows and columns, or along a row."""
    kernel, strides, padding, dilations = _window(node, "average")
    if any(dilation != 1 for dilation in dilations):
        raise node.refusal("average pooling with dilation is not supported; leave it out")
    op = node.op(
        f"avg_pool{len(kernel)}d", self=node.value(), kernel_size=kernel, stride=strides, padding=padding,
        ceil_mode=bool(node.get("ceil_mode", 0)), count_include_pad=bool(node.get("count_include_pad", 0)),
    )  # fmt: skip
    return pooling.average(builder, op)


def global_average(builder: Builder, node: Node) -> Value:
    """GlobalAveragePool."""
    sides = len(node.value().view) - 1
    if sides not in (1, 2):
        raise node.refusal(f"average pooling over {sides} axes is not supported; use 2")
    return pooling.adaptive_average(builder, node.op(f"adaptive_avg_pool{sides}d", self=node.value()))
