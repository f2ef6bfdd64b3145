"""Choosing RoT and DRLO: they take effect, save SOPs, and are refused where they mean nothing."""

import numpy as np
import pytest

from sdann import reference, stem
from sdann.errors import SdannError
from sdann.random_networks import random_input, random_network
from sdann.sparsity import with_sparsity


@pytest.fixture(scope="module")
def network():
    return random_network(
        np.random.default_rng(3), layers=3, edge_kinds=("conv",), sparsity=False, signed_output=True, signed_input=False
    )


@pytest.mark.parametrize("choice", [{"rot": 2}, {"drlo": 2}, {"rot": 1, "drlo": 1}])
def test_fewer_sops_and_all_models_agree(network, choice):
    x = random_input(network, np.random.default_rng(1), 8)
    first = network.layers[0].name
    sparse = with_sparsity(network, **{name: {first: value} for name, value in choice.items()})
    plain, found, spiking = reference.run(network, x), reference.run(sparse, x), stem.run(sparse, x)
    following = network.layers[1].name
    assert found.sops[following] < plain.sops[following]
    assert found.sops == spiking.sops
    for layer in network.layers:
        np.testing.assert_array_equal(found.activations[layer.name], spiking.activations[layer.name])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"rot": {"nowhere": 1}}, "not a layer"),
        ({"rot": {"LAST": 1}}, "signed"),
        ({"rot": {"FIRST": 8}}, r"0\.\.7"),
        ({"drlo": {"FIRST": 9}}, r"0\.\.8"),
        ({"drlo": {"FIRST": -1}}, r"0\.\.8"),
    ],
)
def test_refusals(network, choice, message):
    names = {"FIRST": network.layers[0].name, "LAST": network.layers[-1].name}
    choice = {what: {names.get(layer, layer): n for layer, n in chosen.items()} for what, chosen in choice.items()}
    with pytest.raises(SdannError, match=message):
        with_sparsity(network, **choice)
