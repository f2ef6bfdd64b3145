"""sdann.stem: generation, sparsity on trains, wrapping of I(t), records."""

from dataclasses import replace

import numpy as np
import pytest

from sdann import golden, stem
from sdann.random_networks import random_input, random_network


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 10])
def test_generation_is_the_binary_expansion(steps: int) -> None:
    values = np.arange(1 << steps)
    train = stem.encode(values, steps)
    bits = np.array([[c == "1" for c in format(v, f"0{steps}b")] for v in values]).T
    assert (train == bits).all()
    assert (stem.decode(train) == values).all()


def test_generation_out_of_range() -> None:
    assert not stem.encode(np.array([-1, -128, -1000]), 8).any()
    assert stem.encode(np.array([255, 256, 100000]), 8).all()


def test_signed_generation_is_twos_complement() -> None:
    values = np.arange(-128, 128)
    train = stem.encode(values, 8, signed=True)
    bits = np.array([[c == "1" for c in format(v & 255, "08b")] for v in values]).T
    assert (train == bits).all()
    assert (stem.decode(train, signed=True) == values).all()


def test_worked_example_of_figure_10() -> None:
    value = np.array([83])
    assert golden.rot(value, 2, 255).item() == 84 == 0b01010100
    assert golden.drlo(np.array([84]), 2, 8).item() == 80
    rounded = stem.rot_train(stem.encode(value, 8), 2, 255)
    assert stem.decode(rounded).item() == 84
    assert rounded.ravel().tolist() == [False, True, False, True, False, True, False, False]
    assert stem.decode(stem.drlo_train(rounded, 2)).item() == 80
    assert [int(stem.encode(np.array([v]), 8).sum()) for v in (83, 84, 80)] == [4, 3, 2]


@pytest.mark.parametrize("hi", [255, 127, 200, 3])
def test_rot_by_exhaustion(hi: int) -> None:
    values = np.arange(hi + 1)
    for k in range(8):
        unit = 2**k
        expected = [min((v + unit // 2) // unit * unit, hi // unit * unit) for v in values.tolist()]
        assert golden.rot(values, k, hi).tolist() == expected
        assert stem.decode(stem.rot_train(stem.encode(values, 8), k, hi)).tolist() == expected


@pytest.mark.parametrize("steps", [4, 8])
def test_drlo_by_exhaustion(steps: int) -> None:
    values = np.arange(1 << steps)
    for n in range(steps + 1):
        expected = []
        for v in values.tolist():
            kept = [b for b in reversed(range(steps)) if v >> b & 1]
            expected.append(sum(1 << b for b in (kept[:n] if n else kept)))
        assert golden.drlo(values, n, steps).tolist() == expected
        assert stem.decode(stem.drlo_train(stem.encode(values, steps), n)).tolist() == expected


def test_current_wraps_and_never_saturates() -> None:
    rng = np.random.default_rng(5)
    network = random_network(rng, layers=1, edge_kinds=["conv"], signed_input=False)
    x = random_input(network, rng, 30)
    name = network.layers[0].name
    wide, narrow = stem.run(network, x), stem.run(network, x, isum_bits=8)
    expected = (wide.currents[name] + 128) % 256 - 128
    assert (narrow.currents[name] == expected).all()
    assert (wide.currents[name] != expected).any()


def test_records_are_consistent() -> None:
    rng = np.random.default_rng(6)
    network = random_network(rng, signed_input=True, signed_output=True)
    x = random_input(network, rng, 5)
    full, bare = stem.run(network, x), stem.run(network, x, record=())
    assert not bare.spikes and not bare.currents and not bare.membranes
    assert bare.sops == full.sops and bare.spike_counts == full.spike_counts
    assert list(full.spikes) == ["input", *(layer.name for layer in network.layers[:-1])]
    weights = 2 ** np.arange(network.time_steps)[::-1]
    for name, spikes in full.spikes.items():
        assert int(spikes.sum()) == full.spike_counts[name]
        signs = weights * np.where(np.arange(len(weights)) == 0, -1 if name == "input" else 1, 1)
        assert (np.tensordot(signs, spikes, axes=1) == full.activations[name]).all()
    for layer in network.layers:  # eq. 18, and sum_t theta(t) I(t) = V(T-1)
        v = full.membranes[layer.name]
        current = full.currents[layer.name]
        assert (v[0] == current[0]).all()
        assert (v[1:] == 2 * v[:-1] + current[1:]).all()
        assert (np.tensordot(weights, current, axes=1) == v[-1]).all()


def test_products_beyond_63_bits() -> None:
    rng = np.random.default_rng(8)
    network = random_network(
        rng, layers=1, edge_kinds=["linear"], signed_input=False, signed_output=False, membrane_bits=60
    )
    layer = network.layers[0]
    edges = (replace(layer.edges[0], weight=np.full_like(layer.edges[0].weight, 127), shift=22),)
    ones = np.ones_like(layer.mult)
    factor = (1 << 24) - 1
    large = replace(
        layer, edges=edges, mult=ones * factor, shift=ones * 62, bias=ones * 3, bias_mode="scaled", rot=0, drlo=0
    )  # fmt: skip
    network = replace(network, layers=(large,))
    x = random_input(network, rng, 30)
    expected, found = golden.run(network, x), stem.run(network, x, isum_bits=40)
    assert int(expected.accumulators[layer.name].max()) * factor > 1 << 63
    assert (found.activations[layer.name] == expected.activations[layer.name]).all()
    exact = [min((int(v) * factor + (3 << 62) + (1 << 61)) >> 62, large.hi)
             for v in expected.accumulators[layer.name].ravel()]  # fmt: skip
    assert expected.activations[layer.name].ravel().tolist() == exact and len(set(exact)) > 3


def test_saturation_is_to_the_membrane_width() -> None:
    rng = np.random.default_rng(7)
    network = replace(random_network(rng, layers=1, edge_kinds=["linear"]), membrane_bits=8)
    x = random_input(network, rng, 40)
    result = stem.run(network, x)
    (membranes,) = result.membranes.values()
    assert membranes.min() == -128 and membranes.max() == 127
    assert sum(result.saturations.values()) > 0
