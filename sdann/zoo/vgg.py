"""VGG-16 (configuration D), with torchvision's parameter names."""

from typing import Literal

import torch
from torch import nn

from .blocks import features, initialize

__all__ = ["Vgg", "vgg16", "vgg16_bn", "vgg16_cifar"]


class Vgg(nn.Module):
    """Features, average pooling to ``pooled`` x ``pooled``, classifier."""

    def __init__(self, features: nn.Sequential, pooled: int, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(pooled)
        self.flatten = nn.Flatten()
        self.classifier = classifier
        initialize(self, linear=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores [N, classes]."""
        scores: torch.Tensor = self.classifier(self.flatten(self.avgpool(self.features(x))))
        return scores


def _plan(width: int) -> list[int | Literal["M"]]:
    w = width
    return [w, w, "M", 2 * w, 2 * w, "M", *[4 * w] * 3, "M", *[8 * w] * 3, "M", *[8 * w] * 3, "M"]


def _imagenet(classes: int, width: int, *, norm: bool) -> Vgg:
    classifier = nn.Sequential(
        nn.Linear(8 * width * 7 * 7, 64 * width), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(64 * width, 64 * width), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(64 * width, classes),
    )  # fmt: skip
    return Vgg(features(3, _plan(width), norm=norm), 7, classifier)


def vgg16(classes: int = 1000, width: int = 64) -> Vgg:
    """ImageNet form: [N, 3, 224, 224] -> [N, classes]; three linear layers, the hidden ones of 64 ``width``.

    Average pooling to 7 x 7 does nothing at this input size.
    """
    return _imagenet(classes, width, norm=False)


def vgg16_bn(classes: int = 1000, width: int = 64) -> Vgg:
    """:func:`vgg16` with BatchNorm after each convolution."""
    return _imagenet(classes, width, norm=True)


def vgg16_cifar(classes: int = 10, width: int = 64) -> Vgg:
    """CIFAR form: [N, 3, 32, 32] -> [N, classes]; BatchNorm, and one linear layer on the 1 x 1 map that is left."""
    return Vgg(features(3, _plan(width)), 1, nn.Sequential(nn.Linear(8 * width, classes)))
