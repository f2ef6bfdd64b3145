"""CIFAR10Net of Fang et al. 2021, as the paper uses it (section 4.2.1)."""

import torch
from torch import nn
from torch.nn import functional

from .blocks import conv3x3, initialize

__all__ = ["Cifar10Net"]

VOTES = 10
"""Neurons that vote for each class."""


class Cifar10Net(nn.Module):
    """{3 x 3 convolution to ``width`` channels, three times; 2 x 2 max pooling} twice, then FC 2048 and FC 100.

    For [N, 3, 32, 32] -> [N, classes], with ReLU where Fang et al. have LIF neurons, so also after the last FC layer,
    and with 1-D average pooling by 10 in place of the voting layer, as the paper says. BatchNorm after each
    convolution and dropout before each FC layer are Fang et al.'s. FC 2048 is 8 ``width``, FC 100 is 10 ``classes``.
    """

    def __init__(self, classes: int = 10, width: int = 256) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        inputs = 3
        for _ in range(2):
            for _ in range(3):
                blocks += [conv3x3(inputs, width), nn.BatchNorm2d(width), nn.ReLU()]
                inputs = width
            blocks.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*blocks)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(8 * 8 * width, 8 * width), nn.ReLU(),
            nn.Dropout(0.5), nn.Linear(8 * width, VOTES * classes), nn.ReLU(),
        )  # fmt: skip
        initialize(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores: each the mean of its ten voters."""
        x = self.classifier(self.flatten(self.features(x)))
        return functional.avg_pool1d(x.unsqueeze(1), VOTES, VOTES).squeeze(1)
