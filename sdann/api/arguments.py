"""What users hand over, as the models want it: arrays, chips."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from hdl.config import ChipConfig, preset

from ..errors import SdannError
from ..float_model import FloatArray
from ..graph import IntArray, Shape

__all__ = ["Progress", "chip_of", "images_of", "integers_of", "labels_of", "numbers_of", "silent"]

Progress = Callable[[str], Callable[[int, int], None]]
"""Called with what begins; returns what to call with (done, total)."""


def silent(what: str) -> Callable[[int, int], None]:
    """Shows no progress."""
    return lambda done, total: None


def chip_of(chip: ChipConfig | str) -> ChipConfig:
    """The configuration itself, or the preset of that name.

    Raises :class:`hdl.config.ConfigError` for an unknown preset, SdannError for anything else.
    """
    if isinstance(chip, ChipConfig):
        return chip
    if isinstance(chip, str):
        return preset(chip)
    raise SdannError(f"a chip is a ChipConfig or a preset's name, not {type(chip).__name__}")


def numbers_of(values: Any, what: str) -> FloatArray:
    """``values`` (a NumPy array, a torch tensor, nested lists) as float64 of at least two axes, all finite."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise SdannError(f"{what} must be one array of numbers [N, ...] ({error})") from None
    if array.dtype.kind not in "biuf":
        raise SdannError(f"{what} must be one array of real numbers [N, ...], not {type(values).__name__}")
    if array.ndim < 2 or array.size == 0:
        raise SdannError(f"{what} must have an axis of samples and be of shape [N, ...], not {list(array.shape)}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise SdannError(f"{what} must be finite: there are NaNs or infinities in them")
    return array


def images_of(values: Any, shape: Shape, what: str = "images") -> FloatArray:
    """Real images [N, C, H, W] for a network that takes ``shape``; [N, L] and [N, C, L] are brought into it."""
    array = numbers_of(values, what)
    if array.size != len(array) * int(np.prod(shape)) or (array.ndim == 4 and array.shape[1:] != shape):
        wanted = ", ".join(map(str, shape))
        raise SdannError(f"{what} are of shape {list(array.shape)}; the network takes [N, {wanted}]")
    return array.reshape(len(array), *shape)


def labels_of(values: Any, samples: int) -> IntArray:
    """Classes, int64 [samples]."""
    array = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
    if array.dtype.kind not in "iu" or array.shape != (samples,):
        raise SdannError(
            f"labels are {array.dtype} of shape {list(array.shape)}; give one integer per image, [{samples}]"
        )
    return array.astype(np.int64)


def integers_of(tensor: torch.Tensor) -> IntArray:
    """``tensor`` of integers as int64."""
    return np.asarray(tensor.cpu().numpy().astype(np.int64))
