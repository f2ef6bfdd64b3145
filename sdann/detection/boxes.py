"""Boxes in images."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import SdannError
from ..graph import IntArray

__all__ = ["Boxes", "Detections", "FloatArray", "iou"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes:
    """The boxes that an image really has. ``corners``: float64 [n, 4], (left, top, right, bottom) in 0..1 of the
    image's sides; ``labels``: int64 [n]; ``difficult``: bool [n], VOC's boxes that neither count nor harm if found.

    Raises SdannError for a box without area or outside the image.
    """

    corners: FloatArray
    labels: IntArray
    difficult: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.corners.shape != (len(self.labels), 4) or len(self.difficult) != len(self.labels):
            raise SdannError(f"{len(self.labels)} labels need corners of shape [n, 4], not {self.corners.shape}")
        low, high = self.corners[:, :2], self.corners[:, 2:]
        if (low < 0).any() or (high > 1).any() or (high <= low).any():
            raise SdannError("a box has no area, or is not inside the image")


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """The boxes that a detector found in one image: as :class:`Boxes`, with ``scores`` float64 [n], best first."""

    corners: FloatArray
    labels: IntArray
    scores: FloatArray


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union of all boxes ``a`` [n, 4] with all ``b`` [m, 4]: [n, m] in 0..1; 0 without area."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    areas_a, areas_b = (np.maximum(c[:, 2:] - c[:, :2], 0).prod(axis=1) for c in (a, b))
    union = areas_a[:, None] + areas_b[None] - shared
    result: FloatArray = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result
