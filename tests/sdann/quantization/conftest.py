"""A network with every kind of edge, and images for it."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sdann.float_model import FloatModel
from sdann.torch_import import from_torch

torch.set_num_threads(1)


class Everything(nn.Module):
    """Residual blocks, a concatenation, depthwise, max and average pooling, ReLU6, voting."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.down1, self.down2 = nn.Conv2d(8, 12, 3, 2, 1), nn.Conv2d(8, 12, 1, 2)
        self.depth = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.fc, self.vote = nn.Linear(20, 12), nn.AvgPool1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        x = F.relu(self.conv2(F.relu6(self.conv1(x))) + x)
        y = F.relu(self.down1(x) + self.down2(x))
        y = F.relu(self.depth(y) + y)
        x = F.relu(F.max_pool2d(x, 3, 2, 1)[:, :])
        x = torch.cat([x, y], 1)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.vote(F.relu(self.fc(x)).unsqueeze(1)).squeeze(1)


@pytest.fixture(scope="session")
def everything() -> FloatModel:
    torch.manual_seed(5)
    return from_torch(Everything().double(), (2, 12, 12), name="everything")


@pytest.fixture(scope="session")
def batch():
    """Makes images: (seed, samples, signed) -> float64 [N, 2, 12, 12]."""

    def make(seed: int = 1, samples: int = 40, *, signed: bool = False) -> np.ndarray:
        return np.random.default_rng(seed).uniform(-1 if signed else 0, 1, (samples, 2, 12, 12))

    return make
