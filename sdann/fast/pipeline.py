"""The schedule of the layers' pipeline (Figure 11): which sample each layer holds in each window, and its spikes.

In window n the input emits sample n, a layer of stage s integrates sample n - s + 1 and emits sample n - s. A layer's
stage is the longest path to it; an edge that skips stages reads what its source emitted in earlier windows.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..graph import INPUT, IntArray, QuantizedNetwork
from .spiking import SpikingResult

__all__ = ["PipelineSchedule", "pipeline_schedule", "stages"]


@dataclass(frozen=True, kw_only=True)
class PipelineSchedule:
    """``windows``: K samples + the deepest stage.

    ``stages``: of the input (0) and every layer. ``integrates``, ``emits``: sample that each holds in each window,
    int64 [windows], -1 for none; the input only emits, and a last layer's emission is its read-out. ``spikes``: that
    each source emits in each time step, int64 [windows * T].
    """

    windows: int
    time_steps: int
    stages: dict[str, int]
    integrates: dict[str, IntArray]
    emits: dict[str, IntArray]
    spikes: dict[str, IntArray]


def stages(network: QuantizedNetwork) -> dict[str, int]:
    """Pipeline stage of the input (0) and of every layer: one more than the latest of its sources."""
    found = {INPUT: 0}
    for layer in network.layers:
        found[layer.name] = 1 + max(found[edge.source] for edge in layer.edges)
    return found


def _held(windows: int, first: int, samples: int) -> IntArray:
    """Samples 0 .. K - 1 from window ``first`` on, -1 before and after."""
    held = np.arange(windows) - first
    return np.where((held >= 0) & (held < samples), held, -1)


def pipeline_schedule(network: QuantizedNetwork, result: SpikingResult) -> PipelineSchedule:
    """The schedule of ``result``'s samples, one entering per window. Needs ``record=["spikes"]``."""
    depths = stages(network)
    samples = len(result.activations[INPUT])
    windows = samples + max(depths.values())
    emits = {name: _held(windows, stage, samples) for name, stage in depths.items()}
    spikes: dict[str, IntArray] = {}
    for name, train in result.spikes.items():
        per_sample = train.sum(dim=(2, 3, 4), dtype=torch.int64).cpu().numpy().T  # [N, T]
        shown = np.zeros((windows, network.time_steps), dtype=np.int64)
        shown[depths[name] : depths[name] + samples] = per_sample
        spikes[name] = shown.reshape(-1)
    return PipelineSchedule(
        windows=windows, time_steps=network.time_steps, stages=depths, emits=emits, spikes=spikes,
        integrates={name: _held(windows, stage - 1, samples) for name, stage in depths.items() if name != INPUT},
    )  # fmt: skip
