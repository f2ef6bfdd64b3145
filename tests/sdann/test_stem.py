"""sdann.stem: wrapping of I(t), saturation, records, parts."""

from dataclasses import replace

import numpy as np

from sdann import golden, stem
from sdann.random_networks import random_input, random_network


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


def test_records_of_parts_add_up() -> None:
    rng = np.random.default_rng(11)
    network = random_network(rng, layers=3, features=["parts", "pool"], membrane_bits=12, channels=8)
    assert {bool(layer.parts) for layer in network.layers} == {True, False}
    x = random_input(network, rng, 4)
    result, bare = stem.run(network, x), stem.run(network, x, record=())
    assert not bare.part_currents and not bare.part_membranes and bare.saturations == result.saturations
    total = 0
    for layer in network.layers:
        name = layer.name
        assert result.currents[name].shape == (8, 4, *layer.shape)
        assert result.activations[name].shape == (4, *layer.output_shape)
        assert (name in result.part_currents) == (name in result.part_membranes) == bool(layer.parts)
        if not layer.parts:
            continue
        current, v = result.part_currents[name], result.part_membranes[name]
        assert current.shape == v.shape == (len(layer.parts), 8, 4, *layer.shape)
        assert (current.sum(axis=0) == result.currents[name]).all()
        assert (v.sum(axis=0) == result.membranes[name]).all()
        wide = 2 * v[:, :-1] + current[:, 1:]
        assert (v[:, 1:] == np.clip(wide, -2048, 2047)).all() and (v[:, 0] == current[:, 0]).all()
        saturated = int((wide != v[:, 1:]).sum())
        assert saturated == result.saturations[name]
        total += saturated
    assert total > 0
