"""What the networks are made of."""

from collections.abc import Iterable
from typing import Literal

from torch import nn

__all__ = ["conv3x3", "features", "initialize"]


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution without bias, for BatchNorm after it; keeps the map's sides at stride 1."""
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


def features(inputs: int, plan: Iterable[int | Literal["M"]], *, norm: bool = True) -> nn.Sequential:
    """VGG's features: for a number, a 3 x 3 convolution to so many channels, BatchNorm if ``norm``, ReLU; for "M",
    2 x 2 max pooling. Numbered as torchvision does.
    """
    layers: list[nn.Module] = []
    for entry in plan:
        if entry == "M":
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(inputs, entry, 3, padding=1))
        if norm:
            layers.append(nn.BatchNorm2d(entry))
        layers.append(nn.ReLU())
        inputs = entry
    return nn.Sequential(*layers)


def initialize(model: nn.Module, *, linear: bool = False) -> None:
    """He's initialization (fan-out) of all convolutions; with ``linear``, N(0, 0.01) of the linear layers."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif linear and isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.01)
            nn.init.zeros_(module.bias)
