"""A network with every feature, on tiles chosen by hand: golden, tile model and RTL agree on every count.

Skips (an identity, and strided 1 x 1 edges by route phases, one of them from the input), pooling windows that overlap a
border between cores, fan-ins over two and three cores, and each kind of read-out, with random stalls of the host.
"""

import numpy as np
import pytest

from hdl.chip import chip_verilog
from sdann import reference
from sdann.duplicates import duplicates
from sdann.feature_network import FEATURE_CHIP, feature_image, feature_network
from sdann.graph import INPUT
from sdann.random_networks import random_input
from sdann.tile_model import TileModel
from sim.compare import check_astray, compare, require_equal
from sim.cosim import simulate


@pytest.fixture(scope="module")
def verilog() -> str:
    return chip_verilog(FEATURE_CHIP)


def check(network, image, x, result) -> None:
    """Every activation, read-out, and counter of every core."""
    golden, predicted = reference.run(network, x), TileModel(image).run(x)
    expected = {name: a for name, a in golden.activations.items() if name != INPUT}
    require_equal(compare("tiles", expected, {k: v for k, v in predicted.activations.items() if k != INPUT}, image))
    require_equal(compare("rtl", expected, result.activations, image))
    for outputs in (predicted.readout, result.outputs):
        np.testing.assert_array_equal(outputs, expected[network.layers[-1].name])
    for core, counters in predicted.counters.items():
        for counter, value in counters.items():
            assert result.counters[core][counter.name] == value, f"core {core}, {counter.name}"
    check_astray(result.counters, result.stray)
    extra = duplicates(network, image, golden.activations)
    for layer in network.layers:
        cores = [result.counters[c.y, c.x] for c in image.cores_of(layer.name)]
        more = extra[layer.name]
        assert sum(c["SOPS"] for c in cores) == golden.sops[layer.name] + more.sops
        assert sum(c["SATURATIONS"] for c in cores) == golden.saturations[layer.name] + more.saturations
        assert all(c["OVERFLOW"] == (c["SATURATIONS"] > 0) for c in cores)
    assert extra["stem"].sops > 0
    registers = image.manifest.registers
    assert result.windows == len(x) + registers.STAGES and registers.PARTS == 2
    assert result.barriers == result.windows * (registers.STEPS + registers.PARTS + 1)


CASES = [("exact", "act"), ("exact", "raw"), ("scaled", "wide")]
MORE = [("exact", "wide"), ("scaled", "act"), ("scaled", "raw")] + [("saturating", r) for r in ("act", "wide", "raw")]


@pytest.mark.parametrize(("mode", "readout"), [*CASES, *(pytest.param(*case, marks=pytest.mark.long) for case in MORE)])
def test_on_verilator(mode, readout, verilog, build_dir):
    network = feature_network(readout, mode=mode, signed_input=readout == "raw")
    image, x = feature_image(network), random_input(network, np.random.default_rng(1), 2)
    result = simulate(image, x, stall=0.2, seed=3, build_dir=build_dir, verilog=verilog)
    check(network, image, x, result)


SMALL = [("icarus", "exact", "raw")]
MORE_SMALL = [
    ("icarus", "scaled", "wide"), ("icarus", "exact", "act"), ("amaranth", "exact", "raw"),
    ("amaranth", "scaled", "wide"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("simulator", "mode", "readout"), [*SMALL, *(pytest.param(*case, marks=pytest.mark.long) for case in MORE_SMALL)]
)
def test_small_network_on_other_simulators(simulator, mode, readout, build_dir):
    network = feature_network(readout, mode=mode, small=True)
    image, x = feature_image(network), random_input(network, np.random.default_rng(1), 2)
    check(network, image, x, simulate(image, x, simulator=simulator, stall=0.2, seed=3, build_dir=build_dir))
