"""What a network of the zoo costs: counted on the network itself, built without memory."""

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn

from .spec import NetworkSpec

__all__ = ["Cost", "cost"]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """``layers``: convolutions and linear layers. ``weights``: theirs. ``parameters``: weights and one bias for each
    output channel, which is what is left when BatchNorm is folded. ``trainable``: parameters before folding.
    ``macs``: multiply-accumulates per sample, padding included.
    """

    layers: int
    weights: int
    parameters: int
    trainable: int
    macs: int


def cost(spec: NetworkSpec) -> Cost:
    """Counts the network that ``spec`` builds, for one input of its shape."""
    with torch.device("meta"):
        model = spec.build().eval()
        counted = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        macs: list[int] = []

        def count(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            assert isinstance(module.weight, torch.Tensor)
            macs.append(output.numel() * prod(module.weight.shape[1:]))

        for module in counted:
            module.register_forward_hook(count)
        with torch.no_grad():
            model(torch.empty(1, *spec.input_shape))
    weights = sum(module.weight.numel() for module in counted)
    return Cost(
        layers=len(counted), weights=weights, parameters=weights + sum(len(module.weight) for module in counted),
        trainable=sum(p.numel() for p in model.parameters()), macs=sum(macs),
    )  # fmt: skip
