"""YOLOv1's loss (Redmon et al. 2015, equation 3) on the grid of :mod:`sdann.detection.grid`."""

from collections.abc import Sequence

import numpy as np
import torch

from .boxes import Boxes
from .grid import Grid

__all__ = ["COORDINATES", "NO_OBJECT", "yolo_loss"]

COORDINATES = 5.0
NO_OBJECT = 0.5
"""Weights of the errors in place and size, and of the confidences where nothing is (lambda_coord, lambda_noobj)."""


def yolo_loss(outputs: torch.Tensor, truth: Sequence[Boxes], grid: Grid) -> torch.Tensor:
    """Sum of squared errors per image, averaged over the batch: a scalar.

    ``outputs``: [N, grid.channels, grid.side, grid.side]; ``truth``: N images' boxes. A box belongs to the cell of its
    centre; the first of two that share one counts. Of a cell's predictions the one with the largest IoU is
    responsible, and its confidence is to be that IoU. Difficult boxes are left out.
    """
    cells = torch.as_tensor(_cells(truth, grid), dtype=outputs.dtype, device=outputs.device)
    image, row, column = (cells[:, k].long() for k in range(3))
    target, label = cells[:, 3:7], cells[:, 7].long()

    boxes = outputs[:, : 5 * grid.boxes].reshape(-1, grid.boxes, 5, grid.side, grid.side)
    mine = boxes[image, :, :, row, column]  # [objects, boxes, 5]
    with torch.no_grad():
        overlap = _overlap(mine[..., :4], target[:, None], grid)
        distance = (mine[..., :4] - target[:, None]).square().sum(-1)
        # Where nothing overlaps yet, the nearest one is responsible.
        responsible = torch.where(overlap.amax(1) > 0, overlap.argmax(1), distance.argmin(1))
        objects = torch.arange(len(cells), device=outputs.device)
        confidence = overlap[objects, responsible]
    chosen = mine[objects, responsible]

    place = COORDINATES * (chosen[:, :4] - target).square().sum()
    certain = (chosen[:, 4] - confidence).square().sum()
    empty = NO_OBJECT * (boxes[:, :, 4].square().sum() - chosen[:, 4].square().sum())
    probabilities = outputs[:, 5 * grid.boxes :][image, :, row, column]
    classes = (probabilities - torch.nn.functional.one_hot(label, grid.classes)).square().sum()
    loss: torch.Tensor = (place + certain + empty + classes) / len(outputs)
    return loss


def _cells(truth: Sequence[Boxes], grid: Grid) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """A row per object that counts: image, row, column, x, y, sqrt(w), sqrt(h), class."""
    rows: dict[tuple[int, int, int], list[float]] = {}
    for image, boxes in enumerate(truth):
        for (left, top, right, bottom), label, difficult in zip(
            boxes.corners, boxes.labels, boxes.difficult, strict=True
        ):
            x, y = (left + right) / 2 * grid.side, (top + bottom) / 2 * grid.side
            column, row = min(int(x), grid.side - 1), min(int(y), grid.side - 1)
            if not difficult and (image, row, column) not in rows:
                size = [np.sqrt(right - left), np.sqrt(bottom - top)]
                rows[image, row, column] = [image, row, column, x - column, y - row, *size, label]
    return np.array(list(rows.values()), dtype=np.float64).reshape(-1, 8)


def _overlap(found: torch.Tensor, target: torch.Tensor, grid: Grid) -> torch.Tensor:
    """IoU of boxes of one cell, [..., 4] as the grid has them (x and y in cells, roots of sides in images)."""

    def limits(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        centre, half = boxes[..., :2] / grid.side, boxes[..., 2:].clamp(min=0).square() / 2
        return centre - half, centre + half

    (low_a, high_a), (low_b, high_b) = limits(found), limits(target)
    shared = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(min=0).prod(-1)
    union = (high_a - low_a).prod(-1) + (high_b - low_b).prod(-1) - shared
    return shared / union.clamp(min=1e-12)
