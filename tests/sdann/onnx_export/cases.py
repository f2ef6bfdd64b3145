"""Small networks for tests of the export: one layer of any make, with constants that leave many values alive."""

from dataclasses import replace
from typing import Any

import numpy as np

from sdann import reference
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork, Shape

SHAPE: Shape = (4, 6, 5)


def weight(rng: np.random.Generator, *shape: int, bits: int = 8) -> np.ndarray:
    """Of the whole range, its extremes included."""
    values = rng.integers(-(1 << bits - 1), 1 << bits - 1, shape)
    values.flat[0], values.flat[-1] = -(1 << bits - 1), (1 << bits - 1) - 1
    return values


def single(edges: tuple[Edge, ...] | None = None, **fields: Any) -> QuantizedNetwork:
    """A network of the one layer "only"; ``fields``: of the network or of the layer.

    The layer's constants are such that its activations spread over the clamp's range; those given stand.
    """
    rng = np.random.default_rng(5)
    whole = {"input_signed": False, "time_steps": 8, "membrane_bits": 40, "weight_bits": 8}
    whole = {name: fields.pop(name, value) for name, value in whole.items()}
    bits = whole["time_steps"]
    shape = (3, SHAPE[1], SHAPE[2])
    edges = edges or (Edge(source=INPUT, kind="conv", weight=weight(rng, 3, 4, 3, 3), padding=1),)
    shape = fields.pop("shape", shape)
    none = np.zeros(shape[0], dtype=np.int64)
    plain = {"mult": none, "shift": none + 1, "bias": none, "bias_mode": "scaled", "lo": 0, "hi": (1 << bits) - 1}
    layer = Layer(name="only", shape=shape, edges=edges, **plain | fields)
    network = QuantizedNetwork(name="single", input_shape=SHAPE, layers=(layer,), **whole)  # type: ignore[arg-type]
    if "mult" not in fields:
        v = reference.run(network, samples(network)).accumulators["only"]
        spread = np.quantile(abs(v), 0.8)  # one in five values is clamped, or as many as ReLU leaves of them
        shift = 14 + round(np.log2(max(1, spread))) - int(np.log2(layer.hi + 1))
        layer = replace(layer, mult=np.arange(shape[0]) * 1001 + 15001, shift=none + shift)
        layer = replace(layer, bias=fields.get("bias", none - 3))
    return replace(network, layers=(layer,))


def samples(network: QuantizedNetwork) -> np.ndarray:
    """Inputs [8, C, H, W] of ``network``: random ones, and both extremes."""
    low = -(1 << network.time_steps - 1) if network.input_signed else 0
    x = np.random.default_rng(6).integers(low, low + (1 << network.time_steps), (8, *SHAPE))
    x[1], x[2] = low, low + (1 << network.time_steps) - 1
    return x
