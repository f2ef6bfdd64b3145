"""sdann.detection.mean_ap: cases computed by hand."""

import numpy as np
import pytest

from sdann.detection import Boxes, Detections
from sdann.detection.mean_ap import mean_average_precision
from sdann.errors import SdannError


def place(n: int) -> tuple[float, float, float, float]:
    """One of 10 x 10 places that do not overlap."""
    x, y = n % 10 / 10, n // 10 / 10
    return x, y, x + 0.08, y + 0.08


def boxes(*entries: tuple[int, int], difficult: tuple[int, ...] = ()) -> Boxes:
    """Boxes by (place, class)."""
    return Boxes(
        corners=np.array([place(n) for n, _ in entries]).reshape(-1, 4),
        labels=np.array([label for _, label in entries], dtype=np.int64),
        difficult=np.array([i in difficult for i in range(len(entries))], dtype=bool),
    )


def found(*entries: tuple[int, int, float]) -> Detections:
    """Detections by (place, class, score)."""
    return Detections(
        corners=np.array([place(n) for n, _, _ in entries]).reshape(-1, 4),
        labels=np.array([label for _, label, _ in entries], dtype=np.int64),
        scores=np.array([score for _, _, score in entries]),
    )


def test_everything_right() -> None:
    truth = [boxes((0, 0), (1, 1)), boxes(), boxes((5, 0))]
    hits = [found((0, 0, 0.3), (1, 1, 0.9)), found(), found((5, 0, 0.4))]
    result = mean_average_precision(truth, hits, 3)
    assert (result.voc2007, result.coco) == pytest.approx((1, 1))
    assert result.per_class == (pytest.approx(1), pytest.approx(1), None)


def test_by_hand() -> None:
    # Ten boxes. Best first: hit, miss, hit, hit, miss, hit, miss, miss: precisions 1, 1/2, 2/3, 3/4, 3/5, 2/3, ...
    # at recalls 0.1, 0.1, 0.2, 0.3, 0.3, 0.4. Interpolated: 1 at recalls 0 and 0.1, 3/4 at 0.2 and 0.3, 2/3 at 0.4.
    truth = [boxes(*((n, 0) for n in range(10)))]
    right = [True, False, True, True, False, True, False, False]
    places = [n if hit else 50 + n for n, hit in enumerate(right)]
    hits = [found(*((p, 0, 0.9 - 0.1 * n) for n, p in enumerate(places)))]
    result = mean_average_precision(truth, hits, 1)
    assert result.voc2007 == pytest.approx((2 * 1 + 2 * 3 / 4 + 2 / 3) / 11)
    # COCO: recalls 0 .. 0.10 (11 of them), 0.11 .. 0.30 (20), 0.31 .. 0.40 (10), then 0.
    assert result.coco == pytest.approx((11 * 1 + 20 * 3 / 4 + 10 * 2 / 3) / 101)


def test_order_comes_from_scores_over_all_images() -> None:
    truth = [boxes((0, 0)), boxes((0, 0))]
    # The miss in the second image is the best detection: precisions 0, 1/2, 2/3.
    hits = [found((0, 0, 0.5)), found((7, 0, 0.9), (0, 0, 0.4))]
    assert mean_average_precision(truth, hits, 1).voc2007 == pytest.approx(2 / 3)
    hits = [found((0, 0, 0.5)), found((7, 0, 0.1), (0, 0, 0.4))]
    assert mean_average_precision(truth, hits, 1).voc2007 == pytest.approx(1)


def test_mean_is_over_classes_with_boxes() -> None:
    truth = [boxes((0, 0), (1, 2))]
    result = mean_average_precision(truth, [found((0, 0, 0.9), (9, 1, 0.9))], 4)
    assert result.per_class == (pytest.approx(1), None, 0, None) and result.voc2007 == pytest.approx(0.5)


@pytest.mark.parametrize(("shift", "value"), [(0.0266, 1), (0.0267, 0)])
def test_iou_of_a_half_is_the_limit(shift: float, value: float) -> None:
    # Boxes of 0.08 shifted by s overlap by (0.08 - s) / (0.08 + s), which is a half at s = 0.02666...
    hit = found((0, 0, 0.9))
    moved = Detections(corners=hit.corners + np.array([shift, 0, shift, 0]), labels=hit.labels, scores=hit.scores)
    assert mean_average_precision([boxes((0, 0))], [moved], 1).voc2007 == pytest.approx(value)


def test_second_detection_of_a_box_is_a_miss() -> None:
    truth = [boxes((0, 0), (1, 0))]
    hits = [found((0, 0, 0.9), (0, 0, 0.8), (1, 0, 0.7))]
    # Precision 1 up to recall 0.5 (6 of the 11 recalls), then 2/3 (5).
    assert mean_average_precision(truth, hits, 1).voc2007 == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_class_must_be_right() -> None:
    assert mean_average_precision([boxes((0, 1))], [found((0, 0, 0.9))], 2).per_class == (None, 0)


def test_difficult_boxes_neither_count_nor_harm() -> None:
    truth = [boxes((0, 0), (1, 0), difficult=(1,))]
    for hits in (found((0, 0, 0.5)), found((1, 0, 0.9), (0, 0, 0.5))):
        assert mean_average_precision(truth, [hits], 1).voc2007 == pytest.approx(1)
    missed = found((2, 0, 0.9), (0, 0, 0.5))
    assert mean_average_precision(truth, [missed], 1).voc2007 == pytest.approx(0.5)
    # A class whose only box is difficult does not count.
    truth = [boxes((0, 0), (1, 1), difficult=(1,))]
    assert mean_average_precision(truth, [found((0, 0, 0.5), (1, 1, 0.9))], 2).per_class == (pytest.approx(1), None)


def test_many_detections_in_an_image_all_count() -> None:
    # pycocotools looks at the best 100 only, unless told otherwise.
    noise = [(50 + n % 50, 0, 0.9 - 0.001 * n) for n in range(150)]
    result = mean_average_precision([boxes((0, 0))], [found(*noise, (0, 0, 0.1))], 1)
    assert result.voc2007 == pytest.approx(1 / 151)


def test_refusals() -> None:
    with pytest.raises(SdannError, match="at least one box"):
        mean_average_precision([boxes(), boxes((0, 0), difficult=(0,))], [found(), found((0, 0, 1.0))], 1)
    with pytest.raises(SdannError, match="in 1 images cannot be judged by the boxes of 2"):
        mean_average_precision([boxes(), boxes()], [found()], 1)
