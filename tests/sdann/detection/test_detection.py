"""sdann.detection: decoding, suppression and loss, by hand and against each other."""

import numpy as np
import pytest
import torch

from sdann.datasets.scenes import scenes
from sdann.detection import Boxes, Detections, Grid, decode, suppress
from sdann.detection.loss import yolo_loss
from sdann.detection.mean_ap import mean_average_precision
from sdann.errors import SdannError

GRID = Grid(side=4, boxes=2, classes=3)


def boxes(*rows: tuple[float, float, float, float, int], difficult: tuple[int, ...] = ()) -> Boxes:
    return Boxes(
        corners=np.array([row[:4] for row in rows], dtype=np.float64).reshape(-1, 4),
        labels=np.array([row[4] for row in rows], dtype=np.int64),
        difficult=np.array([n in difficult for n in range(len(rows))], dtype=bool),
    )


def perfect(truth: list[Boxes], grid: Grid, box: int = 0) -> np.ndarray:
    """The output that stands for ``truth``: written from the grid's definition, cell by cell."""
    outputs = np.zeros((len(truth), grid.channels, grid.side, grid.side))
    for image, one in enumerate(truth):
        for (left, top, right, bottom), label in zip(one.corners, one.labels, strict=True):
            x, y = (left + right) / 2 * grid.side, (top + bottom) / 2 * grid.side
            cell = outputs[image, :, int(y), int(x)]
            cell[5 * box : 5 * box + 5] = x % 1, y % 1, (right - left) ** 0.5, (bottom - top) ** 0.5, 1
            cell[5 * grid.boxes + label] = 1
    return outputs


TRUTH = [
    boxes((0.1, 0.2, 0.3, 0.7, 2), (0.5, 0.5, 1, 1, 0)), boxes(), boxes((0.05, 0.6, 0.95, 0.65, 1)),
]  # fmt: skip


@pytest.mark.parametrize("box", [0, 1])
def test_decoding_undoes_the_definition(box: int) -> None:
    found = decode(perfect(TRUTH, GRID, box), GRID)
    assert [len(one.labels) for one in found] == [2, 0, 1]
    for one, expected in zip(found, TRUTH, strict=True):
        order = np.argsort(expected.labels)
        np.testing.assert_allclose(one.corners[np.argsort(one.labels)], expected.corners[order], atol=1e-12)
        assert sorted(one.labels) == sorted(expected.labels) and (one.scores == 1).all()


def test_decoding_limits() -> None:
    outputs = np.zeros((1, GRID.channels, 4, 4))
    outputs[0, :, 0, 0] = [0.5, 0.5, 0.9, -0.5, 1.5, 0, 0, 0, 0, -1, 0.4, 1.2, -3]
    (found,) = decode(outputs, GRID)
    assert found.labels.tolist() == [1, 0] and found.scores.tolist() == [1, 0.4]
    # Centre (0.125, 0.125), width 0.81 cut at the left edge, negative root of the height: none.
    np.testing.assert_allclose(found.corners, [[0, 0.125, 0.53, 0.125]] * 2)
    assert len(decode(outputs, GRID, threshold=0.5)[0].labels) == 1
    with pytest.raises(SdannError, match=r"has outputs of shape \[N, 13, 4, 4\], not \[1, 13, 4, 3\]"):
        decode(outputs[..., :3], GRID)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_last_layer_of_few_bits_serves(bits: int) -> None:
    """Rounding the outputs to the integers that a chip gives moves no box far: why roots of sides are learnt."""
    grid = Grid(side=4, boxes=1, classes=10)
    _, truth = scenes().test.batch(range(100))
    outputs = perfect(truth, grid)
    unit = 1.3 / ((1 << bits - 1) - 1)  # with room for outputs above 1
    rounded = decode(np.rint(outputs / unit) * unit, grid)
    assert mean_average_precision(truth, rounded, 10).voc2007 >= 0.995
    coarse = decode(np.rint(outputs * 3) / 3, grid)
    assert mean_average_precision(truth, coarse, 10).voc2007 < 0.9


def found(*rows: tuple[float, float, float, float, int, float]) -> Detections:
    return Detections(
        corners=np.array([row[:4] for row in rows]), labels=np.array([row[4] for row in rows]),
        scores=np.array([row[5] for row in rows]),
    )  # fmt: skip


