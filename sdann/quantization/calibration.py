"""Ranges of all activations of the float network, from calibration images, in batches that fit the memory."""

from dataclasses import dataclass

import numpy as np

from ..errors import SdannError
from ..float_model import FloatArray, FloatModel, layer_outputs, shapes
from ..graph import INPUT
from ..observers import Statistics

__all__ = ["Calibration", "batch_size", "calibrate", "checked_images"]

ELEMENTS = 1 << 24
"""Of one layer's activations that are held at a time: 128 MiB in float64."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """``statistics`` of the input's and of every layer's activations; ``negative``: whether an input value is."""

    statistics: dict[str, Statistics]
    negative: bool


def checked_images(model: FloatModel, images: FloatArray) -> FloatArray:
    """``images``; raises SdannError unless they are finite and as ``model`` takes them."""
    if images.ndim != 4 or images.shape[1:] != model.input_shape or len(images) == 0 or not np.isfinite(images).all():
        raise SdannError(
            f"calibration images must be finite and of shape [N, {', '.join(map(str, model.input_shape))}]"
        )
    return images


def batch_size(model: FloatModel) -> int:
    """Images per batch."""
    largest = max(int(np.prod(shape)) for shape in shapes(model).values())
    return max(1, min(64, ELEMENTS // largest))


def calibrate(model: FloatModel, images: FloatArray) -> Calibration:
    """Statistics of ``model`` on ``images`` [N, C, H, W]."""
    statistics = {name: Statistics() for name in shapes(model)}
    size = batch_size(model)
    for start in range(0, len(images), size):
        for name, values in layer_outputs(model, images[start : start + size]):
            statistics[name].update(values)
    if statistics[INPUT].largest == 0:
        raise SdannError("the calibration images are all zero: give others, or an input range")
    return Calibration(statistics=statistics, negative=bool(images.min() < 0))
