"""Neurons that cores compute twice or not at all: against the tile model's counters, and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.assembler import Place, place_network
from sdann.duplicates import Duplicates, duplicates, multiplicity
from sdann.feature_network import feature_image, feature_network
from sdann.graph import Edge, Layer, Pool, QuantizedNetwork
from sdann.random_networks import random_input
from sdann.tile_model import TileModel


@pytest.mark.parametrize("mode", ["exact", "saturating", "scaled"])
def test_counters_are_golden_and_duplicates(mode) -> None:
    network = feature_network("raw", mode=mode, signed_input=True)
    image, x = feature_image(network), random_input(network, np.random.default_rng(1), 4)
    golden, found = reference.run(network, x), TileModel(image).run(x)
    extra = duplicates(network, image, golden.activations)
    for layer in network.layers:
        counters = [found.counters[c.y, c.x] for c in image.cores_of(layer.name)]
        for counter, counted, more in (
            (Counter.SOPS, golden.sops, extra[layer.name].sops),
            (Counter.SATURATIONS, golden.saturations, extra[layer.name].saturations),
        ):
            assert sum(c[counter] for c in counters) == counted[layer.name] + more, (layer.name, counter)
    assert extra["stem"].sops > 0 and extra["a"] == Duplicates()
    if mode != "scaled":  # which may saturate here and there
        assert (sum(golden.saturations.values()) > 0) == (mode == "saturating")


def strip(height: int, pool: Pool) -> QuantizedNetwork:
    """One channel, one column: a 1 x 1 weight of 3, and pooling."""
    one = np.ones(1, dtype=np.int64)
    edge = Edge(source="input", kind="conv", weight=3 * one.reshape(1, 1, 1, 1))
    layer = Layer(
        name="pooled", shape=(1, height, height), edges=(edge,), mult=one << 14, shift=15 * one, bias=0 * one,
        bias_mode="scaled", lo=0, hi=255, pool=pool,
    )  # fmt: skip
    return QuantizedNetwork(
        name="strip", input_shape=(1, height, height), input_signed=False, time_steps=8, membrane_bits=32,
        weight_bits=8, layers=(layer,),
    )  # fmt: skip


def test_by_hand() -> None:
    """Five rows, windows of 2 with stride 2: nobody needs the last row and column. With stride 1 rows are shared."""
    config = preset("test").replace(rows=2, cols=3)
    whole = {"input": [Place(tile=(0, 1))], "pooled": [Place(tile=(0, 2))]}
    x = np.zeros((2, 1, 5, 5), dtype=np.int64)
    x[1, 0, 4, 0] = 7  # three spikes on the last row
    network = strip(5, Pool(kernel=2, stride=2))
    image = place_network(network, config, whole)
    assert multiplicity(image, "pooled").sum() == 16
    assert duplicates(network, image, {"input": x}) == {"pooled": Duplicates(sops=-3)}
    assert TileModel(image).run(x).sops(image, "pooled") == reference.run(network, x).sops["pooled"] - 3 == 0

    network = strip(4, Pool(kernel=2, stride=1))
    split = whole | {"pooled": [Place(tile=(0, 2), rows=(0, 1)), Place(tile=(1, 2), rows=(1, 2))]}
    image = place_network(network, config, split)
    np.testing.assert_array_equal(multiplicity(image, "pooled")[0, :, 0], [1, 2, 1, 1])
    x = np.zeros((1, 1, 4, 4), dtype=np.int64)
    x[0, 0, 1, 2], x[0, 0, 2, 2] = 5, 255
    assert duplicates(network, image, {"input": x}) == {"pooled": Duplicates(sops=2)}
    narrow = replace(network, membrane_bits=8)
    x[0, 0, 1, 2] = 255
    found = duplicates(narrow, image, {"input": x})["pooled"]
    assert (found.sops, found.saturations) == (8, 3)  # V: 3, 9, 21, 45, 93, then three times beyond 127
