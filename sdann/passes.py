"""A network larger than the chip: its programs run one after the other, and the host keeps activations between them."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from .errors import SdannError
from .graph import INPUT, IntArray
from .mapper.image import ProgramImage
from .mapper.manifest import RegionEntry

__all__ = ["Run", "inside", "run_passes"]

Run = Callable[[ProgramImage, Mapping[str, IntArray]], Mapping[str, IntArray]]
"""Runs one program on its sources, [N, C, H, W] by name; returns the activations of the layers that it computes."""


def inside(extent: RegionEntry) -> tuple[slice, slice, slice, slice]:
    """The part [N, C, H, W] of a layer's activations that ``extent`` is."""
    return (
        slice(None), slice(extent.channel0, extent.channel0 + extent.channels),
        slice(extent.y0, extent.y0 + extent.height), slice(extent.x0, extent.x0 + extent.width),
    )  # fmt: skip


def run_passes(images: Iterable[ProgramImage], x: IntArray, run: Run) -> dict[str, IntArray]:
    """Activations int64 [N, C, H, W] of every layer, by name, from the programs of one network in their order.

    ``x``: the network's input. Raises :class:`SdannError` where programs are missing, of other networks or in another
    order, and where one needs activations that none before it has computed.
    """
    values: dict[str, IntArray] = {INPUT: x}
    missing: dict[str, int] = {INPUT: 0}
    count, network = 0, None
    for image in images:
        manifest = image.manifest
        network = network or (manifest.network_hash, manifest.passes)
        if (manifest.network_hash, manifest.passes) != network:
            raise SdannError(
                f"pass {count} is a program for another network, or of another mapping of it: give what one run of "
                "`sdann map` has written"
            )
        if manifest.pass_number != count:
            raise SdannError(
                f"pass {manifest.pass_number} comes where pass {count} is due: give all programs, in their order"
            )
        for source in image.sources:
            if missing.get(source.name, 1):
                raise SdannError(
                    f"pass {count} needs all of {source.name!r}, which no pass before it has computed: map the "
                    "network again"
                )
        found = run(image, {source.name: values[source.name] for source in image.sources})
        for layer in image.computed:
            whole = values.setdefault(layer.name, np.zeros((len(x), *layer.shape), dtype=np.int64))
            part = inside(layer.held)
            whole[part] = found[layer.name][part]
            missing[layer.name] = missing.get(layer.name, int(np.prod(layer.shape))) - layer.held.size
        count += 1
    if network is None or count < network[1]:
        raise SdannError(f"{count} of {network[1] if network else 1} passes are given: give all, in their order")
    return values
