"""The handwritten digits of scikit-learn: 1,797 grey images of 8 x 8 pixels, which come with that package."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits as _load_digits

from .graph import IntArray

__all__ = ["TEST_IMAGES", "Digits", "digit_integers", "load_digits"]

TEST_IMAGES = 360

FloatImages = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """Images: float32 [N, 1, 8, 8] in 0..1; labels: int64 [N] in 0..9. No image is in both parts."""

    train_images: FloatImages
    train_labels: IntArray
    test_images: FloatImages
    test_labels: IntArray


def load_digits() -> Digits:
    """The data set in a fixed random order: 1,437 images to train and calibrate, :data:`TEST_IMAGES` to test."""
    raw = _load_digits()
    order = np.random.default_rng(2025).permutation(len(raw.target))
    images = (raw.images[order] / 16).astype(np.float32)[:, None]
    labels = raw.target[order].astype(np.int64)
    split = len(order) - TEST_IMAGES
    return Digits(
        train_images=images[:split], train_labels=labels[:split], test_images=images[split:], test_labels=labels[split:]
    )


def digit_integers(images: npt.ArrayLike, *, time_steps: int = 8) -> IntArray:
    """Images in 0..1 as unsigned integers of ``time_steps`` bits: 1.0 becomes 2^T - 1."""
    return np.rint(np.asarray(images, dtype=np.float64) * ((1 << time_steps) - 1)).astype(np.int64)
