"""YOLOv1 on ResNet-34."""

import torch
from torch import nn

from .blocks import conv3x3, initialize
from .resnet import ResNet

__all__ = ["YoloResNet", "yolov1_resnet34"]

BOXES = 2


class YoloResNet(ResNet):
    """[N, 3, 448, 448] -> [N, 10 + classes, 7, 7]: ResNet-34's stem and stages (14 x 14 left), then ``head``.

    The head is chosen here, convolutions only in place of YOLOv1's two large linear layers: two 3 x 3 convolutions of
    8 ``width`` channels with BatchNorm and ReLU, the first of stride 2, and a linear 1 x 1 convolution. The backbone's
    parameters have ResNet-34's names, so that torchvision's weights fit.
    """

    def __init__(self, classes: int = 20, width: int = 64) -> None:
        super().__init__((3, 4, 6, 3), stem="imagenet", width=width, classes=None)
        hidden = self.channels
        last = nn.Conv2d(hidden, 5 * BOXES + classes, 1)
        self.head = nn.Sequential(
            conv3x3(hidden, hidden, 2), nn.BatchNorm2d(hidden), nn.ReLU(),
            conv3x3(hidden, hidden), nn.BatchNorm2d(hidden), nn.ReLU(),
            last,
        )  # fmt: skip
        initialize(self.head)
        nn.init.normal_(last.weight, 0, 0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The grid of :class:`sdann.detection.grid.Grid`, without activation."""
        grid: torch.Tensor = self.head(super().forward(x))
        return grid


def yolov1_resnet34(classes: int = 20, width: int = 64) -> YoloResNet:
    """See :class:`YoloResNet`."""
    return YoloResNet(classes, width)
