"""Tables 2 and 3: what quantization, conversion and scaled integration cost."""

from dataclasses import replace
from typing import Any

import numpy as np

from .. import reference, stem
from ..membrane import with_membrane
from ..quantize import quantize_input
from .experiment import Progress, Result, Setup
from .subject import Subject

__all__ = ["MEMBRANE_BITS", "table2", "table3"]

MEMBRANE_BITS = 16
"""Darwin3's, and so the paper's."""


def _difference(subject: Subject, samples: int) -> tuple[int, int]:
    """(activations compared, those in which golden and spiking model differ)."""
    x = quantize_input(subject.network, subject.part("test")[0][:samples])
    golden, spiking = reference.run(subject.network, x), stem.run(subject.network, x, record=())
    compared = sum(a.size for a in golden.activations.values())
    wrong = sum(int((a != spiking.activations[name]).sum()) for name, a in golden.activations.items())
    return compared, wrong


def table2(setup: Setup, progress: Progress) -> Result:
    """Quantized network against spiking network, on every activation."""
    rows: list[dict[str, Any]] = []
    for done, subject in enumerate(setup.subjects):
        quantized = subject.measure_network(subject.network)
        compared, wrong = _difference(subject, 2 if setup.quick else 50)
        rows.append({
            "dataset": subject.dataset.name, "network": subject.name, "measure": subject.measure,
            "precision W/A": f"{subject.network.weight_bits}/{subject.network.time_steps}",
            "float": subject.float_score, "quantized": quantized.score,
            # The spiking network's outputs are the quantized network's wherever no activation differs.
            "SDANN": quantized.score if wrong == 0 else None, "compared": compared, "different": wrong,
            "time steps": subject.network.time_steps,
        })  # fmt: skip
        progress(done + 1, len(setup.subjects))
    return Result(
        columns=tuple(rows[0]), rows=rows,
        notes=("compared: activations of all layers, golden against spiking model, on the first test samples",),
    )  # fmt: skip


def table3(setup: Setup, progress: Progress) -> Result:
    """Wide membranes, 16 bits with scaled integration, 16 bits without."""
    rows: list[dict[str, Any]] = []
    for done, subject in enumerate(setup.subjects):
        options = replace(subject.options, membrane_bits=MEMBRANE_BITS, scaled=True)
        scaled, _ = subject.quantize(options)
        narrow = with_membrane(subject.network, MEMBRANE_BITS, scaled=False)
        wide = subject.measure_network(subject.network)
        with_scaling, without = subject.measure_network(scaled), subject.measure_network(narrow)
        rows.append({
            "dataset": subject.dataset.name, "network": subject.name, "measure": subject.measure,
            "float": subject.float_score, "quantized": wide.score,
            f"{MEMBRANE_BITS} bits, scaled": with_scaling.score,
            "difference": with_scaling.score - wide.score,
            f"{MEMBRANE_BITS} bits, not scaled": without.score,
            "saturations scaled": with_scaling.saturations, "saturations not scaled": without.saturations,
        })  # fmt: skip
        progress(done + 1, len(setup.subjects))
    return Result(
        columns=tuple(rows[0]), rows=rows, data={"chance": 1 / max(np.size(s.dataset.classes) for s in setup.subjects)}
    )
