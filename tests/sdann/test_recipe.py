from dataclasses import replace

import numpy as np
import pytest

from hdl.config import preset
from sdann.datasets import TEST_IMAGES
from sdann.errors import SdannError
from sdann.graph import INPUT
from sdann.mapper import map_network
from sdann.random_networks import random_network
from sdann.recipe import check_chip, check_same_network, is_digits, options_for, samples_for


@pytest.fixture(scope="module")
def network():
    return random_network(np.random.default_rng(4), layers=2, channels=5, max_side=4, sparsity=False)


def test_other_chips_are_refused(network):
    image = map_network(network, preset("test"))
    check_chip(image, preset("test").replace(name="another name"))
    with pytest.raises(SdannError, match=r"image / this: lanes 4 / 8, queue_depth 16 / 2;"):
        check_chip(image, preset("test").replace(lanes=8, queue_depth=2))


def test_other_networks_are_refused(network):
    image = map_network(network, preset("test"))
    check_same_network(replace(network, name="renamed"), image)
    changed = replace(network.layers[0], bias=network.layers[0].bias + 1)
    with pytest.raises(SdannError, match="another network"):
        check_same_network(replace(network, layers=(changed, *network.layers[1:])), image)


def test_random_samples_follow_the_seed(network):
    assert not is_digits(network)
    x, labels = samples_for(network, 6, 1)
    assert x.shape == (6, *network.input_shape) and labels is None
    np.testing.assert_array_equal(x, samples_for(network, 6, 1)[0])
    assert (x != samples_for(network, 6, 2)[0]).any()


def test_digits(network):
    last = replace(network.layers[-1], shape=(10, 1, 1))
    digits = replace(
        network, input_shape=(1, 8, 8), input_signed=False, scales={INPUT: 1 / 255}, layers=(network.layers[0], last)
    )
    assert is_digits(digits)
    x, labels = samples_for(digits, 7, 0)
    assert x.shape == (7, 1, 8, 8) and labels.shape == (7,) and x.max() == 255
    assert len(samples_for(digits, 10_000, 0)[0]) == TEST_IMAGES


def test_the_chip_decides_the_widths():
    config = preset("test").replace(bias_bits=9, mult_bits=11, max_shift=20, isum_bits=18, membrane_bits=17)
    options = options_for(config, time_steps=4, scaled=True)
    assert (options.bias_bits, options.mult_bits, options.max_shift, options.isum_bits) == (9, 11, 20, 18)
    assert (options.membrane_bits, options.weight_bits, options.time_steps, options.scaled) == (17, 8, 4, True)
