"""The outside judge: an integer network in onnxruntime against the golden model, every accumulator and activation."""

import numpy as np

from sim.compare import LayerComparison, compare

from .. import reference
from ..golden import GoldenResult
from ..graph import INPUT, IntArray, QuantizedNetwork
from .model import ExportedNetwork, export_network
from .session import run

__all__ = ["ACCUMULATORS", "STAGE", "compare_with_onnxruntime"]

STAGE = "onnxruntime"
ACCUMULATORS = "onnxruntime, accumulators"
"""Stages of the comparisons of activations, and of V(T-1)."""


def compare_with_onnxruntime(
    network: QuantizedNetwork,
    samples: IntArray,
    *,
    golden: GoldenResult | None = None,
    exported: ExportedNetwork | None = None,
    threads: int = 1,
) -> list[LayerComparison]:
    """For each layer in graph order, how its accumulators compare, then its activations.

    ``samples``: integers [N, C, H, W] of T bits. ``golden``: the golden model's result for them, if it is at hand.
    ``exported``: what to hold against it, the network's own export unless given. Each row names the first sample and
    neuron that differ, with what the golden expects and what onnxruntime found. Raises SdannError for an inconsistent
    network or input and for an onnxruntime that is not exact on this machine, UnsupportedError for a layer that cannot
    be exported, and MismatchError for maps of other shapes.
    """
    golden = golden or reference.run(network, np.asarray(samples))
    found = run(network, exported or export_network(network), samples, threads=threads)
    activations = {name: a for name, a in golden.activations.items() if name != INPUT}
    pairs = zip(
        compare(ACCUMULATORS, golden.accumulators, found.accumulators),
        compare(STAGE, activations, found.activations),
        strict=True,
    )
    return [row for pair in pairs for row in pair]
