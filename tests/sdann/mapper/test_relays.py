"""Relay layers change the graph, not what it computes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdann import reference
from sdann.check import check_network
from sdann.errors import UnsupportedError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.mapper.feeds import stages_in
from sdann.mapper.relays import with_relays
from sdann.random_networks import FEATURES, random_input, random_network


def stages_of(network: QuantizedNetwork) -> dict[str, int]:
    return stages_in(network, [INPUT, *(layer.name for layer in network.layers)], {INPUT})


def longest(network: QuantizedNetwork) -> int:
    stages = stages_of(network)
    return max(stages[layer.name] - stages[edge.source] for layer in network.layers for edge in layer.edges)


@given(seed=st.integers(0, 2**32 - 1), reach=st.integers(1, 3), mode=st.sampled_from(["exact", "scaled", "narrow"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_changes_but_the_way(seed: int, reach: int, mode: str) -> None:
    rng = np.random.default_rng(seed)
    options: dict[str, dict[str, object]] = {
        "exact": {}, "scaled": {"scaled": True, "membrane_bits": 16}, "narrow": {"membrane_bits": 10},
    }  # fmt: skip
    network = random_network(
        rng, layers=6, max_edges=4, features=FEATURES, signed_input=False, **options[mode]  # type: ignore[arg-type]
    )  # fmt: skip
    relayed = with_relays(network, reach)
    check_network(relayed)
    assert longest(relayed) <= reach
    names = [layer.name for layer in network.layers]
    assert [layer.name for layer in relayed.layers if layer.name in names] == names
    assert relayed.layers[-1].name == names[-1]
    assert len({layer.name for layer in relayed.layers}) == len(relayed.layers)
    old, new = stages_of(network), stages_of(relayed)
    assert {name: new[name] for name in old} == old
    assert (relayed is network) == (longest(network) <= reach)
    x = random_input(network, rng, 3)
    before, after = reference.run(network, x), reference.run(relayed, x)
    for name, values in before.activations.items():
        np.testing.assert_array_equal(after.activations[name], values, err_msg=name)
    for layer in relayed.layers:
        if layer.name not in names:  # each repeats what it is named after, one stage later than its source
            of, stage = layer.name.split("@")
            np.testing.assert_array_equal(after.activations[layer.name], before.activations[of])
            assert new[layer.name] == int(stage) == new[layer.edges[0].source] + 1


def chain(length: int, *, signed: bool = False, steps: int = 8, membrane_bits: int = 32) -> QuantizedNetwork:
    """1 x 1 layers that each read the one before; the last reads the input as well."""
    one, ones = np.ones((2, 1, 1, 1), dtype=np.int64), np.ones(2, dtype=np.int64)
    layers = []
    for number in range(1, length + 1):
        before = f"l{number - 1}" if number > 1 else INPUT
        edges = [Edge(source=before, kind="depthwise", weight=one)]
        if number == length:
            edges.append(Edge(source=INPUT, kind="depthwise", weight=one))
        layers.append(
            Layer(
                name=f"l{number}", shape=(2, 1, 1), edges=tuple(edges), mult=ones, shift=ones, bias=0 * ones,
                bias_mode="sum", lo=0, hi=(1 << steps) - 1,
            )
        )  # fmt: skip
    return QuantizedNetwork(
        name="chain", input_shape=(2, 1, 1), input_signed=signed, time_steps=steps, membrane_bits=membrane_bits,
        weight_bits=8, layers=tuple(layers),
    )  # fmt: skip


@pytest.mark.parametrize(("reach", "relays"), [(4, []), (3, ["input@1"]), (2, ["input@1", "input@2"]),
                                              (1, ["input@1", "input@2", "input@3"])])  # fmt: skip
def test_as_few_relays_as_it_takes(reach: int, relays: list[str]) -> None:
    relayed = with_relays(chain(4), reach)
    found = [layer.name for layer in relayed.layers if "@" in layer.name]
    assert found == relays
    assert [edge.source for edge in relayed.layers[-1].edges] == ["l3", relays[-1] if relays else INPUT]


def test_two_readers_share_a_relay() -> None:
    network = chain(4)
    last = network.layers[-1]
    again = replace(last, name="l5", edges=(replace(last.edges[0], source="l4"), last.edges[1]))
    relayed = with_relays(replace(network, layers=(*network.layers, again)), 3)
    assert [layer.name for layer in relayed.layers] == ["l1", "l2", "l3", "input@1", "l4", "input@2", "l5"]
    assert relayed.layer("l4").edges[1].source == "input@1"
    assert relayed.layer("l5").edges[1].source == "input@2"
    assert relayed.layer("input@2").edges[0].source == "input@1"


def test_a_signed_input_cannot_be_repeated() -> None:
    assert with_relays(chain(3, signed=True), 3).layers[-1].edges[1].source == INPUT
    with pytest.raises(
        UnsupportedError, match="'l3' reads the signed input over 3 stages, the chip's history reaches 2: use a chip"
    ):
        with_relays(chain(3, signed=True), 2)


@pytest.mark.parametrize(("steps", "bits"), [(8, 9), (4, 9)])
def test_largest_activations_pass_a_narrow_membrane(steps: int, bits: int) -> None:
    network = chain(4, steps=steps, membrane_bits=bits)
    x = np.full((1, 2, 1, 1), (1 << steps) - 1)
    relayed = with_relays(network, 1)
    found = reference.run(relayed, x).activations
    assert (found["input@3"] == x).all()
    assert (found["l4"] == reference.run(network, x).activations["l4"]).all()


@pytest.mark.parametrize(("steps", "bits"), [(8, 8), (12, 10)])
def test_a_membrane_that_holds_no_activation_repeats_none(steps: int, bits: int) -> None:
    network = chain(4, steps=steps, membrane_bits=bits)
    assert with_relays(network, 4) is network
    with pytest.raises(UnsupportedError, match=f"'l4' reads 'input' over 4 stages.*membrane_bits {bits}"):
        with_relays(network, 1)
