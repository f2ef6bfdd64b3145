"""Random graphs on random small chips: a mapping whose tile model is the golden, or a refusal that names the limit."""

import re
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.config import preset
from sdann import reference
from sdann.errors import DoesNotFitError, UnsupportedError
from sdann.graph import QuantizedNetwork
from sdann.mapper import plan_network
from sdann.mapper.work import count_spikes
from sdann.passes import run_passes
from sdann.random_networks import FEATURES, random_input, random_network
from sdann.tile_model import TileModel

LIMITS = (
    "cores", "neuron_words", "weight_words", "group_words", "act_words", "slots", "edges", "routes", "parts", "stages",
    "map_side", "map_groups", "isum_bits", "bias_bits", "mult_bits", "max_shift", "weight_bits", "readout_depth",
    "max_edge_shift", "clamps", "membrane_bits", "lanes", "signed", "rot", "drlo", "read by no layer",
)  # fmt: skip

FIELDS: dict[str, list[int]] = {
    "rows": [1, 2, 3, 5], "cols": [2, 3, 4, 6], "lanes": [2, 4, 8], "requant_lanes": [1, 2],
    "weight_words": [8, 64, 256, 2048], "neuron_words": [4, 16, 64, 256], "act_regions": [2, 4], "slots": [2, 3, 4, 8],
    "parts": [1, 2, 4], "group_words": [1, 2, 8], "edges": [1, 2, 4], "routes": [1, 2, 4, 16, 64],
    "readout_depth": [32, 128, 1024], "stages": [2, 4, 15], "map_side": [4, 8, 16], "map_groups": [2, 8],
}  # fmt: skip

chips = st.fixed_dictionaries({name: st.sampled_from(values[::-1]) for name, values in FIELDS.items()})


def network_of(seed: int, layers: int, mode: str) -> tuple[QuantizedNetwork, np.random.Generator]:
    rng = np.random.default_rng(seed)
    options: dict[str, dict[str, Any]] = {
        "exact": {}, "scaled": {"scaled": True, "membrane_bits": 16}, "saturating": {"membrane_bits": 13},
    }  # fmt: skip
    network = random_network(
        rng, layers=layers, channels=10, max_side=8, max_kernel=3, max_edges=3,
        features=[feature for feature in FEATURES if feature != "parts"], **options[mode],
    )  # fmt: skip
    return network, rng


@given(
    seed=st.integers(0, 2**32 - 1), layers=st.integers(1, 5), fields=chips, calibrated=st.booleans(),
    mode=st.sampled_from(["exact", "scaled", "saturating"]),
)  # fmt: skip
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_maps_right_or_says_why(seed: int, layers: int, fields: dict[str, int], calibrated: bool, mode: str) -> None:
    network, rng = network_of(seed, layers, mode)
    config = preset("test").replace(**fields, membrane_bits=network.membrane_bits)
    x = random_input(network, rng, 2)
    golden = reference.run(network, x)
    spikes = None
    if calibrated:
        spikes = count_spikes(network, golden.activations, config.lanes)
    try:
        mapped = plan_network(network, config, spikes=spikes)
        images = list(mapped.images())
    except (DoesNotFitError, UnsupportedError) as error:
        message = str(error)
    else:
        message = ""
    if message:
        assert any(re.search(rf"\b{limit}\b", message) for limit in LIMITS), message
        return
    found = run_passes(images, x, lambda image, sources: TileModel(image).run(sources).activations)
    for name, expected in golden.activations.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


def test_the_draws_reach_passes_parts_columns_and_relays() -> None:
    """What the test above is to cover does happen with chips like its own."""
    seen: set[str] = set()
    for seed in range(40):
        network, _ = network_of(seed, 4, "exact")
        config = preset("test").replace(
            rows=3, cols=3, slots=2 + seed % 2, neuron_words=16, weight_words=64, routes=64, edges=4, map_side=16,
            map_groups=8, readout_depth=1024, membrane_bits=network.membrane_bits,
        )  # fmt: skip
        try:
            mapped = plan_network(network, config)
        except (DoesNotFitError, UnsupportedError):
            seen.add("refused")
            continue
        grids = [grid for one in mapped.passes for grid in one.grids.values()]
        seen |= {"passes"} if len(mapped.passes) > 1 else {"one pass"}
        seen |= {"parts"} if any(len(grid.parts) > 1 for grid in grids) else set()
        seen |= {"columns"} if any(len(grid.columns) > 1 for grid in grids) else set()
        seen |= {"relays"} if len(mapped.relayed.layers) > len(network.layers) else set()
        seen |= {"bands"} if any(one.frame.extents[n] != whole(network, n) for one in mapped.passes
                                 for n in one.frame.layers if "@" not in n) else set()  # fmt: skip
    assert seen == {"refused", "passes", "one pass", "parts", "columns", "relays", "bands"}


def whole(network: QuantizedNetwork, name: str) -> Any:
    from sdann.mapper.manifest import RegionEntry

    channels, height, width = network.shape_of(name)
    return RegionEntry(y0=0, height=height, x0=0, width=width, channel0=0, channels=channels)
