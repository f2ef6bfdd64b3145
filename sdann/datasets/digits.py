"""The handwritten digits of scikit-learn: 1,797 grey images of 8 x 8 pixels, which come with that package."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits as _load_digits
from torch.nn import functional

from ..graph import IntArray, Shape
from .samples import ArraySamples, Dataset, FloatImages

__all__ = ["TEST_IMAGES", "VALIDATION_IMAGES", "Digits", "digit_integers", "digits", "load_digits", "scaled_digits"]

VALIDATION_IMAGES = 237
TEST_IMAGES = 360


@dataclass(frozen=True, kw_only=True, eq=False)
class Digits:
    """Images: float32 [N, 1, 8, 8] in 0..1; labels: int64 [N] in 0..9. No image is in two parts."""

    train_images: FloatImages
    train_labels: IntArray
    validation_images: FloatImages
    validation_labels: IntArray
    test_images: FloatImages
    test_labels: IntArray


def load_digits() -> Digits:
    """The data set in a fixed random order: 1,200 images to train and calibrate, :data:`VALIDATION_IMAGES` to choose
    with, the last :data:`TEST_IMAGES` to test.
    """
    raw = _load_digits()
    order = np.random.default_rng(2025).permutation(len(raw.target))
    images = (raw.images[order] / 16).astype(np.float32)[:, None]
    labels = raw.target[order].astype(np.int64)
    test = len(order) - TEST_IMAGES
    train = test - VALIDATION_IMAGES
    return Digits(
        train_images=images[:train], train_labels=labels[:train],
        validation_images=images[train:test], validation_labels=labels[train:test],
        test_images=images[test:], test_labels=labels[test:],
    )  # fmt: skip


def digit_integers(images: npt.ArrayLike, *, time_steps: int = 8) -> IntArray:
    """Images in 0..1 as unsigned integers of ``time_steps`` bits: 1.0 becomes 2^T - 1."""
    return np.rint(np.asarray(images, dtype=np.float64) * ((1 << time_steps) - 1)).astype(np.int64)


def digits() -> Dataset:
    """:func:`load_digits` as a data set."""
    return scaled_digits((1, 8, 8), name="digits")


def scaled_digits(input_shape: Shape = (3, 32, 32), *, name: str = "digits32") -> Dataset:
    """The digits at the size of a larger network's input: resized bilinearly, and the same in every channel."""
    raw = load_digits()
    part = partial(_part, input_shape)
    return Dataset(
        name=name, task="classification", input_shape=input_shape, classes=tuple("0123456789"),
        train=part(raw.train_images, raw.train_labels),
        validation=part(raw.validation_images, raw.validation_labels),
        test=part(raw.test_images, raw.test_labels),
    )  # fmt: skip


def _part(shape: Shape, images: FloatImages, labels: IntArray) -> ArraySamples:
    channels, *sides = shape
    if tuple(sides) != images.shape[2:]:
        images = functional.interpolate(torch.from_numpy(images), sides, mode="bilinear").numpy()
    return ArraySamples(images=np.repeat(images, channels, axis=1), labels=labels)
