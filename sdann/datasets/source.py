"""Data sets by a word, such as ``digits`` or ``cifar10:PATH``, as the command line names them."""

from collections.abc import Callable

from ..errors import SdannError
from ..graph import Shape
from .cifar import load_cifar
from .digits import digits, scaled_digits
from .imagenet import load_imagenet
from .samples import Dataset
from .scenes import scenes
from .voc import load_voc

__all__ = ["SOURCES", "WITHOUT_PATH", "open_dataset"]

WITHOUT_PATH: dict[str, Callable[[Shape], Dataset]] = {
    "digits": lambda shape: digits(),
    "digits32": lambda shape: scaled_digits(shape),
    "scenes": lambda shape: scenes(),
}
"""What comes with scikit-learn."""
_WITH_PATH: dict[str, Callable[[str, Shape], Dataset]] = {
    "cifar10": lambda path, shape: load_cifar(path, classes=10),
    "cifar100": lambda path, shape: load_cifar(path, classes=100),
    "imagenet": lambda path, shape: load_imagenet(path, shape[1]),
    "voc": lambda path, shape: load_voc(path, shape[1]),
}
SOURCES = (*WITHOUT_PATH, *(f"{name}:PATH" for name in _WITH_PATH))
"""What :func:`open_dataset` takes."""


def open_dataset(source: str, input_shape: Shape) -> Dataset:
    """The data set ``source``, one of :data:`SOURCES`, for a network that takes ``input_shape``, (C, H, W).

    ``digits32``, ImageNet and VOC are resized to it. Raises SdannError if the images cannot have that shape, or
    the source is unknown, and FileFormatError for missing or damaged files.
    """
    name, colon, path = source.partition(":")
    if name in WITHOUT_PATH and not colon:
        dataset = WITHOUT_PATH[name](input_shape)
    elif name in _WITH_PATH and path:
        dataset = _WITH_PATH[name](path, input_shape)
    elif name in _WITH_PATH:
        raise SdannError(f"{name} needs the folder where it lies: {name}:PATH")
    else:
        raise SdannError(f"unknown data set {source!r}; known data sets: {', '.join(SOURCES)}")
    if dataset.input_shape != input_shape:
        raise SdannError(
            f"{name} has images of {dataset.input_shape}, the network takes {input_shape}: use another one"
        )
    return dataset
