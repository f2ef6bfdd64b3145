"""One network per feature of the graph: onnxruntime and the ONNX project's own evaluator give the golden's integers."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from sdann import reference
from sdann.graph import INPUT, Edge, FanIn, Pool, QuantizedNetwork, Scaled
from sdann.onnx_export import ExportedNetwork, compare_with_onnxruntime, export_network

from .cases import samples, single, weight

RNG = np.random.default_rng(3)


def edge(kind: Any, *shape: int, bits: int = 8, **fields: Any) -> Edge:
    return Edge(source=INPUT, kind=kind, weight=weight(RNG, *shape, bits=bits), **fields)


CONV = edge("conv", 3, 4, 3, 3, padding=1)
SECOND = edge("depthwise", 4, 1, 1, 1, shift=3)
FOUR = edge("conv", 4, 4, 1, 1)
PARTS = ((FanIn(edge=0, channel0=0, channels=1),), (FanIn(edge=0, channel0=1, channels=3),))
AVERAGE = Edge(source=INPUT, kind="depthwise", weight=np.ones((4, 1, 2, 2), dtype=np.int64), stride=2)

FEATURES: dict[str, dict[str, Any]] = {
    "plain": {},
    "stride 2, oblong kernel": {"edges": (edge("conv", 3, 4, 2, 3, stride=2),), "shape": (3, 3, 2)},
    "stride 4, kernel 5": {"edges": (edge("conv", 3, 4, 5, 5, stride=4, padding=2),), "shape": (3, 2, 2)},
    "padding beyond the kernel's half": {"edges": (edge("conv", 3, 4, 3, 3, padding=2),), "shape": (3, 8, 7)},
    "depthwise": {"edges": (edge("depthwise", 4, 1, 3, 3, padding=1),), "shape": (4, 6, 5)},
    "average pooling": {"edges": (AVERAGE,), "shape": (4, 3, 2)},
    "linear": {"edges": (edge("linear", 7, 4, 6, 5),), "shape": (7, 1, 1)},
    "two edges": {"edges": (FOUR, SECOND), "shape": (4, 6, 5)},
    "signed input": {"input_signed": True},
    "signed input, linear": {"input_signed": True, "edges": (edge("linear", 7, 4, 6, 5),), "shape": (7, 1, 1)},
    "bias in the sum": {"bias_mode": "sum", "bias": np.array([-70000, 0, 9000])},
    "scaled bias": {"bias": np.array([-31, 0, 77])},
    "narrow clamp": {"lo": 3, "hi": 90},
    "signed output": {"signed": True, "lo": -128, "hi": 127},
    "wide output": {"signed": True, "lo": -(1 << 15), "hi": (1 << 15) - 1},
    "raw": {"signed": True, "lo": -128, "hi": 127, "raw": True},
    "RoT": {"rot": 2, "hi": 250},
    "truncation": {"truncate": 3},
    "DRLO": {"drlo": 2},
    "RoT and DRLO": {"rot": 1, "drlo": 3},
    "pool 2": {"pool": Pool(kernel=2, stride=2)},
    "pool 3, padded, stride 1": {"pool": Pool(kernel=3, stride=1, padding=2)},
    "pool 4, stride 4, padded": {"pool": Pool(kernel=4, stride=4, padding=3)},
    "DRLO, then pool": {"drlo": 1, "pool": Pool(kernel=3, stride=2, padding=1)},
    "shift 1": {
        "mult": np.array([0, 1, 3]), "shift": np.ones(3, dtype=np.int64), "signed": True, "lo": -30000, "hi": 30000,
    },
    "parts that add up": {"parts": PARTS},
    "4 steps": {"time_steps": 4, "drlo": 2},
    "12 steps": {"time_steps": 12, "pool": Pool(kernel=2, stride=1, padding=1)},
    "16 steps, signed": {"time_steps": 16, "input_signed": True},
    "12-bit weights": {"weight_bits": 12, "edges": (edge("conv", 3, 4, 3, 3, padding=1, bits=12),)},
    "16 steps, 16-bit weights": {
        "time_steps": 16, "weight_bits": 16, "input_signed": True, "membrane_bits": 48,
        "edges": (edge("linear", 3, 4, 6, 5, bits=16),), "shape": (3, 1, 1),
    },
    "narrow membrane": {"membrane_bits": 15},
    "narrow membrane, signed input": {"membrane_bits": 15, "input_signed": True},
    "narrow membrane, parts": {"membrane_bits": 14, "parts": PARTS},
    "narrow membrane, parts, depthwise": {
        "membrane_bits": 12, "parts": PARTS, "edges": (edge("depthwise", 4, 1, 3, 3, padding=1),), "shape": (4, 6, 5),
    },
    "scaled integration": {"membrane_bits": 16, "scaled": Scaled(mult1=40001, shift1=18)},
    "scaled integration, parts": {"membrane_bits": 13, "parts": PARTS, "scaled": Scaled(mult1=40001, shift1=18)},
    "scaled, signed, two edges": {
        "membrane_bits": 16, "scaled": Scaled(mult1=40001, shift1=19), "edges": (FOUR, SECOND), "shape": (4, 6, 5),
        "input_signed": True,
    },
    "bypassed scaling": {"membrane_bits": 20, "scaled": Scaled(mult1=1, shift1=0)},
    "scaled, wide planes": {
        "time_steps": 12, "weight_bits": 12, "membrane_bits": 20, "scaled": Scaled(mult1=50001, shift1=20),
        "edges": (edge("conv", 3, 4, 3, 3, padding=1, bits=12),), "input_signed": True,
    },
}  # fmt: skip
BY_PLANES = [name for name in FEATURES if name.startswith(("narrow membrane", "scaled in", "scaled, ", "bypassed"))]


def evaluated(network: QuantizedNetwork, exported: ExportedNetwork, x: np.ndarray) -> list[str]:
    """Names of the outputs in which ONNX's reference evaluator differs from the golden."""
    golden = reference.run(network, x)
    expected = {layer.accumulator: golden.accumulators[layer.layer] for layer in exported.layers}
    expected |= {layer.activation: golden.activations[layer.layer] for layer in exported.layers}
    found = ReferenceEvaluator(exported.model).run(list(expected), {exported.input: x.astype(exported.input_type)})
    return [name for name, values in zip(expected, found, strict=True) if (values != expected[name]).any()]


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # the evaluator pads pools with NaN
@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_is_exact(feature: str) -> None:
    network = single(**FEATURES[feature])
    x = samples(network)
    exported = export_network(network)
    onnx.checker.check_model(exported.model, full_check=True)
    rows = compare_with_onnxruntime(network, x, exported=exported)
    assert [(row.layer, row.mismatches) for row in rows] == [("only", 0), ("only", 0)]
    assert evaluated(network, exported, x) == []
    golden = reference.run(network, x)
    alive = len(np.unique(golden.activations["only"]))
    assert rows[1].compared == golden.activations["only"].size and alive > 4, "a layer that is dead shows nothing"
    assert (exported.layers[0].form == "bit-planes") == (feature in BY_PLANES)


def test_narrow_membranes_of_this_test_saturate() -> None:
    for feature in BY_PLANES:
        if feature.startswith("narrow"):
            network = single(**FEATURES[feature])
            assert reference.run(network, samples(network)).saturations["only"] > 20, feature


def test_signed_outputs_round_negative_numbers() -> None:
    """Where division that rounds towards 0 would differ from the arithmetic shift."""
    network = single(**FEATURES["signed output"])
    found = reference.run(network, samples(network))
    layer, v = network.layers[0], found.accumulators["only"]
    column = (slice(None), None, None)
    total = v * layer.mult[column] + (layer.bias << layer.shift)[column] + (1 << layer.shift - 1)[column]
    towards_zero = np.trunc(total / (1 << layer.shift)[column]).clip(-128, 127)
    assert (towards_zero != found.activations["only"]).mean() > 0.2
