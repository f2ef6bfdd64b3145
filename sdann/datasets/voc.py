"""PASCAL VOC 2007, object detection: 9,963 photographs with boxes of 20 classes."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..detection.boxes import Boxes
from ..errors import FileFormatError, SdannError
from .imagenet import WORKERS
from .images import normalized, read_image
from .samples import Dataset, FloatImages

__all__ = ["CLASSES", "VocSamples", "load_voc", "read_annotation"]

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""In VOC's order, which is the alphabet's."""

_AGAIN = "unpack VOC2007 again"


@dataclass(frozen=True, kw_only=True, eq=False)
class VocSamples:
    """Photographs, stretched to ``side`` x ``side``, with their boxes; with a generator mirrored or not, and zoomed."""

    paths: Sequence[Path]
    boxes: Sequence[Boxes]
    side: int

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, chosen: npt.ArrayLike, rng: np.random.Generator | None = None) -> tuple[FloatImages, list[Boxes]]:
        """See :meth:`sdann.datasets.Samples.batch`."""
        numbers = [int(i) for i in np.ravel(np.asarray(chosen))]
        generators = [None] * len(numbers) if rng is None else rng.spawn(len(numbers))
        with ThreadPoolExecutor(WORKERS) as pool:
            pairs = list(pool.map(self._sample, numbers, generators))
        return np.stack([image for image, _ in pairs]), [boxes for _, boxes in pairs]

    def _sample(self, number: int, rng: np.random.Generator | None) -> tuple[FloatImages, Boxes]:
        image, boxes, size = read_image(self.paths[number]), self.boxes[number], (self.side, self.side)
        if rng is None:
            return normalized(image.resize(size, Image.Resampling.BILINEAR)), boxes
        window = _window(rng)
        left, top, right, bottom = window * np.tile(image.size, 2)
        part = image.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom))
        boxes = _cut(boxes, window)
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            mirrored = np.stack([1 - boxes.corners[:, 2], boxes.corners[:, 1], 1 - boxes.corners[:, 0],
                                 boxes.corners[:, 3]], axis=1)  # fmt: skip
            boxes = Boxes(corners=mirrored, labels=boxes.labels, difficult=boxes.difficult)
        return normalized(part), boxes


def _window(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The part of an image to use, (left, top, right, bottom) in 0..1: 70 to 100 % of each side."""
    low = rng.uniform(0, 0.3, size=2) * rng.random()
    return np.concatenate([low, low + rng.uniform(0.7, 1, size=2) * (1 - low)])


def _cut(boxes: Boxes, window: npt.NDArray[np.float64]) -> Boxes:
    """``boxes`` as seen through ``window``: those whose centres are in it."""
    low, high = window[:2], window[2:]
    centres = (boxes.corners[:, :2] + boxes.corners[:, 2:]) / 2
    seen = ((centres > low) & (centres < high)).all(axis=1)
    corners = np.clip((boxes.corners[seen] - np.tile(low, 2)) / np.tile(high - low, 2), 0, 1)
    return Boxes(corners=corners, labels=boxes.labels[seen], difficult=boxes.difficult[seen])


def load_voc(path: str | Path, side: int = 448) -> Dataset:
    """VOC2007 from the folder ``path``: VOC2007 itself, or one that holds it or VOCdevkit.

    Parts are VOC's own: ImageSets/Main/train.txt, val.txt and test.txt (the test archive unpacks into the same
    folder). Images of ``side`` x ``side`` pixels, normalized with ImageNet's mean and deviation. All annotations are
    read and checked here. Raises FileFormatError that names the file.
    """
    path = Path(path)
    root = next(
        (p for p in (path, path / "VOC2007", path / "VOCdevkit" / "VOC2007") if (p / "ImageSets").is_dir()), None
    )
    if root is None:
        raise FileFormatError(
            f"{path}: no VOC2007 here; unpack VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar from "
            "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/ and name the folder"
        )

    def part(name: str) -> VocSamples:
        names = _image_names(root / "ImageSets" / "Main" / f"{name}.txt")
        paths = [root / "JPEGImages" / f"{image}.jpg" for image in names]
        for image in paths:
            if not image.is_file():
                raise FileFormatError(f"{image}: no such image; {_AGAIN}")
        boxes = [read_annotation(root / "Annotations" / f"{image}.xml") for image in names]
        return VocSamples(paths=paths, boxes=boxes, side=side)

    return Dataset(
        name="voc", task="detection", input_shape=(3, side, side), classes=CLASSES, train=part("train"),
        validation=part("val"), test=part("test"),
    )  # fmt: skip


def _image_names(path: Path) -> list[str]:
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; {_AGAIN}")
    names = path.read_text().split()
    if not names:
        raise FileFormatError(f"{path}: names no images; {_AGAIN}")
    return names


def read_annotation(path: Path) -> Boxes:
    """The objects of one annotation file. VOC counts pixels from 1 and includes both ends of a box."""
    try:
        tree = ElementTree.parse(path).getroot()
        width, height = (float(_text(tree, f"size/{side}")) for side in ("width", "height"))
        corners, labels, difficult = [], [], []
        for entry in tree.iter("object"):
            left, top, right, bottom = (
                float(_text(entry, f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")
            )
            corners.append([(left - 1) / width, (top - 1) / height, right / width, bottom / height])
            labels.append(CLASSES.index(_text(entry, "name")))
            difficult.append(entry.findtext("difficult", "0").strip() == "1")
        return Boxes(
            corners=np.array(corners, dtype=np.float64).reshape(-1, 4), labels=np.array(labels, dtype=np.int64),
            difficult=np.array(difficult, dtype=bool),
        )  # fmt: skip
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such annotation; {_AGAIN}") from None
    except (ElementTree.ParseError, ValueError, ZeroDivisionError, SdannError) as error:
        raise FileFormatError(f"{path}: not a readable annotation ({error}); {_AGAIN}") from None


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"<{path}> is missing")
    return text.strip()
