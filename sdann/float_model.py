"""The float network: the same graph of typed layers as the integer network, one layer for one layer."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from .graph import INPUT, Pool, Shape

__all__ = [
    "FloatArray", "FloatEdge", "FloatKind", "FloatLayer", "FloatModel", "Grid", "edge_output", "edge_shape", "forward",
    "is_quantized", "layer_outputs", "shapes",
]  # fmt: skip

FloatArray = npt.NDArray[np.float64]
FloatKind = Literal["conv", "depthwise", "linear", "avgpool", "identity"]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What activations may be where the model that was brought is quantized already: ``lo..hi`` times ``step``.

    ``tensor``: that model's name for them, empty where it has none; integers of which ``zero`` stands for 0, or real.
    """

    step: float
    lo: int
    hi: int
    tensor: str = field(default="", compare=False)
    zero: int = field(default=0, compare=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatEdge:
    """What one source adds to a layer's sum.

    ``weight``: float64 in the layout of :class:`sdann.graph.Edge`, BatchNorm folded. An average pool's, [C, 1, K_h,
    K_w], are all 1 / (K_h K_w), an identity's, [C, 1, 1, 1], all 1: neither is trained. ``stride``: 1, 2 or 4,
    ``padding``: zeros on each side. ``step``: [C_out], of which the weights are whole multiples where the model is
    quantized already; None leaves their scale to the quantizer.
    """

    source: str
    kind: FloatKind
    weight: FloatArray
    stride: int = 1
    padding: int = 0
    step: FloatArray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLayer:
    """One layer: z = sum over edges of (sum w a) + b, then ReLU if ``relu``, min(., ``clip``), max pooling.

    ``bias``: float64 [C_out]. ``clip``: 6 for ReLU6, None for none. ``range``: largest activation, where training has
    fixed it; None leaves it to the quantizer's observer. ``grid``: the same of a model that is quantized already.
    """

    name: str
    edges: tuple[FloatEdge, ...]
    bias: FloatArray
    relu: bool = True
    clip: float | None = None
    pool: Pool | None = None
    range: float | None = None
    grid: Grid | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatModel:
    """Layers in topological order; the last one's activations are the output.

    ``input_shape``: (channels, height, width). ``host``: what the module does to the output after its last layer, in
    order, such as "log_softmax"; neither this model nor the chip does it. ``input_range``: the input's largest
    magnitude where training has fixed it. ``input_grid``: the input's grid in a model that is quantized already.
    """

    name: str
    input_shape: Shape
    layers: tuple[FloatLayer, ...]
    host: tuple[str, ...] = ()
    input_range: float | None = None
    input_grid: Grid | None = None


def is_quantized(model: FloatModel) -> bool:
    """True if any of the model's numbers are fixed to integers already."""
    grids = [model.input_grid, *(layer.grid for layer in model.layers)]
    return any(grid is not None for grid in grids) or any(
        edge.step is not None for layer in model.layers for edge in layer.edges
    )


def edge_shape(edge: FloatEdge, source: Shape) -> Shape:
    """Shape of what ``edge`` makes of a source of shape ``source``; sides below 1 where the kernel does not fit."""
    rows, cols = (
        (side + 2 * edge.padding - kernel) // edge.stride + 1
        for side, kernel in zip(source[1:], edge.weight.shape[2:], strict=True)
    )
    return len(edge.weight), rows, cols


def shapes(model: FloatModel) -> dict[str, Shape]:
    """Shapes of the input's and of every layer's activations (after pooling)."""
    found = {INPUT: model.input_shape}
    for layer in model.layers:
        shape = edge_shape(layer.edges[0], found[layer.edges[0].source])
        if layer.pool is not None:
            pool = layer.pool
            rows, cols = ((side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in shape[1:])
            shape = shape[0], rows, cols
        found[layer.name] = shape
    return found


def edge_output(edge: FloatEdge, a: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum w a of one edge: ``a`` [N, C, H, W] -> [N, C_out, H_out, W_out]. ``weight``: ``edge.weight`` as a tensor."""
    if edge.kind == "linear":
        return functional.linear(a.flatten(1), weight.flatten(1))[:, :, None, None]
    if edge.kind == "conv":
        return functional.conv2d(a, weight, stride=edge.stride, padding=edge.padding)
    if weight.shape[2:] == (1, 1) and edge.padding == 0:
        return a[:, :, :: edge.stride, :: edge.stride] * weight[:, 0]
    return functional.conv2d(a, weight, stride=edge.stride, padding=edge.padding, groups=len(weight))


def _output(layer: FloatLayer, sources: dict[str, torch.Tensor]) -> torch.Tensor:
    z = torch.as_tensor(layer.bias)[:, None, None]
    for edge in layer.edges:
        z = edge_output(edge, sources[edge.source], torch.as_tensor(edge.weight)) + z
    if layer.relu:
        z = torch.relu(z)
    if layer.clip is not None:
        z = z.clamp(max=layer.clip)
    if layer.pool is not None:
        z = functional.max_pool2d(z, layer.pool.kernel, layer.pool.stride, layer.pool.padding)
    return z


def layer_outputs(model: FloatModel, images: npt.ArrayLike) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, output as float64 [N, C, H, W]) of the input and of every layer, in order.

    An output is forgotten after its last use, so that large networks fit the memory.
    """
    uses = Counter(edge.source for layer in model.layers for edge in layer.edges)
    with torch.no_grad():
        a = torch.as_tensor(np.asarray(images, dtype=np.float64))
        alive = {INPUT: a}
        yield INPUT, a
        for layer in model.layers:
            a = _output(layer, alive)
            for edge in layer.edges:
                uses[edge.source] -= 1
                if uses[edge.source] == 0:
                    del alive[edge.source]
            if uses[layer.name]:
                alive[layer.name] = a
            yield layer.name, a


def forward(model: FloatModel, images: npt.ArrayLike) -> dict[str, FloatArray]:
    """Outputs of the input and of every layer, float64 [N, C, H, W], for ``images`` [N, C, H, W]."""
    return {name: np.asarray(a.numpy()) for name, a in layer_outputs(model, images)}
