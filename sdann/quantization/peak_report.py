"""What the integer network does on calibration images: V_max of each layer, and the report."""

from dataclasses import dataclass, replace

import numpy as np

from ..check import isum_bound, membrane_bound, membrane_fits
from ..graph import IntArray, QuantizedNetwork
from ..membrane import peak_membrane
from ..reference import run
from .layers import QuantizedLayer
from .options import LayerReport, Overflow, QuantizeOptions, QuantizeReport

__all__ = ["Peaks", "make_report", "peaks", "peak_images"]

WORK = 1 << 35
"""Multiply-accumulates of the largest run that nobody has asked for: about half a minute."""


@dataclass(frozen=True, kw_only=True)
class Peaks:
    """By layer: V_max, and the share of activations that are not zero."""

    largest: dict[str, int]
    alive: dict[str, float]


def peak_images(network: QuantizedNetwork, options: QuantizeOptions) -> int:
    """How many images :func:`peaks` may take."""
    if options.peak_images is not None:
        return options.peak_images
    macs = 0
    for layer in network.layers:
        macs += sum(edge.weight.size for edge in layer.edges) * layer.shape[1] * layer.shape[2]
    return max(1, WORK // (macs * (network.time_steps + 1)))


def peaks(network: QuantizedNetwork, x: IntArray, batch: int) -> Peaks | None:
    """What ``network``, unscaled, does on ``x`` [N, C, H, W], ``batch`` samples at a time; None for no samples."""
    if len(x) == 0:
        return None
    wide = replace(network, membrane_bits=62)
    largest = {layer.name: 0 for layer in network.layers}
    alive = dict.fromkeys(largest, 0)
    size = dict.fromkeys(largest, 0)
    for start in range(0, len(x), batch):
        result = run(wide, x[start : start + batch])
        for layer in network.layers:
            activations = result.activations[layer.name]
            largest[layer.name] = max(largest[layer.name], peak_membrane(wide, layer, result))
            alive[layer.name] += int(np.count_nonzero(activations))
            size[layer.name] += activations.size
    return Peaks(largest=largest, alive={name: alive[name] / size[name] for name in largest})


def make_report(
    found: list[QuantizedLayer], network: QuantizedNetwork, peaks: Peaks | None, float_alive: dict[str, float]
) -> QuantizeReport:
    """The report on ``network``, which has the membrane wanted. ``float_alive``: where the integers were not run."""
    layers = []
    for made, layer in zip(found, network.layers, strict=True):
        before = made.layer
        peak = None if peaks is None else peaks.largest[layer.name]
        calibrated = layer.scaled is not None or (peak is not None and peak < 1 << network.membrane_bits - 1)
        overflow: Overflow = "expected"
        if membrane_fits(layer, network):
            overflow = "impossible"
        elif calibrated:
            overflow = "unlikely"
        elif peak is None:
            overflow = "unknown"
        layers.append(
            LayerReport(
                name=layer.name, scale=network.scales[layer.name], bias_mode=layer.bias_mode,
                bias_bits_sum=made.bias_bits[0], bias_bits_scaled=made.bias_bits[1],
                shifts=tuple(edge.shift for edge in layer.edges), skip_error=made.skip_error,
                isum_bound=isum_bound(before), membrane_peak=peak,
                membrane_bits=membrane_bound(before, network.time_steps).bit_length() + 1, overflow=overflow,
                alive=float_alive[layer.name] if peaks is None else peaks.alive[layer.name],
            )
        )  # fmt: skip
    return QuantizeReport(layers=tuple(layers))
