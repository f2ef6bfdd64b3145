"""Random networks with every feature on random tiles: the tile model is the golden, and duplicates are foretold."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.assembler import place_network
from sdann.check import check_network
from sdann.duplicates import duplicates
from sdann.errors import DoesNotFitError
from sdann.mapper import ImageError
from sdann.random_networks import FEATURES, random_input, random_network
from sdann.random_places import random_places, with_chip_parts
from sdann.tile_model import TileModel

MODES: dict[str, dict[str, Any]] = {
    "exact": {},
    "T = 5": {"time_steps": 5},
    "scaled 16 bit": {"scaled": True, "membrane_bits": 16},
    "saturating": {"membrane_bits": 13},
    "signed": {"signed_input": True, "signed_output": True},
}


@pytest.mark.parametrize("mode", MODES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_equals_golden(mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = MODES[mode]
    network = random_network(
        rng,
        layers=int(rng.integers(1, 6)),
        channels=9,
        max_side=7,
        max_kernel=4,
        max_edges=3,
        features=FEATURES,
        **options,
    )
    config = preset("test").replace(
        rows=8, cols=8, lanes=int(rng.choice([2, 4, 8])), requant_lanes=int(rng.choice([1, 2])), weight_words=2048,
        neuron_words=256, routes=64, group_words=5, membrane_bits=network.membrane_bits, edges=12, slots=8,
        act_regions=8, readout_depth=4096, time_steps=int(rng.choice([8, 9])), data_bits=int(rng.choice([8, 16])),
    )  # fmt: skip
    network = with_chip_parts(network, rng, config)
    check_network(network)
    places = random_places(network, rng, config)
    assume(places is not None)
    assert places is not None
    try:
        image = place_network(network, config, places)
    except (DoesNotFitError, ImageError) as error:
        # what a chip cannot do: too many routes, ages, words; or a clamp that does not begin at 0
        if not any(word in str(error) for word in ("the chip has", "holds", "clamp", "exceed")):
            raise
        assume(False)
    x = random_input(network, rng, 2)
    golden, found = reference.run(network, x), TileModel(image).run(x)
    again = duplicates(network, image, golden.activations)
    for name, activations in golden.activations.items():
        np.testing.assert_array_equal(found.activations[name], activations, err_msg=name)
    np.testing.assert_array_equal(found.readout, golden.activations[network.layers[-1].name])
    for layer in network.layers:
        cores = [found.counters[c.y, c.x] for c in image.cores_of(layer.name)]
        extra = again[layer.name]
        assert sum(c[Counter.SOPS] for c in cores) == golden.sops[layer.name] + extra.sops, layer.name
        assert sum(c[Counter.SATURATIONS] for c in cores) == golden.saturations[layer.name] + extra.saturations
    assert not found.stray
    assert not any(c[Counter.REJECTED] or c[Counter.DROPPED] for c in found.counters.values())
