"""Scenes of digits: black images with one to three digits in them, each with its box. Drawn, never stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ..detection.boxes import Boxes
from ..graph import IntArray
from .digits import load_digits
from .samples import Dataset, FloatImages

__all__ = ["SceneSamples", "scenes"]

SIDE = 32
"""Pixels."""
DIGITS = (1, 3)
"""Fewest and most digits in a scene."""
SIDES = (9, 14)
"""Smallest and largest side of a digit's box in pixels. At 8 or more, no two centres can share a cell of 8 pixels."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneSamples:
    """``count`` scenes of the digits ``images`` [N, 1, 8, 8] with ``labels`` [N]; scene number i follows from ``seed``
    and i alone. With a generator, :meth:`batch` draws others, so that training never sees a scene twice.

    A box is the square into which a digit's 8 x 8 image is drawn; boxes do not overlap.
    """

    images: FloatImages
    labels: IntArray
    count: int
    seed: int

    def __len__(self) -> int:
        return self.count

    def batch(self, chosen: npt.ArrayLike, rng: np.random.Generator | None = None) -> tuple[FloatImages, list[Boxes]]:
        """See :meth:`sdann.datasets.Samples.batch`."""
        drawn = [self._draw(rng or np.random.default_rng((self.seed, int(i)))) for i in np.ravel(np.asarray(chosen))]
        return np.stack([image for image, _ in drawn]), [boxes for _, boxes in drawn]

    def _draw(self, rng: np.random.Generator) -> tuple[FloatImages, Boxes]:
        image = np.zeros((1, SIDE, SIDE), dtype=np.float32)
        squares = _squares(rng)
        chosen = rng.integers(len(self.labels), size=len(squares))
        for (x, y, side), number in zip(squares, chosen, strict=True):
            image[:, y : y + side, x : x + side] = _resized(self.images[number], side)
        corners = np.array([(x, y, x + side, y + side) for x, y, side in squares], dtype=np.float64) / SIDE
        return image, Boxes(corners=corners, labels=self.labels[chosen], difficult=np.zeros(len(chosen), dtype=bool))


def _squares(rng: np.random.Generator) -> Sequence[tuple[int, int, int]]:
    """(x, y, side) of boxes that do not overlap; the first always fits, of the others those that find a place."""
    placed: list[tuple[int, int, int]] = []
    wanted = int(rng.integers(DIGITS[0], DIGITS[1] + 1))
    for _ in range(30):
        side = int(rng.integers(SIDES[0], SIDES[1] + 1))
        x, y = (int(v) for v in rng.integers(0, SIDE - side + 1, size=2))
        if all(x >= a + s or a >= x + side or y >= b + s or b >= y + side for a, b, s in placed):
            placed.append((x, y, side))
        if len(placed) == wanted:
            break
    return placed


def _resized(digit: FloatImages, side: int) -> FloatImages:
    tensor = torch.from_numpy(digit)[None]
    return np.asarray(functional.interpolate(tensor, (side, side), mode="bilinear")[0].numpy())


def scenes() -> Dataset:
    """2,000 scenes of the training digits, 300 of the validation digits and 500 of the test digits."""
    raw = load_digits()
    return Dataset(
        name="scenes", task="detection", input_shape=(1, SIDE, SIDE), classes=tuple("0123456789"),
        train=SceneSamples(images=raw.train_images, labels=raw.train_labels, count=2000, seed=1),
        validation=SceneSamples(images=raw.validation_images, labels=raw.validation_labels, count=300, seed=2),
        test=SceneSamples(images=raw.test_images, labels=raw.test_labels, count=500, seed=3),
    )  # fmt: skip
