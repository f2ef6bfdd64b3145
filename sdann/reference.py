"""The golden result of any network: picks the golden model that defines its layers."""

from . import golden, golden_planes
from .check import membrane_fits
from .golden import GoldenResult
from .graph import IntArray, QuantizedNetwork

__all__ = ["is_exact", "run"]


def is_exact(network: QuantizedNetwork) -> bool:
    """True if every layer integrates unscaled into a membrane that no input can saturate."""
    return all(layer.scaled is None and membrane_fits(layer, network) for layer in network.layers)


def run(network: QuantizedNetwork, x: IntArray) -> GoldenResult:
    """:func:`sdann.golden.run` for exact networks, :func:`sdann.golden_planes.run` for all others."""
    return golden.run(network, x) if is_exact(network) else golden_planes.run(network, x)
