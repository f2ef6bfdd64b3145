"""ImageNet-1k (ILSVRC2012) as folders: ``train/<wnid>/*.JPEG`` and ``val/<wnid>/*.JPEG``."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import FileFormatError
from ..graph import IntArray
from .images import central_crop, normalized, random_crop, read_image
from .samples import Dataset, FloatImages

__all__ = ["VALIDATION_STEP", "FolderSamples", "load_imagenet"]

VALIDATION_STEP = 50
"""Of each class, every so many-th training image, by file name, is in the validation part; ``val`` is the test part."""

WORKERS = 8
"""Images that are decoded at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderSamples:
    """Image files and their classes, cut to ``side`` x ``side``: at random with a generator, else in the middle."""

    paths: Sequence[Path]
    labels: IntArray
    side: int

    def __len__(self) -> int:
        return len(self.paths)

    def batch(self, chosen: npt.ArrayLike, rng: np.random.Generator | None = None) -> tuple[FloatImages, IntArray]:
        """See :meth:`sdann.datasets.Samples.batch`."""
        numbers = [int(i) for i in np.ravel(np.asarray(chosen))]
        # A generator for each image: threads may not share one, and their order must not matter.
        generators = [None] * len(numbers) if rng is None else rng.spawn(len(numbers))
        with ThreadPoolExecutor(WORKERS) as pool:
            images = list(pool.map(self._image, numbers, generators))
        return np.stack(images), self.labels[numbers]

    def _image(self, number: int, rng: np.random.Generator | None) -> FloatImages:
        image = read_image(self.paths[number])
        return normalized(central_crop(image, self.side) if rng is None else random_crop(image, self.side, rng))


def load_imagenet(path: str | Path, side: int = 224) -> Dataset:
    """ImageNet from the folder ``path`` that holds ``train`` and ``val``; classes in the order of their wnids.

    Images of ``side`` x ``side`` pixels, normalized with ImageNet's mean and deviation. Raises FileFormatError that
    names the folder or file.
    """
    path = Path(path)
    train, test = _listed(path / "train"), _listed(path / "val")
    if strange := sorted(set(test) - set(train)):
        raise FileFormatError(f"{path / 'val' / strange[0]}: no such class in {path / 'train'}; unpack both again")
    wnids = tuple(train)
    apart = {
        wnid: (
            [p for i, p in enumerate(paths) if (i + 1) % VALIDATION_STEP],
            paths[VALIDATION_STEP - 1 :: VALIDATION_STEP],
        )
        for wnid, paths in train.items()
    }

    def part(files: dict[str, list[Path]]) -> FolderSamples:
        pairs = [(p, number) for number, wnid in enumerate(wnids) for p in files.get(wnid, [])]
        labels = np.array([number for _, number in pairs], dtype=np.int64)
        return FolderSamples(paths=[p for p, _ in pairs], labels=labels, side=side)

    return Dataset(
        name="imagenet", task="classification", input_shape=(3, side, side), classes=wnids,
        train=part({wnid: parts[0] for wnid, parts in apart.items()}),
        validation=part({wnid: parts[1] for wnid, parts in apart.items()}), test=part(test),
    )  # fmt: skip


def _listed(folder: Path) -> dict[str, list[Path]]:
    """Image files by class, both sorted."""
    if not folder.is_dir():
        raise FileFormatError(
            f"{folder}: no such folder; get ILSVRC2012 from https://image-net.org and unpack it to train/<wnid>/ and "
            "val/<wnid>/"
        )
    classes = {entry.name: sorted(entry.glob("*.JPEG")) for entry in sorted(folder.iterdir()) if entry.is_dir()}
    if not classes:
        raise FileFormatError(f"{folder}: has no folders; sort the images into a folder per class, named by its wnid")
    for name, files in classes.items():
        if not files:
            raise FileFormatError(f"{folder / name}: has no .JPEG files; unpack this class again")
    return classes
