"""Residual networks of basic blocks, with torchvision's parameter names."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from .blocks import conv3x3, initialize

__all__ = ["BasicBlock", "ResNet", "resnet18", "resnet18_cifar", "resnet34", "resnet34_cifar"]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a skip: the input itself, or its 1 x 1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """ReLU of the sum of both ways."""
        skip = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        result: torch.Tensor = self.relu(out + skip)
        return result


class ResNet(nn.Module):
    """Stem, stages ``layer1``, ``layer2``, ... of ``blocks`` basic blocks each, average pooling and ``fc``.

    Each stage after the first halves the map and doubles the channels, from ``width``. ``stem``: "imagenet" is a
    7 x 7 convolution of stride 2 and 3 x 3 max pooling of stride 2, "small" a 3 x 3 convolution of stride 1.
    ``classes``: None leaves out average pooling and ``fc``, so that :meth:`forward` gives the last stage's map.
    """

    def __init__(
        self, blocks: Sequence[int], *, stem: Literal["imagenet", "small"], width: int, classes: int | None,
        inputs: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        large = stem == "imagenet"
        self.conv1 = nn.Conv2d(inputs, width, 7, 2, 3, bias=False) if large else conv3x3(inputs, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool: nn.Module = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages = len(blocks)
        channels = width
        for number, count in enumerate(blocks):
            outputs = width << number
            first = BasicBlock(channels, outputs, 1 if number == 0 else 2)
            rest = [BasicBlock(outputs, outputs, 1) for _ in range(count - 1)]
            self.add_module(f"layer{number + 1}", nn.Sequential(first, *rest))
            channels = outputs
        self.channels = channels
        self.classifies = classes is not None
        if classes is not None:
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.flatten = nn.Flatten()
            self.fc = nn.Linear(channels, classes)
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores [N, classes], or the last map [N, channels, H, W]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for number in range(self.stages):
            x = self.get_submodule(f"layer{number + 1}")(x)
        return self.fc(self.flatten(self.avgpool(x))) if self.classifies else x


def resnet18(classes: int = 1000, width: int = 64) -> ResNet:
    """ImageNet form: [N, 3, 224, 224] -> [N, classes]."""
    return ResNet((2, 2, 2, 2), stem="imagenet", width=width, classes=classes)


def resnet34(classes: int = 1000, width: int = 64) -> ResNet:
    """ImageNet form: [N, 3, 224, 224] -> [N, classes]."""
    return ResNet((3, 4, 6, 3), stem="imagenet", width=width, classes=classes)


def resnet18_cifar(classes: int = 10, width: int = 64) -> ResNet:
    """CIFAR form: [N, 3, 32, 32] -> [N, classes]; ResNet-18's stages after a 3 x 3 stem without pooling."""
    return ResNet((2, 2, 2, 2), stem="small", width=width, classes=classes)


def resnet34_cifar(classes: int = 10, width: int = 64) -> ResNet:
    """CIFAR form: [N, 3, 32, 32] -> [N, classes]; ResNet-34's stages after a 3 x 3 stem without pooling."""
    return ResNet((3, 4, 6, 3), stem="small", width=width, classes=classes)
