"""Figures 4, 7, 8 and 9: distributions of biases, currents, bits and spikes."""

from dataclasses import replace
from typing import Any

import numpy as np

from .. import reference, stem
from ..graph import INPUT
from ..quantization import quantize_input
from .conversion import MEMBRANE_BITS
from .experiment import Progress, Result, Setup

_RECORD: tuple[stem.Record, ...] = ("membranes",)

__all__ = ["fig4", "fig7", "fig8", "fig9"]


def fig4(setup: Setup, progress: Progress) -> Result:
    """Quantized biases with eq. 9 and with eq. 10, and the bits that they need."""
    subject = setup.first
    values: dict[str, list[int]] = {}
    rows: list[dict[str, Any]] = []
    networks = {
        mode: subject.quantize(replace(subject.options, bias=mode, bias_bits=32)) for mode in ("sum", "scaled")
    }  # fmt: skip
    for mode, (network, report) in networks.items():
        equation = "eq. 9" if mode == "sum" else "eq. 10"
        values[equation] = [int(b) for layer in network.layers for b in layer.bias]
        for number, entry in enumerate(report.layers):
            if len(rows) <= number:
                rows.append({"layer": entry.name})
            bias = network.layers[number].bias
            rows[number] |= {
                f"{equation}, bits": entry.bias_bits_sum if mode == "sum" else entry.bias_bits_scaled,
                f"{equation}, largest": int(np.abs(bias).max()),
            }  # fmt: skip
        progress(len(values), 2)
    return Result(columns=tuple(rows[0]), rows=rows, data={"values": values, "network": subject.name})


def fig7(setup: Setup, progress: Progress) -> Result:
    """|V(t)| of the layer with the largest sums, without and with scaled integration, against 16 bits."""
    subject = setup.first
    x = quantize_input(subject.network, subject.part("test")[0][: 10 if setup.quick else 100])
    scaled, _ = subject.quantize(replace(subject.options, membrane_bits=MEMBRANE_BITS, scaled=True))
    wide = stem.run(subject.network, x, record=_RECORD).membranes
    progress(1, 2)
    narrow = stem.run(scaled, x, record=_RECORD).membranes
    progress(2, 2)
    limit = 1 << MEMBRANE_BITS - 1
    rows = [
        {
            "layer": name, "largest |V|, not scaled": int(np.abs(wide[name]).max()),
            "beyond 16 bits": float((np.abs(wide[name]) >= limit).mean()),
            "largest |V|, scaled": int(np.abs(narrow[name]).max()),
            "beyond 16 bits, scaled": float((np.abs(narrow[name]) >= limit).mean()),
        }
        for name in wide
    ]  # fmt: skip
    widest = max(wide, key=lambda name: int(np.abs(wide[name]).max()))
    bins = np.linspace(-float(np.abs(wide[widest]).max()), float(np.abs(wide[widest]).max()), 81)
    data = {
        "layer": widest, "bins": bins.tolist(), "limit": limit, "network": subject.name,
        "not scaled": np.histogram(wide[widest], bins)[0].tolist(),
        "scaled": np.histogram(narrow[widest], bins)[0].tolist(),
    }  # fmt: skip
    return Result(columns=tuple(rows[0]), rows=rows, data=data)


def fig8(setup: Setup, progress: Progress) -> Result:
    """How often each bit of an activation is set, and its share of the activations' sum."""
    subject = setup.first
    x = quantize_input(subject.network, subject.part("test")[0][: 10 if setup.quick else 100])
    activations = reference.run(subject.network, x).activations
    layer = subject.network.layers[0]
    steps = subject.network.time_steps
    hidden = [activations[one.name] for one in subject.network.layers if not one.signed]
    progress(1, 1)

    def used(values: Any, bit: int) -> float:
        return float((values >> bit & 1).mean())

    rows = []
    total = sum(int(a.sum()) for a in hidden)
    for step in range(steps):
        bit = steps - 1 - step
        ones = sum(int((a >> bit & 1).sum()) for a in hidden)
        rows.append({
            "bit": bit, "time step": step, f"set in {layer.name}": used(activations[layer.name], bit),
            "set in all layers": ones / sum(a.size for a in hidden), "share of the sum": (ones << bit) / total,
        })  # fmt: skip
    return Result(columns=tuple(rows[0]), rows=rows, data={"network": subject.name, "layer": layer.name})


def fig9(setup: Setup, progress: Progress) -> Result:
    """Spikes and SOPs of each layer, per sample."""
    rows: list[dict[str, Any]] = []
    for done, subject in enumerate(setup.subjects):
        found = subject.measure_network(subject.network)
        sizes = {INPUT: subject.network.input_shape} | {one.name: one.output_shape for one in subject.network.layers}
        for name, spikes in found.spikes.items():
            neurons = int(np.prod(sizes[name]))
            rows.append({
                "network": subject.name, "layer": name, "neurons": neurons, "spikes": spikes,
                "spikes / neuron": spikes / neurons, "SOPs into it": found.sops.get(name, 0.0),
            })  # fmt: skip
        progress(done + 1, len(setup.subjects))
    return Result(columns=tuple(rows[0]), rows=rows)