def test_suppression_by_hand() -> None:
    kept = suppress(
        found(
            (0, 0, 0.4, 0.4, 0, 0.5),  # overlaps the best by 0.6: dropped
            (0.1, 0, 0.5, 0.4, 0, 0.9),  # the best
            (0.2, 0, 0.6, 0.4, 0, 0.4),  # overlaps the best by 0.6: dropped
            (0.3, 0, 0.7, 0.4, 0, 0.3),  # overlaps the dropped one only: stays
            (0.1, 0, 0.5, 0.4, 1, 0.2),  # the same place, another class: stays
        )
    )
    assert kept.scores.tolist() == [0.9, 0.3, 0.2] and kept.labels.tolist() == [0, 0, 1]
    tie = suppress(found((0, 0, 0.4, 0.4, 0, 0.5), (0, 0, 0.4, 0.39, 0, 0.5)))
    assert tie.corners.tolist() == [[0, 0, 0.4, 0.4]]
    assert len(suppress(found((0, 0, 0.4, 0.4, 0, 0.5), (0, 0, 0.4, 0.2, 0, 0.4))).labels) == 2  # exactly 0.5 stays


def loss(outputs: np.ndarray, truth: list[Boxes]) -> float:
    return float(yolo_loss(torch.from_numpy(outputs), truth, GRID))


def test_loss_is_zero_only_at_the_truth() -> None:
    outputs = perfect(TRUTH, GRID)
    assert loss(outputs, TRUTH) == pytest.approx(0, abs=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(50):
        changed = outputs.copy()
        where = tuple(rng.integers(size) for size in outputs.shape)
        changed[where] += 0.1
        row, column = where[2:]
        in_cell = outputs[where[0], 4, row, column] > 0
        matters = where[1] % 5 == 4 if where[1] < 10 else in_cell
        matters |= in_cell and where[1] < 5
        assert (loss(changed, TRUTH) > 1e-4) == matters, where


def test_loss_by_hand() -> None:
    truth = [boxes((0.5, 0.25, 0.75, 0.5, 1))]  # exactly the cell in row 1, column 2
    outputs = np.zeros((1, 13, 4, 4))
    outputs[0, :, 1, 2] = [0.5, 0.5, 0.5, 0.25, 0.8, 0.5, 0.5, 0.1, 0.1, 0.6, 0.2, 0.7, 0]
    outputs[0, 4, 3, 3] = 0.4
    # Box 0 is half as high as the object: IoU 1/4 (its height is 1/16). Box 1 is a hundredth of the image: IoU less.
    expected = 5 * 0.25**2 + (0.8 - 0.25) ** 2 + 0.5 * (0.6**2 + 0.4**2) + 0.2**2 + 0.3**2
    assert loss(outputs, truth) == pytest.approx(expected)
    two = [truth[0], boxes()]
    assert loss(np.concatenate([outputs, 0 * outputs]), two) == pytest.approx(expected / 2)


def test_of_two_boxes_in_a_cell_the_first_counts_and_difficult_ones_do_not() -> None:
    first, second = (0.5, 0.25, 0.75, 0.5, 1), (0.55, 0.3, 0.7, 0.45, 0)
    outputs = np.random.default_rng(1).normal(size=(1, 13, 4, 4))
    alone = loss(outputs, [boxes(first)])
    assert loss(outputs, [boxes(first, second)]) == alone == loss(outputs, [boxes(second, first, difficult=(0,))])
    assert loss(outputs, [boxes(second, first)]) != alone


def test_gradient_reaches_boxes_that_overlap_nothing() -> None:
    outputs = torch.zeros(1, 13, 4, 4, requires_grad=True)
    value = yolo_loss(outputs, [boxes((0.5, 0.25, 0.75, 0.5, 1))], GRID)
    value.backward()
    assert outputs.grad is not None
    assert (outputs.grad[0, :4, 1, 2] < 0).all() and outputs.grad[0, 11, 1, 2] < 0
    assert outputs.grad[0, :, 0, 0].abs().max() == 0
    assert float(yolo_loss(torch.ones(1, 13, 4, 4), [boxes()], GRID)) == 0.5 * 2 * 16
