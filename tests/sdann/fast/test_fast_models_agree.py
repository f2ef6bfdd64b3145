"""sdann.fast equals the NumPy models in every bit, on random networks, with every backend; a change is noticed."""

from typing import Any

import numpy as np
import pytest
import torch

from sdann import golden, stem
from sdann.fast import IntegerNetwork, SpikingNetwork
from sdann.graph import QuantizedNetwork
from sdann.random_networks import FEATURES, random_input, random_network

GRAPH: dict[str, Any] = {"features": FEATURES, "max_edges": 4, "max_kernel": 7, "max_side": 10}
EXACT: dict[str, dict[str, Any]] = {
    "exact": {"max_kernel": 5},
    "signed": {"signed_input": True, "signed_output": True, "max_edges": 2},
    "wider": {"channels": 24, "signed_input": False},
    "T = 4": {"time_steps": 4, **GRAPH},
    "T = 2, narrow weights": {"time_steps": 2, "weight_bits": 3},
    "graph": GRAPH,
    "graph, 16 channels": {**GRAPH, "channels": 16},
}
ALSO: dict[str, dict[str, Any]] = {
    "T = 12": {"time_steps": 12, **GRAPH, "membrane_bits": 48},
    "wide weights": {"weight_bits": 12, **GRAPH, "membrane_bits": 48},
}
PLANES: dict[str, dict[str, Any]] = {
    "scaled 16 bit": {"scaled": True, "membrane_bits": 16, "max_edges": 2},
    "scaled 12 bit, T = 4": {"scaled": True, "membrane_bits": 12, "time_steps": 4, "signed_input": True},
    "saturating": {"membrane_bits": 12, "max_edges": 2},
    "graph, scaled 16 bit": {**GRAPH, "scaled": True, "membrane_bits": 16},
    "graph, saturating": {**GRAPH, "membrane_bits": 13, "channels": 16},
}
BACKENDS: tuple[Any, ...] = ("int8", "float32", "float64")
SEEDS = range(12)


def drawn(seed: int, settings: dict[str, Any]) -> tuple[QuantizedNetwork, np.ndarray]:
    rng = np.random.default_rng(seed)
    network = random_network(rng, layers=int(rng.integers(1, 5)), **settings)
    return network, random_input(network, rng, 3)


def unequal(expected: dict[str, np.ndarray], found: dict[str, torch.Tensor]) -> list[str]:
    assert list(found) == list(expected)
    for name, values in found.items():
        assert values.shape == expected[name].shape, name
    return [name for name, values in found.items() if not np.array_equal(values.numpy(), expected[name])]


def integer_differences(network: QuantizedNetwork, x: np.ndarray, model: IntegerNetwork) -> list[str]:
    expected = golden.run(network, x)
    found = model.run(x, record=["accumulators", "sops"])
    names = [f"activations of {name}" for name in unequal(expected.activations, found.activations)]
    names += [f"V of {name}" for name in unequal(expected.accumulators, found.accumulators)]
    return names + ["SOPs"] * (found.sops != expected.sops)


def spiking_differences(network: QuantizedNetwork, x: np.ndarray, model: SpikingNetwork, isum_bits: int) -> list[str]:
    expected = stem.run(network, x, isum_bits=isum_bits)
    found = model.run(x, record=["spikes", "currents", "membranes"])
    names = [
        f"{what} of {name}"
        for what in ("activations", "spikes", "currents", "membranes", "part_currents", "part_membranes")
        for name in unequal(getattr(expected, what), getattr(found, what))
    ]
    for name, train in expected.spikes.items():
        if found.spike_counts[name].tolist() != train.sum(axis=(1, 2, 3, 4)).tolist():
            names.append(f"spike counts of {name}")
    assert list(found.spike_counts) == list(expected.spike_counts)
    return names + [what for what in ("sops", "saturations") if getattr(expected, what) != getattr(found, what)]


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("mode", EXACT)
def test_integer_network_equals_golden(mode: str, backend: Any) -> None:
    for seed in SEEDS:
        network, x = drawn(seed, EXACT[mode])
        assert integer_differences(network, x, IntegerNetwork(network, backend=backend)) == [], seed


@pytest.mark.parametrize("mode", ALSO)
def test_wide_values_equal_golden(mode: str) -> None:
    for seed in SEEDS:
        network, x = drawn(seed, ALSO[mode])
        assert integer_differences(network, x, IntegerNetwork(network)) == [], seed
        assert spiking_differences(network, x, SpikingNetwork(network), 24) == [], seed


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
@pytest.mark.parametrize("mode", EXACT | PLANES)
def test_spiking_network_equals_stem(mode: str, backend: Any) -> None:
    for seed in SEEDS:
        network, x = drawn(seed, (EXACT | PLANES)[mode])
        assert spiking_differences(network, x, SpikingNetwork(network, backend=backend), 24) == [], seed
