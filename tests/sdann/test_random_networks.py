"""sdann.random_networks: reproducible, alive, of the asked limits, and as varied as claimed."""

import numpy as np

from sdann import reference
from sdann.check import isum_bound
from sdann.graph import INPUT, QuantizedNetwork
from sdann.random_networks import FEATURES, random_input, random_network


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


def test_graphs_keep_the_limits_too() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        network = random_network(
            rng, layers=4, max_side=7, channels=7, weight_bits=5, bias_bits=12, mult_bits=12, max_shift=20,
            features=FEATURES, max_edges=4, max_kernel=7, max_parts=3,
        )  # fmt: skip
        for layer in network.layers:
            assert layer.shape[0] <= 7 and max(*layer.shape[1:], *layer.output_shape[1:]) <= 7
            assert 1 <= len(layer.edges) <= 4 and len(layer.parts) <= 3
            assert all(max(edge.weight.shape[2:]) <= 7 or edge.kind == "linear" for edge in layer.edges)
            assert layer.mult.max() < 1 << 12 and layer.shift.max() <= 20
            assert layer.bias.min() >= -(1 << 11) and layer.bias.max() < 1 << 11
            assert isum_bound(layer) < 1 << 23
        result = reference.run(network, random_input(network, rng, 24))
        for layer in network.layers:
            assert np.mean(result.activations[layer.name] != 0) >= 0.1


def test_without_features_it_stays_a_chain() -> None:
    for seed in range(40):
        network = random_network(np.random.default_rng(seed), max_edges=2, layers=3)
        for source, layer in zip([INPUT, *(x.name for x in network.layers)], network.layers, strict=False):
            assert {edge.source for edge in layer.edges} == {source}
            assert {edge.stride for edge in layer.edges} <= {1, 2}
            assert not (layer.pool or layer.truncate or layer.raw or layer.parts) and layer.hi <= 255


def reach_back(network: QuantizedNetwork, number: int) -> set[int]:
    """How many stages before layer ``number`` the sources of its edges are; 0 for the input."""
    names = [layer.name for layer in network.layers]
    sources = {edge.source for edge in network.layers[number].edges}
    return {0 if source == INPUT else number - names.index(source) for source in sources}


def test_variety_of_graphs() -> None:
    networks = [
        random_network(np.random.default_rng(seed), features=FEATURES, max_edges=4, max_kernel=7, max_side=10, layers=5)
        for seed in range(80)
    ]
    layers = [layer for network in networks for layer in network.layers]
    edges = [edge for layer in layers for edge in layer.edges]
    pools = [layer.pool for layer in layers if layer.pool]
    assert {p.kernel for p in pools} >= {2, 3} and {p.stride for p in pools} >= {1, 2} and any(p.padding for p in pools)
    assert {layer.truncate for layer in layers} == {0, 1, 2, 3} and {layer.rot for layer in layers} == {0, 1, 2}
    assert any(layer.truncate and layer.drlo and layer.pool for layer in layers)
    assert {e.stride for e in edges} == {1, 2, 4} and {e.kind for e in edges} == {"conv", "depthwise", "linear"}
    assert {e.weight.shape[2] for e in edges if e.kind != "linear"} == set(range(1, 8))
    assert {len(layer.edges) for layer in layers} == {1, 2, 3, 4} and {len(x.parts) for x in layers} == {0, 2, 3, 4}
    assert set().union(*(reach_back(n, i) for n in networks for i in range(3, 5))) == {0, 1, 2, 3, 4}
    last = [network.layers[-1] for network in networks]
    widths = {layer.hi.bit_length() for layer in last}
    assert any(layer.raw for layer in last) and min(widths) == 7 and max(widths) == 15 and len(widths) >= 6
    split = [some for layer in layers for part in layer.parts for some in part]
    assert {some.edge for some in split} == {0, 1, 2, 3} and {some.channels for some in split} >= {1, 2, 3}
    assert any(max(layer.shape[1:]) >= 8 for layer in layers) and any(
        layer.shape[1] != layer.shape[2] for layer in layers
    )


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
