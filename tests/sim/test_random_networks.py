"""Random networks on one chip's RTL: kernels, strides, paddings, odd sizes, depthwise, linear, all modes. Every
neuron.
"""

from dataclasses import replace

import numpy as np
import pytest

from hdl.chip import chip_verilog
from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.errors import DoesNotFitError
from sdann.graph import INPUT
from sdann.mapper import map_network
from sdann.random_networks import random_input, random_network
from sdann.tile_model import TileModel
from sim.compare import check_astray, compare, require_equal
from sim.cosim import simulate

CONFIG = preset("test").replace(rows=3, cols=3, neuron_words=64, weight_words=256, membrane_bits=16)
MODES = {
    "saturating": {"scaled": False},
    "scaled": {"scaled": True},
    "two edges": {"scaled": False, "max_edges": 2},
    "four steps": {"scaled": True, "time_steps": 4},
    "narrow weights": {"scaled": False, "weight_bits": 3, "time_steps": 5, "max_kernel": 5},
}
SEEDS = range(4)


@pytest.fixture(scope="module")
def verilog() -> str:
    return chip_verilog(CONFIG)


def fitting_case(seed: int, options: dict) -> tuple:
    """The first random network from ``seed`` on that the chip has room for."""
    for attempt in range(50):
        rng = np.random.default_rng([seed, attempt])
        network = random_network(rng, membrane_bits=CONFIG.membrane_bits, max_side=5, channels=7, **options)
        try:
            return network, map_network(network, CONFIG), random_input(network, rng, 2)
        except DoesNotFitError:
            continue
    raise AssertionError("no random network fits this chip: draw smaller ones")


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("seed", SEEDS)
def test_random_network(verilog, build_dir, mode, seed):
    network, image, x = fitting_case(seed, MODES[mode])
    result = simulate(image, x, simulator="verilator", stall=0.2, seed=seed, build_dir=build_dir, verilog=verilog)
    golden = reference.run(network, x)
    expected = {name: a for name, a in golden.activations.items() if name != INPUT}
    require_equal(compare(f"rtl, mode {mode}, seed {seed}", expected, result.activations, image))
    np.testing.assert_array_equal(result.outputs, expected[network.layers[-1].name])
    assert result.total(Counter.SOPS) == sum(golden.sops.values())
    assert result.total(Counter.SATURATIONS) == sum(golden.saturations.values())
    check_astray(result.counters, result.stray)
    for core, counters in TileModel(image).run(x).counters.items():
        for counter, value in counters.items():
            assert result.counters[core][counter.name] == value, f"core {core}, {counter}"


def test_a_wrong_weight_in_the_golden_is_noticed(verilog, build_dir):
    network, image, x = fitting_case(0, MODES["scaled"])
    result = simulate(image, x, simulator="verilator", build_dir=build_dir, verilog=verilog)
    weight = network.layers[0].edges[0].weight.copy()
    weight.flat[0] ^= 32
    edge = replace(network.layers[0].edges[0], weight=weight)
    layer = replace(network.layers[0], edges=(edge, *network.layers[0].edges[1:]))
    golden = reference.run(replace(network, layers=(layer, *network.layers[1:])), x)
    expected = {name: a for name, a in golden.activations.items() if name != INPUT}
    assert any(row.mismatches for row in compare("rtl", expected, result.activations, image))
