"""The outside judge against the golden models, and that it would notice."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sdann import reference
from sdann.errors import SdannError
from sdann.graph import INPUT
from sdann.judge import judge
from sdann.random_networks import random_input, random_network


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("membrane_bits", "scaled"), [(32, False), (16, True), (12, False)])
def test_equals_the_golden(seed, membrane_bits, scaled):
    rng = np.random.default_rng(seed)
    network = random_network(rng, layers=3, max_edges=2, membrane_bits=membrane_bits, scaled=scaled)
    x = random_input(network, rng, 5)
    golden, found = reference.run(network, x), judge(network, x)
    assert (found.sops, found.saturations) == (golden.sops, golden.saturations)
    assert list(found.activations) == [layer.name for layer in network.layers]
    for name, activations in found.activations.items():
        np.testing.assert_array_equal(activations, golden.activations[name], err_msg=name)


def test_narrow_membranes_of_this_test_do_saturate():
    rng = np.random.default_rng(0)
    network = random_network(rng, layers=3, membrane_bits=12)
    assert sum(reference.run(network, random_input(network, rng, 5)).saturations.values()) > 0


@pytest.mark.parametrize("field", ["mult", "shift", "bias", "weight"])
def test_depends_on_every_constant(field):
    rng = np.random.default_rng(1)
    network = random_network(rng, layers=1, signed_output=True, signed_input=False)
    x = random_input(network, rng, 20)
    layer = network.layers[0]
    if field == "weight":
        changed = replace(layer, edges=tuple(replace(e, weight=-e.weight) for e in layer.edges))
    else:
        changed = replace(layer, **{field: getattr(layer, field) + (1 if field == "shift" else 20)})
        if field == "mult":
            changed = replace(layer, mult=layer.mult // 2)
    other = judge(replace(network, layers=(changed,)), x)
    assert (other.activations[layer.name] != reference.run(network, x).activations[layer.name]).any()


def test_refuses_what_64_bits_cannot_hold():
    rng = np.random.default_rng(1)
    network = random_network(rng, layers=1)
    layer = replace(network.layers[0], mult=network.layers[0].mult * 0 + (1 << 55))
    with pytest.raises(SdannError, match="do not hold"):
        judge(replace(network, layers=(layer,)), random_input(network, rng, 4))


def test_leaves_its_input_and_torch_alone():
    rng = np.random.default_rng(2)
    network = random_network(rng, layers=2)
    x = random_input(network, rng, 3)
    before, threads = x.copy(), torch.get_num_threads()
    assert INPUT not in judge(network, x).activations
    np.testing.assert_array_equal(x, before)
    assert torch.get_num_threads() == threads
