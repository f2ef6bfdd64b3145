"""Networks with drawn weights whose layers are alive: what exactness is checked on where nothing is trained."""

from typing import Any

import torch
from torch import nn

from .spec import NetworkSpec

__all__ = ["seeded"]


def _centre(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    """Moves the bias so that each channel's mean output is 0; returns the output that the new bias makes."""
    mean = output.mean(dim=[axis for axis in range(output.dim()) if axis != 1], keepdim=True)
    assert isinstance(module.bias, torch.Tensor)
    module.bias -= mean.flatten()
    return output - mean


@torch.no_grad()
def seeded(spec: NetworkSpec, images: torch.Tensor, seed: int = 0) -> nn.Module:
    """The network ``spec`` in evaluation mode, its weights drawn from ``seed`` and fitted to ``images`` [N, C, H, W].

    BatchNorm takes the statistics of these images, and every other bias makes its channels' means 0, so about half of
    all neurons fire; it computes nothing of use. N is at least 2. The same arguments give the same weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = spec.build().eval()
    handles, norms = [], {}
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            norms[module] = module.momentum
            module.train().momentum = 1.0  # the statistics of the next batch, and of no other
        elif isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            handles.append(module.register_forward_hook(_centre))
    model(images)
    for handle in handles:
        handle.remove()
    for norm, momentum in norms.items():
        norm.momentum = momentum
    return model.eval()
