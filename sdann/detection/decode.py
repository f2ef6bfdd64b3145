"""From a detector's output to boxes: YOLOv1's decoding and non-maximum suppression, on the host, in NumPy.

It takes the float network's output or the integer network's times its scale alike.
"""

import numpy as np
import numpy.typing as npt

from ..errors import SdannError
from .boxes import Detections, FloatArray, iou
from .grid import Grid

__all__ = ["OVERLAP", "THRESHOLD", "decode", "suppress"]

THRESHOLD = 0.01
"""Least score of a detection. Low, because average precision wants the doubtful ones too."""
OVERLAP = 0.5
"""Of two detections of a class that overlap by more than this (IoU) the weaker one is dropped."""


def decode(
    outputs: npt.ArrayLike, grid: Grid, *, threshold: float = THRESHOLD, overlap: float = OVERLAP
) -> list[Detections]:
    """Detections in each of ``outputs`` [N, grid.channels, grid.side, grid.side].

    The score for class c of a box is its confidence times the cell's probability of c, both limited to 0..1; negative
    roots of sides count as 0; boxes are cut at the image's border.
    """
    maps = np.asarray(outputs, dtype=np.float64)
    if maps.shape[1:] != (grid.channels, grid.side, grid.side):
        raise SdannError(
            f"a {grid.side} x {grid.side} grid of {grid.boxes} boxes and {grid.classes} classes has outputs of shape "
            f"[N, {grid.channels}, {grid.side}, {grid.side}], not {list(maps.shape)}"
        )
    boxes = maps[:, : 5 * grid.boxes].reshape(-1, grid.boxes, 5, grid.side, grid.side)
    rows, columns = np.mgrid[: grid.side, : grid.side]
    x, y = (boxes[:, :, 0] + columns) / grid.side, (boxes[:, :, 1] + rows) / grid.side
    width, height = np.maximum(boxes[:, :, 2:4], 0).swapaxes(0, 2).swapaxes(1, 2) ** 2
    corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=-1).clip(0, 1)
    confidence = boxes[:, :, 4].clip(0, 1)
    probabilities = maps[:, 5 * grid.boxes :].clip(0, 1)
    scores = confidence[:, None] * probabilities[:, :, None]  # [N, classes, boxes, side, side]
    found = []
    for image in range(len(maps)):
        label, *place = np.nonzero(scores[image] >= threshold)
        found.append(
            suppress(
                Detections(
                    corners=corners[image][tuple(place)], labels=label.astype(np.int64),
                    scores=scores[image][(label, *place)],
                ),
                overlap,
            )
        )  # fmt: skip
    return found


def suppress(found: Detections, overlap: float = OVERLAP) -> Detections:
    """Non-maximum suppression, class by class: from the best score down, each detection drops the weaker ones whose
    IoU with it exceeds ``overlap``. Of equal scores the first wins. The result is sorted, best first.
    """
    order = np.argsort(-found.scores, kind="stable")
    corners, labels, scores = found.corners[order], found.labels[order], found.scores[order]
    rivals: FloatArray = iou(corners, corners) * (labels[:, None] == labels[None])
    kept = np.ones(len(order), dtype=bool)
    for number in range(len(order)):
        if kept[number]:
            kept[number + 1 :] &= rivals[number, number + 1 :] <= overlap
    return Detections(corners=corners[kept], labels=labels[kept], scores=scores[kept])
