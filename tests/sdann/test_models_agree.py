"""Golden, bit-plane golden and spiking model agree to the last count on random networks; a change is noticed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdann import golden_planes, reference, stem
from sdann.golden import GoldenResult
from sdann.graph import QuantizedNetwork
from sdann.judge import judge
from sdann.random_networks import FEATURES, random_input, random_network

GRAPH: dict[str, Any] = {"features": FEATURES, "max_edges": 4, "max_kernel": 7, "max_side": 10}
MODES: dict[str, dict[str, Any]] = {
    "exact": {"max_kernel": 5},
    "exact, two edges": {"max_edges": 2},
    "signed": {"signed_input": True, "signed_output": True},
    "T = 4": {"time_steps": 4},
    "T = 2, narrow weights": {"time_steps": 2, "weight_bits": 3},
    "scaled 16 bit": {"scaled": True, "membrane_bits": 16, "max_edges": 2},
    "scaled 12 bit, T = 4": {"scaled": True, "membrane_bits": 12, "time_steps": 4, "signed_input": True},
    "saturating": {"membrane_bits": 12, "max_edges": 2},
    "graph": GRAPH,
    "graph, T = 4": {**GRAPH, "time_steps": 4, "signed_output": True},
    "graph, scaled 16 bit": {**GRAPH, "scaled": True, "membrane_bits": 16},
    "graph, saturating": {**GRAPH, "membrane_bits": 13},
}
FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def differences(golden: GoldenResult, spiking: stem.StemResult) -> list[str]:
    """Names of everything in which the two results differ."""
    found = [f"activations of {n}" for n, a in golden.activations.items() if (a != spiking.activations[n]).any()]
    found += [f"V of {n}" for n, v in golden.accumulators.items() if (v != spiking.membranes[n][-1]).any()]
    if golden.sops != spiking.sops:
        found.append("SOPs")
    if golden.saturations != spiking.saturations:
        found.append("saturations")
    return found


def judged(network: QuantizedNetwork, x: np.ndarray, golden: GoldenResult) -> list[str]:
    """Names of everything in which the outside judge differs from ``golden``."""
    found = judge(network, x)
    names = [f"activations of {n}" for n, a in found.activations.items() if (a != golden.activations[n]).any()]
    return names + ["counts"] * ((found.sops, found.saturations) != (golden.sops, golden.saturations))


def drawn(seed: int, mode: str) -> tuple[QuantizedNetwork, np.ndarray]:
    rng = np.random.default_rng(seed)
    network = random_network(rng, layers=int(rng.integers(1, 5)), **MODES[mode])
    return network, random_input(network, rng, 3)


@pytest.mark.parametrize("mode", MODES)
@given(seed=st.integers(0, 2**32 - 1))
@FEW
def test_golden_equals_stem(mode: str, seed: int) -> None:
    network, x = drawn(seed, mode)
    expected = reference.run(network, x)
    assert list(expected.activations) == ["input", *(layer.name for layer in network.layers)]
    spiking = stem.run(network, x)
    assert differences(expected, spiking) == []
    assert differences(golden_planes.run(network, x), spiking) == []
    assert judged(network, x, expected) == []


@pytest.mark.parametrize("mode", MODES)
def test_modes_are_what_they_say(mode: str) -> None:
    networks = [drawn(seed, mode) for seed in range(20)]
    results = [reference.run(network, x) for network, x in networks]
    saturated = sum(sum(r.saturations.values()) for r in results)
    assert all(reference.is_exact(n) for n, _ in networks) == ("scaled" not in mode and "saturating" not in mode)
    assert (saturated > 1000) == ("saturating" in mode)
    alive = [np.mean(r.activations[n.layers[-1].name] != 0) for r, (n, _) in zip(results, networks, strict=True)]
    assert "saturating" in mode or np.mean(alive) > 0.3
    if "scaled" in mode:
        assert any(layer.scaled and layer.scaled.shift1 for n, _ in networks for layer in n.layers)
        exact = [reference.run(replace(n, layers=tuple(replace(a, scaled=None) for a in n.layers), membrane_bits=40), x)
                 for n, x in networks]  # fmt: skip
        assert any((e.accumulators[k] != r.accumulators[k]).any() for e, r in zip(exact, results, strict=True)
                   for k in r.accumulators)  # fmt: skip


def changed_networks(network: QuantizedNetwork) -> dict[str, QuantizedNetwork]:
    """Copies of ``network`` with one constant of its first layer changed."""
    first, *rest = network.layers
    weight = first.edges[0].weight.copy()
    weight[0, 0, 0, 0] ^= 1
    largest = first.mult.copy()
    largest[0] += 256
    changes = {
        "weight": replace(first, edges=(replace(first.edges[0], weight=weight),)),
        "bias": replace(first, bias=first.bias + 1), "mult": replace(first, mult=largest),
        "shift": replace(first, shift=first.shift + 1), "hi": replace(first, hi=first.hi - 1),
        "rot": replace(first, rot=first.rot + 1), "drlo": replace(first, drlo=1 if first.drlo == 0 else 0),
        "bias mode": replace(first, bias_mode="sum" if first.bias_mode == "scaled" else "scaled"),
    }  # fmt: skip
    return {name: replace(network, layers=(layer, *rest)) for name, layer in changes.items()}


@pytest.mark.parametrize("change", ["weight", "bias", "mult", "shift", "hi", "rot", "drlo", "bias mode"])
def test_one_changed_constant_is_noticed(change: str) -> None:
    rng = np.random.default_rng(11)
    network = random_network(
        rng, layers=2, edge_kinds=["conv"], sparsity=False, signed_input=False, bias_modes=["scaled"]
    )
    x = random_input(network, rng, 40)
    expected = reference.run(network, x)
    assert differences(expected, stem.run(network, x)) == []
    found = differences(expected, stem.run(changed_networks(network)[change], x))
    assert any(name.startswith("activations") for name in found)


def test_one_flipped_input_bit_is_noticed() -> None:
    rng = np.random.default_rng(12)
    network = random_network(rng, layers=2, edge_kinds=["conv"], signed_input=True)
    x = random_input(network, rng, 4)
    flipped = x.copy()
    flipped[2, 0, 0, 0] ^= 4
    found = differences(reference.run(network, x), stem.run(network, flipped))
    assert "activations of input" in found and "SOPs" in found and any(name.startswith("V of") for name in found)


def test_scaling_stays_within_the_calibrated_range() -> None:
    # On the calibration inputs themselves, s_1 keeps V from saturating: that is what its two limits are for.
    from sdann.membrane import with_membrane

    for seed in range(15):
        rng = np.random.default_rng(seed)
        wide = random_network(rng, layers=1, membrane_bits=40)
        x = random_input(wide, rng, 20)
        for bits in (12, 14, 16):
            network = with_membrane(wide, bits, scaled=True, calibration=x)
            assert sum(reference.run(network, x).saturations.values()) == 0
