"""Choosing RoT, truncation and DRLO: they take effect, save SOPs, and are refused where they mean nothing."""

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


@pytest.mark.parametrize(
    "choice", [{"rot": 2}, {"drlo": 2}, {"rot": 1, "drlo": 1}, {"truncate": 3}, {"truncate": 2, "drlo": 2}]
)
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
        ({"truncate": {"FIRST": 8}}, r"0\.\.7"),
        ({"truncate": {"nowhere": 1}}, "not a layer"),
        ({"truncate": {"LAST": 1}}, "signed"),
        ({"truncate": {"FIRST": 1}, "rot": {"FIRST": 1}}, "one of them"),
    ],
)
def test_refusals(network, choice, message):
    names = {"FIRST": network.layers[0].name, "LAST": network.layers[-1].name}
    choice = {what: {names.get(layer, layer): n for layer, n in chosen.items()} for what, chosen in choice.items()}
    with pytest.raises(SdannError, match=message):
        with_sparsity(network, **choice)


def test_rot_and_truncation_replace_each_other(network):
    first = network.layers[0].name
    rounded = with_sparsity(network, rot={first: 2}, drlo={first: 3})
    cut = with_sparsity(rounded, truncate={first: 1})
    assert [(n.layers[0].rot, n.layers[0].truncate, n.layers[0].drlo) for n in (rounded, cut)] == [(2, 0, 3), (0, 1, 3)]
    again = with_sparsity(cut, rot={first: 1}, truncate={first: 0})
    assert (again.layers[0].rot, again.layers[0].truncate) == (1, 0)
    assert with_sparsity(cut).layers[0].truncate == 1 and with_sparsity(cut, rot={first: 0}).layers[0].truncate == 1
    assert with_sparsity(cut, rot={first: 3}).layers[0].truncate == 0
