"""sdann.datasets.digits, .scenes and .source."""

import numpy as np
import pytest

from sdann.datasets import SOURCES, Digits, digit_integers, load_digits, open_dataset
from sdann.datasets.scenes import SIDES, scenes
from sdann.detection import iou
from sdann.errors import FileFormatError, SdannError


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


def test_split(digits: Digits) -> None:
    again = load_digits()
    assert (digits.test_images == again.test_images).all() and (digits.train_labels == again.train_labels).all()
    parts = (digits.train_images, digits.validation_images, digits.test_images)
    assert [len(part) for part in parts] == [1200, 237, 360]
    assert len({image.tobytes() for part in parts for image in part}) == 1797
    assert digits.train_images.min() == 0 and digits.train_images.max() == 1 == digits.test_images.max()
    for labels in (digits.train_labels, digits.validation_labels, digits.test_labels):
        assert np.bincount(labels).min() >= 15 and set(labels.tolist()) == set(range(10))


def test_integers(digits: Digits) -> None:
    for steps in (4, 8):
        x = digit_integers(digits.test_images, time_steps=steps)
        assert x.shape == (360, 1, 8, 8) and x.min() == 0 and x.max() == 2**steps - 1
        assert len(np.unique(x)) >= 16  # no two of the 17 grey levels merge, but at 4 bits one pair must
    assert len(np.unique(digit_integers(digits.test_images))) == 17


def test_dataset_is_the_same_split(digits: Digits) -> None:
    data = open_dataset("digits", (1, 8, 8))
    images, labels = data.test.batch(range(360))
    assert (images == digits.test_images).all() and (labels == digits.test_labels).all()
    images, _ = data.train.batch([7, 3], np.random.default_rng(0))
    assert (images == digits.train_images[[7, 3]]).all()


def test_scaled_digits(digits: Digits) -> None:
    data = open_dataset("digits32", (3, 32, 32))
    images, labels = data.validation.batch([0, 5])
    assert images.shape == (2, 3, 32, 32) and images.dtype == np.float32
    assert (labels == digits.validation_labels[[0, 5]]).all()
    assert (images[:, 0] == images[:, 1]).all() and (images[:, 0] == images[:, 2]).all()
    small = digits.validation_images[0, 0]
    # Bilinear, pixels' centres aligned: 4 pixels for one, so between centres there are weights 1/8, 3/8, 5/8, 7/8.
    np.testing.assert_allclose(images[0, 0, 0, 6:10], small[0, 1] + (small[0, 2] - small[0, 1]) * np.array(
        [1, 3, 5, 7]) / 8, atol=1e-6)  # fmt: skip
    np.testing.assert_allclose(images.mean(axis=(2, 3)).mean(axis=1), digits.validation_images[[0, 5], 0].mean(
        axis=(1, 2)), atol=0.02)  # fmt: skip


def test_scenes_are_reproducible_and_their_boxes_hold_the_ink() -> None:
    data = scenes()
    assert (len(data.train), len(data.validation), len(data.test)) == (2000, 300, 500)
    images, boxes = data.test.batch(range(100))
    again, _ = data.test.batch(range(50, 60))
    assert (images[50:60] == again).all() and images.shape == (100, 1, 32, 32) and images.dtype == np.float32
    assert {len(one.labels) for one in boxes} == {1, 2, 3}
    for image, one in zip(images, boxes, strict=True):
        pixels = np.rint(one.corners * 32).astype(int)
        sides = pixels[:, 2:] - pixels[:, :2]
        assert SIDES[0] <= sides.min() <= sides.max() <= SIDES[1] and (sides[:, 0] == sides[:, 1]).all()
        assert np.triu(iou(one.corners, one.corners), 1).max() == 0
        left = image[0].copy()
        for x0, y0, x1, y1 in pixels:
            assert left[y0:y1, x0:x1].max() > 0.5
            left[y0:y1, x0:x1] = 0
        assert left.max() == 0
        centres = np.floor((one.corners[:, :2] + one.corners[:, 2:]) / 2 * 4)
        assert len({tuple(cell) for cell in centres}) == len(one.labels)  # no two share a cell of digit-yolo's grid


def test_training_scenes_are_new_each_time_and_of_their_own_digits() -> None:
    data = scenes()
    one, _ = data.train.batch([0, 1], np.random.default_rng(1))
    two, _ = data.train.batch([0, 1], np.random.default_rng(2))
    assert (one != two).any()
    sets = [{image.tobytes() for image in part.images} for part in (data.train, data.validation, data.test)]
    assert [len(s) for s in sets] == [1200, 237, 360] and not (sets[0] & sets[2] or sets[1] & sets[2])


@pytest.mark.parametrize(
    ("source", "shape", "message"),
    [
        ("mnist", (1, 8, 8), r"unknown data set 'mnist'; known data sets: digits, digits32, scenes, cifar10:PATH"),
        ("digits:here", (1, 8, 8), r"unknown data set 'digits:here'"),
        ("cifar10", (3, 32, 32), r"cifar10 needs the folder where it lies: cifar10:PATH"),
        ("digits", (3, 32, 32), r"digits has images of \(1, 8, 8\), the network takes \(3, 32, 32\)"),
        ("cifar100:nowhere", (3, 32, 32), r"nowhere: no CIFAR-100 here"),
        ("imagenet:nowhere", (3, 224, 224), r"nowhere/train: no such folder"),
        ("voc:nowhere", (3, 448, 448), r"nowhere: no VOC2007 here"),
    ],
)
def test_refusals(source: str, shape: tuple[int, int, int], message: str) -> None:
    with pytest.raises(SdannError, match=message) as error:
        open_dataset(source, shape)
    assert isinstance(error.value, FileFormatError) == ("nowhere" in source)


def test_sources_are_listed() -> None:
    assert SOURCES == ("digits", "digits32", "scenes", "cifar10:PATH", "cifar100:PATH", "imagenet:PATH", "voc:PATH")
