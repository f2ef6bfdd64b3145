"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from https://www.cs.toronto.edu/~kriz/cifar.html: 60,000 colour images of
32 x 32 pixels, in the python or the binary version.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..errors import FileFormatError
from ..graph import IntArray
from .images import crop_and_flip
from .samples import ArraySamples, Dataset
from .unpickle import unpickle

__all__ = ["VALIDATION_SHARE", "load_cifar"]

VALIDATION_SHARE = 0.1
"""The last tenth of the training images, in the files' order, is the validation part (5,000 images)."""

_PIXELS = 3 * 32 * 32
_AGAIN = "download and unpack the data set again"
Arrays = tuple[npt.NDArray[np.uint8], IntArray]


@dataclass(frozen=True, kw_only=True)
class _Form:
    """Files of one version: ``label_bytes`` before an image's pixels (binary), or the key of the labels (python)."""

    folder: str
    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int = 0
    labels: bytes = b""
    name_key: bytes = b""


_FIVE = tuple(f"data_batch_{number}" for number in range(1, 6))
_FORMS: dict[int, tuple[_Form, ...]] = {
    10: (
        _Form(
            folder="cifar-10-batches-py", train=_FIVE, test="test_batch", names="batches.meta", labels=b"labels",
            name_key=b"label_names",
        ),
        _Form(
            folder="cifar-10-batches-bin", train=tuple(f"{name}.bin" for name in _FIVE), test="test_batch.bin",
            names="batches.meta.txt", label_bytes=1,
        ),
    ),
    100: (
        _Form(
            folder="cifar-100-python", train=("train",), test="test", names="meta", labels=b"fine_labels",
            name_key=b"fine_label_names",
        ),
        _Form(
            folder="cifar-100-binary", train=("train.bin",), test="test.bin", names="fine_label_names.txt",
            label_bytes=2,
        ),
    ),
}  # fmt: skip
_MEAN_STD = {
    10: ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    100: ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
}
"""Of the training images, per channel."""


def load_cifar(path: str | Path, *, classes: Literal[10, 100] = 10, images: int = 60_000) -> Dataset:
    """CIFAR-``classes`` from the folder ``path``, which holds the files or the folder that the archive unpacks to.

    Images are normalized with the training images' mean and deviation; for training they are shifted by up to 4
    pixels and flipped. ``images``: how many the files must hold together, five sixths of them for training. Raises
    FileFormatError that names the file.
    """
    form, folder = _find(Path(path), classes)
    names = _names(form, folder / form.names, classes)
    per_file = images * 5 // 6 // len(form.train)
    parts = [_read(form, folder / name, per_file, classes) for name in form.train]
    pixels, labels = np.concatenate([p for p, _ in parts]), np.concatenate([y for _, y in parts])
    test_pixels, test_labels = _read(form, folder / form.test, images // 6, classes)
    split = len(labels) - round(len(labels) * VALIDATION_SHARE)
    mean, std = _MEAN_STD[classes]

    def part(x: npt.NDArray[np.uint8], y: IntArray) -> ArraySamples:
        return ArraySamples(images=x, labels=y, mean=mean, std=std, augment=crop_and_flip)

    return Dataset(
        name=f"cifar{classes}", task="classification", input_shape=(3, 32, 32), classes=names,
        train=part(pixels[:split], labels[:split]), validation=part(pixels[split:], labels[split:]),
        test=part(test_pixels, test_labels),
    )  # fmt: skip


def _find(path: Path, classes: int) -> tuple[_Form, Path]:
    """The version that is at ``path``, and the folder of its files."""
    for folder_of in (lambda form: path, lambda form: path / form.folder):
        for form in _FORMS[classes]:
            folder = folder_of(form)
            if any((folder / name).exists() for name in (*form.train, form.test)):
                return form, folder
    wanted = " or ".join(form.folder for form in _FORMS[classes])
    raise FileFormatError(
        f"{path}: no CIFAR-{classes} here; name the folder {wanted}, unpacked from the archives at "
        "https://www.cs.toronto.edu/~kriz/cifar.html"
    )


def _read(form: _Form, path: Path, count: int, classes: int) -> Arrays:
    pixels, labels = _read_binary(form, path) if form.label_bytes else _read_python(form, path)
    if len(labels) != count:
        raise FileFormatError(f"{path}: holds {len(labels)} images, not {count}; {_AGAIN}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise FileFormatError(f"{path}: has labels outside 0..{classes - 1}; {_AGAIN}")
    return pixels.reshape(-1, 3, 32, 32), labels


def _read_binary(form: _Form, path: Path) -> Arrays:
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; {_AGAIN}")
    raw = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    record = form.label_bytes + _PIXELS
    if len(raw) % record:
        raise FileFormatError(f"{path}: {len(raw)} bytes are not whole records of {record}; {_AGAIN}")
    records = raw.reshape(-1, record)
    return records[:, form.label_bytes :], records[:, form.label_bytes - 1].astype(np.int64)  # the fine label is last


def _read_python(form: _Form, path: Path) -> Arrays:
    batch = unpickle(path)
    pixels, labels = batch.get(b"data"), batch.get(form.labels)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        raise FileFormatError(f"{path}: its 'data' is not an array of bytes [N, {_PIXELS}]; {_AGAIN}")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not all(type(v) is int for v in labels):
        raise FileFormatError(f"{path}: its {form.labels.decode()!r} is not a list of {len(pixels)} integers; {_AGAIN}")
    return pixels, np.asarray(labels, dtype=np.int64)


def _names(form: _Form, path: Path, classes: int) -> tuple[str, ...]:
    if form.label_bytes:
        if not path.is_file():
            raise FileFormatError(f"{path}: no such file; {_AGAIN}")
        names = path.read_text().split()
    else:
        entries = unpickle(path).get(form.name_key)
        names = [v.decode() if isinstance(v, bytes) else str(v) for v in entries] if isinstance(entries, list) else []
    if len(names) != classes:
        raise FileFormatError(f"{path}: names {len(names)} classes, not {classes}; {_AGAIN}")
    return tuple(names)
