"""A float module that has learnt nothing, images for it, and the integer network that the API makes of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import sdann

BUILD_DIR = Path(__file__).resolve().parents[3] / "build" / "sim"


@pytest.fixture(scope="session")
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )  # fmt: skip


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((12, 1, 6, 6))


@pytest.fixture(scope="session")
def network(model, images) -> sdann.Network:
    return sdann.quantize(model, images, chip="test", labels=np.arange(12) % 5)
