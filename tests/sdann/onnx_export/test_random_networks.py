"""Random networks of every kind: onnxruntime agrees with the golden in every accumulator and activation."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdann.graph import QuantizedNetwork
from sdann.onnx_export import compare_with_onnxruntime, export_network
from sdann.random_networks import FEATURES, random_input, random_network

GRAPH: dict[str, Any] = {"features": FEATURES, "max_edges": 4, "max_kernel": 7, "max_side": 10}
MODES: dict[str, dict[str, Any]] = {
    "exact": {"max_kernel": 5, "max_edges": 2},
    "T = 3, narrow weights": {"time_steps": 3, "weight_bits": 3},
    "graph": GRAPH,
    "graph, T = 4": {**GRAPH, "time_steps": 4},
    "graph, T = 12": {**GRAPH, "time_steps": 12, "weight_bits": 12, "membrane_bits": 48},
    "graph, scaled": {**GRAPH, "scaled": True, "membrane_bits": 16},
    "graph, saturating": {**GRAPH, "membrane_bits": 13},
}
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def drawn(seed: int, mode: str) -> tuple[QuantizedNetwork, np.ndarray]:
    rng = np.random.default_rng(seed)
    network = random_network(rng, layers=int(rng.integers(1, 4)), **MODES[mode])
    return network, random_input(network, rng, 3)


@pytest.mark.parametrize("mode", MODES)
@given(seed=st.integers(0, 2**32 - 1))
@FEW
def test_onnxruntime_equals_the_golden(mode: str, seed: int) -> None:
    network, x = drawn(seed, mode)
    rows = compare_with_onnxruntime(network, x)
    assert [row.layer for row in rows] == [layer.name for layer in network.layers for _ in range(2)]
    assert [str(row.first) for row in rows if row.mismatches] == []


@pytest.mark.parametrize("mode", MODES)
def test_modes_are_what_they_say(mode: str) -> None:
    exports = [export_network(drawn(seed, mode)[0]) for seed in range(10)]
    forms = {layer.form for exported in exports for layer in exported.layers}
    assert ("bit-planes" in forms) == mode.endswith(("scaled", "saturating"))
    assert ("whole sums" in forms) == ("scaled" not in mode) or mode.endswith("saturating")
