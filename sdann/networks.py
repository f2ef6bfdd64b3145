"""Float networks that the toolchain can build and train by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from .errors import SdannError
from .graph import Shape

__all__ = ["NETWORKS", "NetworkSpec", "digit_cnn", "network_spec"]


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A named network: ``build`` makes it untrained, for inputs of ``input_shape`` (channels, height, width)."""

    name: str
    input_shape: Shape
    build: Callable[[], nn.Sequential]


def digit_cnn() -> nn.Sequential:
    """Three 3 x 3 convolutions and one linear layer for 8 x 8 grey digits: [N, 1, 8, 8] -> [N, 10]."""
    model = nn.Sequential()
    for name, module in (
        ("conv1", nn.Conv2d(1, 16, 3, padding=1)), ("norm1", nn.BatchNorm2d(16)), ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(16, 32, 3, padding=1)), ("norm2", nn.BatchNorm2d(32)), ("relu2", nn.ReLU()),
        ("pool", nn.AvgPool2d(2)),
        ("conv3", nn.Conv2d(32, 32, 3, padding=1)), ("norm3", nn.BatchNorm2d(32)), ("relu3", nn.ReLU()),
        ("flatten", nn.Flatten()), ("linear", nn.Linear(512, 10)),
    ):  # fmt: skip
        model.add_module(name, module)
    return model


NETWORKS: dict[str, NetworkSpec] = {
    spec.name: spec for spec in (NetworkSpec(name="digit-cnn", input_shape=(1, 8, 8), build=digit_cnn),)
}
"""Known networks by name."""


def network_spec(name: str) -> NetworkSpec:
    """The network called ``name``; raises SdannError that lists the known ones."""
    try:
        return NETWORKS[name]
    except KeyError:
        raise SdannError(f"unknown network {name!r}; known networks: {', '.join(NETWORKS)}") from None
