"""What every data set looks like."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..graph import IntArray, Shape

__all__ = ["ArraySamples", "Augment", "Dataset", "FloatImages", "Samples"]

FloatImages = npt.NDArray[np.float32]
"""[N, C, H, W], as the network takes them."""

Augment = Callable[[FloatImages, np.random.Generator], FloatImages]


class Samples(Protocol):
    """One part of a data set."""

    def __len__(self) -> int:
        """How many samples."""
        ...

    def batch(self, chosen: npt.ArrayLike, rng: np.random.Generator | None = None) -> tuple[FloatImages, Any]:
        """Images [n, C, H, W] and targets of the samples ``chosen`` [n].

        Targets: int64 [n] classes, or for detection a list of n :class:`sdann.detection.boxes.Boxes`. With ``rng``
        the samples are varied at random, as for training; without, a sample is always the same.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class ArraySamples:
    """Samples in memory. ``images``: [N, C, H, W], float32 in 0..1 or uint8 in 0..255; ``labels``: int64 [N].

    The network gets (images in 0..1 - ``mean``) / ``std``, which are per channel; ``augment`` varies that.
    """

    images: npt.NDArray[Any]
    labels: IntArray
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    augment: Augment | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: npt.ArrayLike, rng: np.random.Generator | None = None) -> tuple[FloatImages, IntArray]:
        """See :meth:`Samples.batch`."""
        chosen = np.asarray(chosen)
        images = self.images[chosen]
        unit = images.astype(np.float32) / (np.float32(255) if images.dtype == np.uint8 else np.float32(1))
        result = (unit - _channels(self.mean)) / _channels(self.std)
        if self.augment is not None and rng is not None:
            result = self.augment(result, rng)
        return result, self.labels[chosen]


def _channels(values: tuple[float, ...]) -> FloatImages:
    return np.asarray(values, dtype=np.float32)[:, None, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """``input_shape``: (C, H, W) of its images. ``classes``: their names. No sample is in two parts.

    Train and calibrate with ``train``, choose with ``validation``, report ``test``.
    """

    name: str
    task: Literal["classification", "detection"]
    input_shape: Shape
    classes: tuple[str, ...]
    train: Samples
    validation: Samples
    test: Samples
