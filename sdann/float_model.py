"""The float network as a chain of plain layers: what an importer makes and what the quantizer reads."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from .graph import INPUT, Shape

__all__ = ["FloatArray", "FloatLayer", "FloatModel", "forward"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatLayer:
    """One layer: z = sum w a + b, then ReLU if ``relu``.

    ``kind``: "conv", "depthwise", "linear" or "avgpool". ``weight``: float64 in the layout of
    :class:`sdann.graph.Edge` (an average pool's are all 1 / (K_h K_w)), BatchNorm folded. ``bias``: float64 [C_out].
    ``stride``: 1, 2 or 4, ``padding``: zeros on each side.
    """

    name: str
    kind: Literal["conv", "depthwise", "linear", "avgpool"]
    weight: FloatArray
    bias: FloatArray
    stride: int = 1
    padding: int = 0
    relu: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class FloatModel:
    """A chain of layers. ``input_shape``: (channels, height, width)."""

    name: str
    input_shape: Shape
    layers: tuple[FloatLayer, ...]


def forward(model: FloatModel, images: npt.ArrayLike) -> dict[str, FloatArray]:
    """Outputs of the input and of every layer, float64 [N, C, H, W], for ``images`` [N, C, H, W]."""
    a = np.asarray(images, dtype=np.float64)
    outputs = {INPUT: a}
    for layer in model.layers:
        pad = (layer.padding, layer.padding)
        windows = sliding_window_view(np.pad(a, ((0, 0), (0, 0), pad, pad)), layer.weight.shape[2:], axis=(2, 3))
        windows = windows[:, :, :: layer.stride, :: layer.stride]
        if layer.kind in ("depthwise", "avgpool"):
            z = np.einsum("ncyxij,cij->ncyx", windows, layer.weight[:, 0])
        else:
            z = np.tensordot(windows, layer.weight, axes=([1, 4, 5], [1, 2, 3])).transpose(0, 3, 1, 2)
        z = z + layer.bias[:, None, None]
        outputs[layer.name] = a = np.maximum(z, 0) if layer.relu else z
    return outputs
