"""Tiny-VGG and Tiny-YOLO.

The paper scales VGG down "according to the hardware capacity", for Tiny-YOLO with Tiny-VGG as its backbone, but gives
neither layers nor the input size; it only says that the largest network it deployed has 5.76 M parameters. The layers
here are CHOSEN so that Tiny-YOLO for 20 classes has 5,761,758 with BatchNorm folded. Its accuracies are the paper's
own networks', not these'.
"""

from typing import Literal

from torch import nn

from .blocks import features, initialize
from .vgg import Vgg

__all__ = ["tiny_vgg", "tiny_yolo"]

BOXES = 2


def _plan(width: int) -> list[int | Literal["M"]]:
    w = width
    return [w, "M", 2 * w, "M", 4 * w, 4 * w, "M", 8 * w, 8 * w, "M", 16 * w, 16 * w]


def tiny_vgg(classes: int = 1000, width: int = 32) -> Vgg:
    """[N, 3, 112, 112] -> [N, classes]: eight 3 x 3 convolutions of ``width`` to 16 ``width`` channels with BatchNorm,
    four 2 x 2 max poolings, global average pooling, one linear layer.
    """
    return Vgg(features(3, _plan(width)), 1, nn.Sequential(nn.Linear(16 * width, classes)))


def tiny_yolo(classes: int = 20, width: int = 32) -> nn.Sequential:
    """[N, 3, 112, 112] -> [N, 10 + classes, 7, 7]: Tiny-VGG's features, then ``head``: a 1 x 1 and a 3 x 3 convolution
    of 10 ``width`` channels with BatchNorm and ReLU, and a linear 1 x 1 convolution. Two boxes per cell.
    """
    hidden = 10 * width
    last = nn.Conv2d(hidden, 5 * BOXES + classes, 1)
    head = nn.Sequential(
        nn.Conv2d(16 * width, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(),
        last,
    )  # fmt: skip
    model = nn.Sequential()
    model.add_module("features", features(3, _plan(width)))
    model.add_module("head", head)
    initialize(model)
    nn.init.normal_(last.weight, 0, 0.01)
    return model
