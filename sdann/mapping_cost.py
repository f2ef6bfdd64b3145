"""What a mapping costs in cycles: how even its cores' work is, and its windows beside their least."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hdl.config import ChipConfig

from .cycles import Bounds, CycleReport, LayerBounds, WindowShares, bounds_of, layer_bounds, predict, shares_of
from .graph import IntArray, QuantizedNetwork
from .mapper.build import Judge, NetworkMap
from .mapper.image import ProgramImage
from .mapper.relays import with_relays

__all__ = ["PassCost", "judge_cycles", "pass_cost"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PassCost:
    """One pass, in full windows.

    ``cores``: in use; ``working``: of these, cores that do synaptic operations at all, so neither what the host sends
    nor what only waits. ``busiest_over_mean``: SOPs of the busiest of the working cores over their mean. ``layers``:
    those that compute.
    """

    image: ProgramImage
    report: CycleReport
    samples: Mapping[str, IntArray]
    cores: int
    working: int
    busiest_over_mean: float
    bounds: Bounds
    shares: WindowShares
    layers: list[LayerBounds]


def _samples(
    network: QuantizedNetwork, image: ProgramImage, activations: Mapping[str, IntArray], windows: int
) -> dict[str, IntArray]:
    """What a program takes for so many full windows, by the names of its sources."""
    known = dict(activations)
    for layer in network.layers:  # a relay has the activations of what it repeats
        if layer.name not in known:
            known[layer.name] = known[layer.edges[0].source]
    count = image.manifest.registers.STAGES + windows
    return {source.name: np.take(known[source.name], np.arange(count), axis=0, mode="wrap") for source in image.sources}


def judge_cycles(
    network: QuantizedNetwork, config: ChipConfig, activations: Mapping[str, IntArray], windows: int = 1
) -> Judge:
    """For :func:`sdann.mapper.plan_network`: predicted cycles per sample of a program for ``network``.

    ``activations`` as of :func:`pass_cost`, but not of the same samples, or the cycles would be those that the mapping
    was chosen for.
    """
    relayed = with_relays(network, config.slots - 1)

    def cycles(image: ProgramImage) -> float:
        return predict(image, _samples(relayed, image, activations, windows))[0].per_sample

    return cycles


def pass_cost(mapped: NetworkMap, number: int, activations: Mapping[str, IntArray], windows: int) -> PassCost:
    """Predicts ``windows`` windows of a pass in which every layer holds a sample.

    ``activations``: int64 [N, C, H, W] of the input and every layer of the network, N of 1 and more; the samples are
    repeated as often as it takes to fill the pipeline. ``windows``: 1 and more.
    """
    image = mapped.image(number)
    samples = _samples(mapped.relayed, image, activations, windows)
    report, _ = predict(image, samples)
    sops = np.sum([phase.sops for phase in report.phases if phase.window in report.full], axis=0)
    working = sops[sops > 0]
    return PassCost(
        image=image, report=report, samples=samples, cores=len(report.cores), working=len(working),
        busiest_over_mean=float(working.max() / working.mean()) if len(working) else 1.0, bounds=bounds_of(report),
        shares=shares_of(report), layers=layer_bounds(report),
    )  # fmt: skip
