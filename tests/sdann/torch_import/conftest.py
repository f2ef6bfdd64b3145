"""Modules written for these tests, and the comparison of a module with its import."""

import numpy as np
import pytest
import torch
from torch import nn

from sdann.float_model import FloatModel, forward
from sdann.torch_import import from_torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def seeded():
    """Gives a module random parameters and statistics, in double precision and evaluation mode."""

    def seed(model: nn.Module, number: int = 0, dtype: torch.dtype = torch.float64) -> nn.Module:
        generator = torch.Generator().manual_seed(number)
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                random = torch.rand(tensor.shape, generator=generator)
                tensor.copy_(random + 0.5 if "var" in name else random - 0.5)
        return model.to(dtype).eval()

    return seed


@pytest.fixture(scope="session")
def agree(seeded):
    """Imports a module and compares its outputs, seed by seed; returns the float model."""

    def check(build, shape, *, number: int = 0, name: str = "network", dtype=torch.float64) -> FloatModel:
        model = seeded(build(), number, dtype)
        imported = from_torch(model, shape, name=name)
        x = np.random.default_rng(number).normal(size=(3, *shape)).astype(str(dtype).rpartition(".")[2])
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).double().flatten(1)
        found = forward(imported, x.reshape(3, *imported.input_shape))[imported.layers[-1].name]
        found = torch.from_numpy(found.copy()).flatten(1)
        for step in imported.host:
            found = getattr(torch, step)(found, 1) if "softmax" in step else getattr(nn.functional, step)(found)
        assert found.shape == expected.shape and expected.count_nonzero() >= expected.numel() // 8
        error = float((found - expected).abs().max() / expected.abs().max())
        assert error < (1e-9 if dtype == torch.float64 else 1e-4), error
        return imported

    return check
