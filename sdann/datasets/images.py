"""Images as files and as arrays: reading, cropping, flipping."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import FileFormatError
from .samples import FloatImages

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "central_crop", "crop_and_flip", "normalized", "random_crop", "read_image"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Per channel, of images in 0..1: what pre-trained weights expect."""

PADDING = 4
"""Pixels by which training images of CIFAR are shifted at most."""


def crop_and_flip(images: FloatImages, rng: np.random.Generator) -> FloatImages:
    """Each of ``images`` [N, C, H, W] shifted by up to :data:`PADDING` pixels, zeros moving in, and every other one
    mirrored.
    """
    count, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (PADDING, PADDING), (PADDING, PADDING)))
    result = np.empty_like(images)
    offsets = rng.integers(2 * PADDING + 1, size=(count, 2))
    flips = rng.integers(2, size=(count,))
    for number, (y, x) in enumerate(offsets):
        crop = padded[number, :, y : y + height, x : x + width]
        result[number] = crop[..., ::-1] if flips[number] else crop
    return result


def read_image(path: Path) -> Image.Image:
    """The image in RGB; raises FileFormatError that names it."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such image; unpack the data set again") from None
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise FileFormatError(f"{path}: not a readable image ({error}); unpack the data set again") from None


def normalized(image: Image.Image) -> FloatImages:
    """[3, H, W] with ImageNet's mean and deviation."""
    pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / np.float32(255)
    mean, std = (np.asarray(v, dtype=np.float32)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    return np.asarray((pixels - mean) / std)


def central_crop(image: Image.Image, side: int) -> Image.Image:
    """The middle ``side`` x ``side`` pixels, after resizing the shorter side to 256/224 of that."""
    width, height = image.size
    scale = round(side * 256 / 224) / min(width, height)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    left, top = ((v - side) // 2 for v in size)
    return image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))


def random_crop(image: Image.Image, side: int, rng: np.random.Generator) -> Image.Image:
    """A random part of 8 to 100 % of the area and of aspect 3/4 to 4/3, at ``side`` x ``side``, mirrored or not."""
    width, height = image.size
    area = width * height * rng.uniform(0.08, 1)
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    w, h = min(width, max(1, round(np.sqrt(area * aspect)))), min(height, max(1, round(np.sqrt(area / aspect))))
    left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    result = image.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
    return result.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else result
