"""sdann.datasets.imagenet and .images, on small photographs in ImageNet's folders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdann.datasets.imagenet import load_imagenet
from sdann.datasets.images import IMAGENET_MEAN, IMAGENET_STD, central_crop, random_crop
from sdann.errors import FileFormatError

WNIDS = ("n01440764", "n01443537")


def write_image(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (80, 60), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, format="JPEG", quality=95)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Class 0 is red and has 100 training images, class 1 is grey and has 3; two images of each to test."""
    for wnid, colour, count in zip(WNIDS, ((250, 0, 0), (90, 90, 90)), (100, 3), strict=True):
        for number in range(count):
            write_image(tmp_path / "train" / wnid / f"{wnid}_{number:03}.JPEG", colour)
        for number in range(2):
            mode = "L" if wnid == WNIDS[1] else "RGB"  # some of the real ones are grey, too
            write_image(tmp_path / "val" / wnid / f"ILSVRC2012_val_{number:08}.JPEG", colour, mode=mode)
    return tmp_path


def test_parts_and_classes(folder: Path) -> None:
    data = load_imagenet(folder, side=48)
    assert (len(data.train), len(data.validation), len(data.test)) == (98 + 3, 2, 4)
    assert data.classes == WNIDS and data.input_shape == (3, 48, 48)
    x, y = data.test.batch(range(4))
    assert x.shape == (4, 3, 48, 48) and x.dtype == np.float32 and y.tolist() == [0, 0, 1, 1]
    unit = x * np.reshape(IMAGENET_STD, (3, 1, 1)) + np.reshape(IMAGENET_MEAN, (3, 1, 1))
    np.testing.assert_allclose(unit[0, :, 20, 20], [250 / 255, 0, 0], atol=0.02)
    np.testing.assert_allclose(unit[3, :, 20, 20], [90 / 255] * 3, atol=0.02)
    train, validation = ({str(p) for p in part.paths} for part in (data.train, data.validation))
    assert {Path(p).name for p in validation} == {"n01440764_049.JPEG", "n01440764_099.JPEG"}
    assert not train & validation


def test_random_crops_follow_the_generator(folder: Path) -> None:
    train = load_imagenet(folder, side=16).train
    one, two = (train.batch([0, 100, 0], np.random.default_rng(3))[0] for _ in range(2))
    assert (one == two).all() and one.shape == (3, 3, 16, 16)


def gradient(width: int, height: int) -> Image.Image:
    """Red grows from left to right, green from top to bottom."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([red, green, 0 * red], axis=2).astype(np.uint8))


def test_central_crop_is_the_middle() -> None:
    for size in ((448, 256), (256, 448)):
        crop = np.asarray(central_crop(gradient(*size), 224)).astype(float)
        assert crop.shape == (224, 224, 3)
        shares = [224 / s for s in size]
        for axis, channel in ((1, 0), (0, 1)):
            line = crop[112, :, channel] if axis == 1 else crop[:, 112, channel]
            expected = 127.5 + np.array([-0.5, 0.5]) * 255 * shares[channel]
            np.testing.assert_allclose(line[[0, -1]], expected, atol=2)


def test_random_crop_varies_place_size_and_direction() -> None:
    crops = [np.asarray(random_crop(gradient(200, 100), 20, np.random.default_rng(n))).astype(float) for n in range(60)]
    slopes = np.array([crop[10, 19, 0] - crop[10, 0, 0] for crop in crops])
    assert (slopes > 0).sum() > 15 and (slopes < 0).sum() > 15
    assert np.ptp(np.abs(slopes)) > 60 and np.ptp([crop[10, 10, 1] for crop in crops]) > 60


def test_refusals(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nowhere/train: no such folder; get ILSVRC2012"):
        load_imagenet(tmp_path / "nowhere")
    (folder / "val" / "n09999999").mkdir()
    with pytest.raises(FileFormatError, match=r"n09999999: has no \.JPEG files"):
        load_imagenet(folder)
    write_image(folder / "val" / "n09999999" / "a.JPEG", (1, 2, 3))
    with pytest.raises(FileFormatError, match=r"val/n09999999: no such class in .*train"):
        load_imagenet(folder)


def test_flat_validation_folder(folder: Path) -> None:
    for path in list((folder / "val").rglob("*.JPEG")):
        path.rename(folder / "val" / path.name)
    for wnid in WNIDS:
        (folder / "val" / wnid).rmdir()
    with pytest.raises(FileFormatError, match=r"val: has no folders; sort the images into a folder per class"):
        load_imagenet(folder)


@pytest.mark.parametrize("content", [b"", b"no image at all", "half"])
def test_damaged_image(folder: Path, content: bytes | str) -> None:
    path = folder / "val" / WNIDS[0] / "ILSVRC2012_val_00000001.JPEG"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if isinstance(content, str) else content)
    test = load_imagenet(folder).test
    test.batch([0, 2, 3])
    with pytest.raises(FileFormatError, match=r"ILSVRC2012_val_00000001\.JPEG: not a readable image"):
        test.batch([1])
