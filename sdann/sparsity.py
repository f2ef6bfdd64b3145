"""Spike sparsity as a choice per layer: rounding of trains (RoT, eq. 22) and dropping of low-order spikes (DRLO).

What they do to an activation is defined in :mod:`sdann.golden`, and once more on spike trains in :mod:`sdann.stem`;
here
they are only chosen.
"""

from collections.abc import Mapping
from dataclasses import replace

from .errors import SdannError
from .graph import QuantizedNetwork

__all__ = ["with_sparsity"]


def with_sparsity(
    network: QuantizedNetwork, *, rot: Mapping[str, int] | None = None, drlo: Mapping[str, int] | None = None
) -> QuantizedNetwork:
    """``network`` with RoT factor k (0: off, at most T - 1) and DRLO count n (0: off, at most T) for the named layers.

    RoT acts first. Raises SdannError for an unknown layer, a signed one (its values are no spike trains), or a value
    out of range.
    """
    rot, drlo = rot or {}, drlo or {}
    steps = network.time_steps
    for what, chosen, most in (("RoT", rot, steps - 1), ("DRLO", drlo, steps)):
        for name, value in chosen.items():
            if name not in {layer.name for layer in network.layers}:
                known = ", ".join(layer.name for layer in network.layers if not layer.signed)
                raise SdannError(f"{what} for {name!r}, which is not a layer of the network; it has: {known}")
            if network.layer(name).signed:
                raise SdannError(
                    f"{what} for {name!r}: its activations are signed and not sent as spikes; leave it out"
                )
            if not 0 <= value <= most:
                raise SdannError(f"{what} for {name!r} must be 0..{most}, not {value}")
    layers = (
        replace(layer, rot=rot.get(layer.name, layer.rot), drlo=drlo.get(layer.name, layer.drlo))
        for layer in network.layers
    )
    return replace(network, layers=tuple(layers))
