"""sdann.random_networks: reproducible, alive, of the asked limits, and as varied as claimed."""

import numpy as np

from sdann import reference
from sdann.check import isum_bound
from sdann.random_networks import random_input, random_network


def test_same_seed_same_network() -> None:
    first, second = (random_network(np.random.default_rng(3)) for _ in range(2))
    x = random_input(first, np.random.default_rng(4), 2)
    assert (x == random_input(second, np.random.default_rng(4), 2)).all()
    for a, b in zip(first.layers, second.layers, strict=True):
        assert a.name == b.name and (a.edges[0].weight == b.edges[0].weight).all() and (a.mult == b.mult).all()


def test_limits_and_liveness() -> None:
    for seed in range(120):
        rng = np.random.default_rng(seed)
        network = random_network(
            rng, layers=4, max_side=5, channels=7, weight_bits=5, bias_bits=12, mult_bits=12, max_shift=20
        )
        assert len(network.layers) == 4
        for layer in network.layers:
            assert layer.shape[0] <= 7 and max(layer.shape[1:]) <= 5
            assert layer.mult.min() >= 0 and layer.mult.max() < 1 << 12
            assert layer.shift.min() >= 1 and layer.shift.max() <= 20
            assert layer.bias.min() >= -(1 << 11) and layer.bias.max() < 1 << 11
            assert isum_bound(layer) < 1 << 23
        result = reference.run(network, random_input(network, rng, 24))
        for layer in network.layers:
            assert np.mean(result.activations[layer.name] != 0) >= 0.1


def test_variety() -> None:
    networks = [random_network(np.random.default_rng(seed), max_kernel=5, max_edges=2) for seed in range(150)]
    layers = [layer for network in networks for layer in network.layers]
    edges = [edge for layer in layers for edge in layer.edges]
    assert {e.kind for e in edges} == {"conv", "depthwise", "linear"}
    assert {e.stride for e in edges} >= {1, 2} and {e.padding for e in edges} >= {0, 1, 2}
    assert {e.weight.shape[2] for e in edges} >= {1, 2, 3, 4, 5} and {e.shift for e in edges} >= {0, 1, 2}
    assert any(e.weight.shape[2] != e.weight.shape[3] for e in edges if e.kind != "linear")
    assert {n.input_signed for n in networks} == {layer.signed for layer in layers} == {True, False}
    assert {layer.bias_mode for layer in layers} == {"sum", "scaled"}
    assert {layer.rot for layer in layers} >= {0, 1, 2} and {layer.drlo for layer in layers} >= {0, 2, 3}
    assert {layer.shape[0] for layer in layers} >= set(range(1, 7)) and {layer.bias.min() < 0 for layer in layers} == {
        True,
        False,
    }


def test_inputs_reach_the_extremes() -> None:
    for signed, low, high in ((False, 0, 255), (True, -128, 127)):
        network = random_network(np.random.default_rng(1), signed_input=signed)
        x = random_input(network, np.random.default_rng(2), 60)
        assert x.min() == low and x.max() == high
        assert any((sample == 0).all() for sample in x) and any((sample == high).all() for sample in x)
