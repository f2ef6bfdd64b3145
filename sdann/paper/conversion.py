"""Tables 2 and 3: what quantization, conversion and scaled integration cost."""

from dataclasses import replace
from typing import Any

import numpy as np

from .. import reference, stem
from ..membrane import with_membrane
from ..quantization import quantize_input
from .experiment import Progress, Result, Setup
from .subject import Measured, Subject

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
    steps, done = 4 * len(setup.subjects), 0
    for subject in setup.subjects:
        options = replace(subject.options, membrane_bits=MEMBRANE_BITS, scaled=True)
        before = subject.float_score
        progress(done := done + 1, steps)
        measured: list[Measured] = []
        for network in (
            subject.network, subject.quantize(options)[0], with_membrane(subject.network, MEMBRANE_BITS, scaled=False),
        ):  # fmt: skip
            measured.append(subject.measure_network(network))
            progress(done := done + 1, steps)
        wide, scaled, narrow = measured
        rows.append({
            "dataset": subject.dataset.name, "network": subject.name, "measure": subject.measure,
            "float": before, "quantized": wide.score, f"{MEMBRANE_BITS} bits, scaled": scaled.score,
            "difference": scaled.score - wide.score, f"{MEMBRANE_BITS} bits, not scaled": narrow.score,
            "saturations scaled": scaled.saturations, "saturations not scaled": narrow.saturations,
            "samples": len(subject.part("test")[0]),
        })  # fmt: skip
    return Result(
        columns=tuple(rows[0]), rows=rows,
        data={"chance": 1 / max(np.size(s.dataset.classes) for s in setup.subjects)},
        notes=("saturations: updates of V that were cut off, in all samples of the test part",),
    )  # fmt: skip
