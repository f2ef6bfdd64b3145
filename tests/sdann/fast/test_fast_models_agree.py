"""sdann.fast equals the NumPy models in every bit, on random networks, with every backend; a change is noticed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sdann import golden, stem
from sdann.errors import SdannError
from sdann.fast import IntegerNetwork, SpikingNetwork, columns
from sdann.graph import Pool, QuantizedNetwork
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
SEEDS = range(6)


def saturating_int_mm(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """As processors without VNNI do it: a made unsigned, pairs of products saturated to 16 bits."""
    k = a.shape[1] + a.shape[1] % 2
    left = torch.zeros((a.shape[0], k), dtype=torch.int64)
    right = torch.zeros((k, b.shape[1]), dtype=torch.int64)
    left[:, : a.shape[1]], right[: b.shape[0]] = a.long() + 128, b.long()
    total = torch.zeros((len(a), b.shape[1]), dtype=torch.int64)
    for i in range(0, k, 2):
        total += (left[:, i : i + 2] @ right[i : i + 2]).clamp(-(1 << 15), (1 << 15) - 1)
    return (total - 128 * b.long().sum(dim=0)).int()


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


def test_currents_wrap_as_in_stem() -> None:
    wrapped = 0
    for seed in SEEDS:
        network, x = drawn(seed, ALSO["wide weights"])
        assert spiking_differences(network, x, SpikingNetwork(network, isum_bits=9), 9) == [], seed
        wrapped += spiking_differences(network, x, SpikingNetwork(network, isum_bits=24), 9) != []
    assert wrapped > 3


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")  # torch's own, when flags() restores
def test_without_onednn() -> None:
    with torch.backends.mkldnn.flags(enabled=False):
        for mode in ("exact", "graph, 16 channels"):
            network, x = drawn(3, EXACT[mode])
            x = np.concatenate([x] * 8)
            for backend in ("auto", *BACKENDS):
                model = IntegerNetwork(network, backend=backend)
                assert model.backends == (["float32", "float64"] if backend == "auto" else [backend])
                assert integer_differences(network, x, model) == []
                assert spiking_differences(network, x, SpikingNetwork(network, backend=backend), 24) == []


def test_without_vnni(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "_int_mm", saturating_int_mm)
    network, x = drawn(5, EXACT["graph, 16 channels"])
    for model in (IntegerNetwork(network), SpikingNetwork(network)):
        assert model.backends == ["float32", "float64"]
    assert integer_differences(network, x, IntegerNetwork(network)) == []
    assert spiking_differences(network, x, SpikingNetwork(network), 24) == []
    for kind in (IntegerNetwork, SpikingNetwork):
        with pytest.raises(SdannError, match="int8 products are not exact on this cpu"):
            kind(network, backend="int8")


CHANGES = ("weight", "bias", "mult", "shift", "hi", "rot", "drlo", "truncate", "pool", "edge shift")


@pytest.mark.parametrize("change", CHANGES)
def test_one_changed_constant_is_noticed(change: str) -> None:
    rng = np.random.default_rng(11)
    network = random_network(
        rng, layers=2, edge_kinds=["conv"], sparsity=False, signed_input=False, bias_modes=["scaled"], max_side=8
    )
    x = random_input(network, rng, 40)
    first, *rest = network.layers
    edge = first.edges[0]
    weight = edge.weight.copy()
    weight[0, 0, 0, 0] ^= 1
    changed = {
        "weight": replace(first, edges=(replace(edge, weight=weight),)), "bias": replace(first, bias=first.bias + 1),
        "mult": replace(first, mult=first.mult + 256), "shift": replace(first, shift=first.shift + 1),
        "hi": replace(first, hi=first.hi - 1), "rot": replace(first, rot=1), "drlo": replace(first, drlo=2),
        "truncate": replace(first, truncate=1), "edge shift": replace(first, edges=(replace(edge, shift=1),)),
        "pool": replace(first, pool=Pool(kernel=3, stride=1, padding=1)),
    }[change]  # fmt: skip
    other = replace(network, layers=(changed, *rest))
    assert integer_differences(network, x, IntegerNetwork(network)) == []
    for found in (
        integer_differences(network, x, IntegerNetwork(other)),
        spiking_differences(network, x, SpikingNetwork(other), 24),
    ):
        assert f"activations of {first.name}" in found


def test_one_flipped_input_bit_is_noticed() -> None:
    rng = np.random.default_rng(12)
    network = random_network(rng, layers=2, edge_kinds=["conv"], signed_input=True)
    x = random_input(network, rng, 4)
    flipped = x.copy()
    flipped[2, 0, 0, 0] ^= 4
    expected, found = stem.run(network, x), SpikingNetwork(network).run(flipped)
    assert "input" in unequal(expected.activations, found.activations) and found.sops != expected.sops


def test_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = drawn(4, EXACT["graph, 16 channels"])
    for block in (1, 300, 5000):
        monkeypatch.setattr(columns, "BLOCK", block)
        assert integer_differences(network, x, IntegerNetwork(network)) == []
        assert spiking_differences(network, x, SpikingNetwork(network), 24) == []


def test_records_are_on_request() -> None:
    network, x = drawn(1, EXACT["exact"])
    bare = IntegerNetwork(network).run(torch.from_numpy(x), record=())
    assert not bare.sops and not bare.accumulators and next(iter(bare.activations)) == "input"
    spiking = SpikingNetwork(network).run(x)
    assert not spiking.spikes and not spiking.currents and not spiking.membranes and spiking.sops
    assert IntegerNetwork(network).run(x).sops == spiking.sops


def test_refusals() -> None:
    network, x = drawn(0, PLANES["scaled 16 bit"])
    with pytest.raises(SdannError, match="use the spiking network"):
        IntegerNetwork(network)
    with pytest.raises(SdannError, match="use the spiking network"):
        IntegerNetwork(drawn(0, PLANES["saturating"])[0])
    with pytest.raises(SdannError, match="input"):
        SpikingNetwork(network).run(x[0])
    with pytest.raises(SdannError, match="unknown backend 'int4'"):
        SpikingNetwork(network, backend="int4")
    with pytest.raises(SdannError, match="cannot use device nowhere"):
        SpikingNetwork(network, "nowhere")
    wide, _ = drawn(0, ALSO["T = 12"])
    with pytest.raises(SdannError, match=r"layer '\w+': the edge from '\w+': int8 cannot hold"):
        IntegerNetwork(wide, backend="int8")
