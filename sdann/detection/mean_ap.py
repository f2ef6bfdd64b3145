"""Mean average precision at IoU 0.5, computed by pycocotools.

Two definitions, which differ by some points on the same detections. "VOC2007", the paper's data set's own: the mean of
the interpolated precision at the 11 recalls 0, 0.1, ..., 1. "COCO": the same at 101 recalls. Detections are matched to
boxes as COCO does, best score first, each to the free box with the largest IoU; VOC's own program takes the largest
IoU whether free or not, and counts pixels with both ends, which moves few detections. Classes without a box (that is
not difficult) in any image have no average precision and do not count. Difficult boxes neither count nor harm.
"""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ..errors import SdannError
from .boxes import Boxes, Detections, FloatArray

__all__ = ["COCO_RECALLS", "IOU", "VOC2007_RECALLS", "MeanAP", "mean_average_precision"]

IOU = 0.5
VOC2007_RECALLS = np.arange(11) / 10
COCO_RECALLS = np.arange(101) / 100

_DIFFICULT_AREA = 1e12
"""pycocotools ignores boxes whose area is out of range, here 0..1e10."""


@dataclass(frozen=True, kw_only=True)
class MeanAP:
    """Means over classes, 0..1, and VOC2007's average precision of each class (None: no box of it)."""

    voc2007: float
    coco: float
    per_class: tuple[float | None, ...]


def mean_average_precision(truth: Sequence[Boxes], found: Sequence[Detections], classes: int) -> MeanAP:
    """Judges the detections ``found`` in images whose boxes are ``truth``; raises SdannError if there is no box."""
    if len(truth) != len(found):
        raise SdannError(f"detections in {len(found)} images cannot be judged by the boxes of {len(truth)}")
    voc, coco = (_average_precisions(truth, found, classes, recalls) for recalls in (VOC2007_RECALLS, COCO_RECALLS))
    if np.isnan(voc).all():
        raise SdannError("mean average precision needs at least one box that is not difficult")
    return MeanAP(
        voc2007=float(np.nanmean(voc)), coco=float(np.nanmean(coco)),
        per_class=tuple(None if np.isnan(v) else float(v) for v in voc),
    )  # fmt: skip


def _average_precisions(
    truth: Sequence[Boxes], found: Sequence[Detections], classes: int, recalls: FloatArray
) -> FloatArray:
    """[classes]; NaN where there is no box."""
    boxes = [
        {
            "image_id": image, "category_id": int(label), "bbox": _bbox(corners), "iscrowd": 0,
            "area": _DIFFICULT_AREA if difficult else 1.0,
        }
        for image, one in enumerate(truth)
        for corners, label, difficult in zip(one.corners, one.labels, one.difficult, strict=True)
    ]  # fmt: skip
    detections = [
        {"image_id": image, "category_id": int(label), "bbox": _bbox(corners), "area": 1.0, "score": float(score)}
        for image, one in enumerate(found)
        for corners, label, score in zip(one.corners, one.labels, one.scores, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(_coco(boxes, len(truth), classes), _coco(detections, len(truth), classes), "bbox")
        judge.params.imgIds = list(range(len(truth)))
        judge.params.catIds = list(range(classes))
        judge.params.iouThrs = np.array([IOU])
        judge.params.recThrs = recalls
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.params.maxDets = [max((len(one.labels) for one in found), default=0) + 1]
        judge.evaluate()
        judge.accumulate()
    precision: FloatArray = judge.eval["precision"][0, :, :, 0, 0]  # [recalls, classes], -1 where there is no box
    return np.where((precision < 0).any(axis=0), np.nan, precision.mean(axis=0))


def _bbox(corners: FloatArray) -> list[float]:
    left, top, right, bottom = (float(v) for v in corners)
    return [left, top, right - left, bottom - top]


def _coco(entries: list[dict[str, object]], images: int, classes: int) -> COCO:
    """An index in memory; its entries are numbered from 1, because 0 stands for "not matched"."""
    index = COCO()
    index.dataset = {
        "images": [{"id": number} for number in range(images)],
        "categories": [{"id": number} for number in range(classes)],
        "annotations": [{"id": number, **entry} for number, entry in enumerate(entries, start=1)],
    }
    index.createIndex()
    return index
