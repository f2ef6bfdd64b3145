"""Spike sparsity as a choice per layer: rounding of trains (RoT, eq. 22) or truncation, dropping of low-order spikes
(DRLO).

What they do to an activation is defined in :mod:`sdann.golden`, and once more on spike trains in :mod:`sdann.trains`;
here they are only chosen.
"""

from collections.abc import Mapping
from dataclasses import replace

from .errors import SdannError
from .graph import QuantizedNetwork

__all__ = ["with_sparsity"]


def with_sparsity(
    network: QuantizedNetwork,
    *,
    rot: Mapping[str, int] | None = None,
    drlo: Mapping[str, int] | None = None,
    truncate: Mapping[str, int] | None = None,
) -> QuantizedNetwork:
    """``network`` with RoT factor k, DRLO count n and truncated bits (0: off) for the named layers.

    k and the truncated bits are at most T - 1, n at most T. RoT or truncation acts first; a layer that is given one of
    them loses the other. Raises SdannError for an unknown layer, a signed one (its values are no spike trains), a value
    out of range, or RoT and truncation of one layer.
    """
    rot, drlo, truncate = rot or {}, drlo or {}, truncate or {}
    steps = network.time_steps
    names = [layer.name for layer in network.layers]
    for what, chosen, most in (("RoT", rot, steps - 1), ("DRLO", drlo, steps), ("truncation", truncate, steps - 1)):
        for name, value in chosen.items():
            if name not in names:
                known = ", ".join(layer.name for layer in network.layers if not layer.signed)
                raise SdannError(f"{what} for {name!r}, which is not a layer of the network; it has: {known}")
            if network.layer(name).signed:
                raise SdannError(
                    f"{what} for {name!r}: its activations are signed and not sent as spikes; leave it out"
                )
            if not 0 <= value <= most:
                raise SdannError(f"{what} for {name!r} must be 0..{most}, not {value}")
    if both := [name for name in names if rot.get(name) and truncate.get(name)]:
        raise SdannError(f"RoT and truncation for {both[0]!r}: a layer takes one of them; leave one out")
    layers = (
        replace(
            layer,
            rot=rot.get(layer.name, 0 if truncate.get(layer.name) else layer.rot),
            drlo=drlo.get(layer.name, layer.drlo),
            truncate=truncate.get(layer.name, 0 if rot.get(layer.name) else layer.truncate),
        )
        for layer in network.layers
    )
    return replace(network, layers=tuple(layers))
