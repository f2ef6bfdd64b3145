"""Figure 11: which sample each layer works on, window by window, and what it emits there."""

from typing import Any

import numpy as np

from .. import stem
from ..fast.pipeline import stages
from ..quantization import quantize_input
from .experiment import Progress, Result, Setup

_RECORD: tuple[stem.Record, ...] = ("spikes",)

__all__ = ["fig11"]


def fig11(setup: Setup, progress: Progress) -> Result:
    """The full pipeline: one sample per window of T steps, after as many windows as there are stages."""
    subject = setup.first
    network, samples = subject.network, 4
    x = quantize_input(network, subject.part("test")[0][:samples])
    trains = stem.run(network, x, record=_RECORD).spikes
    order, steps = stages(network), network.time_steps
    depth = max(order.values())
    rows: list[dict[str, Any]] = []
    for window in range(samples + depth):
        row: dict[str, Any] = {"window": window}
        for name, stage in order.items():
            sample = window - stage
            row[name] = f"sample {sample}" if 0 <= sample < samples else "-"
        rows.append(row)
    spikes = {
        name: [
            [int(np.count_nonzero(train[t, n])) for t in range(steps)] for n in range(samples)
        ]
        for name, train in trains.items()
    }  # fmt: skip
    progress(1, 1)
    naive = samples * (depth + 1)
    return Result(
        columns=tuple(rows[0]), rows=rows,
        data={
            "stages": order, "steps": steps, "samples": samples, "spikes": spikes, "network": subject.name,
            "windows": samples + depth, "windows without overlap": naive,
        },
        notes=(
            f"{samples} samples take {samples + depth} windows of {steps} steps; one after the other {naive}",
            "a window shows the sample whose spikes the layer emits; it integrates the next one meanwhile",
        ),
    )  # fmt: skip
