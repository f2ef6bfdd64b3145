"""Runs an exported network in onnxruntime, after a self-test of the operators it is made of."""

from dataclasses import dataclass

import numpy as np
import onnxruntime

from ..check import check_input
from ..errors import SdannError
from ..graph import IntArray, QuantizedNetwork
from .model import ExportedNetwork
from .self_test import require_exact

__all__ = ["OnnxResult", "open_session", "run"]


@dataclass(frozen=True, kw_only=True)
class OnnxResult:
    """By layer, in graph order: int64 [N, C, H, W]."""

    accumulators: dict[str, IntArray]
    activations: dict[str, IntArray]


def open_session(model: bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A session on the CPU; raises SdannError for a model that onnxruntime refuses."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors
    options.enable_cpu_mem_arena = False  # which keeps what the largest layer took
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base but this
        raise SdannError(f"onnxruntime {onnxruntime.__version__} refuses the model: {error}") from None


def run(network: QuantizedNetwork, exported: ExportedNetwork, x: IntArray, *, threads: int = 1) -> OnnxResult:
    """All accumulators and activations for ``x`` (integers [N, C, H, W], T bits), sample by sample to save memory.

    Raises SdannError for inputs of another shape or range, or if this machine's onnxruntime is not exact.
    """
    x = check_input(network, x)
    require_exact()
    session = open_session(exported.serialize(), threads)
    names = [name for layer in exported.layers for name in (layer.accumulator, layer.activation)]
    rows = [session.run(names, {exported.input: sample[None].astype(exported.input_type)}) for sample in x]
    values = {name: np.concatenate([row[i] for row in rows]).astype(np.int64) for i, name in enumerate(names)}
    return OnnxResult(
        accumulators={layer.layer: values[layer.accumulator] for layer in exported.layers},
        activations={layer.layer: values[layer.activation] for layer in exported.layers},
    )
