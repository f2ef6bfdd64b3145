"""A network larger than the chip, in several passes: golden, tile model and RTL agree on every activation."""

import numpy as np
import pytest

from hdl.chip import chip_verilog
from hdl.config import preset
from hdl.program import Memory
from sdann import reference
from sdann.errors import SdannError
from sdann.mapper import plan_network
from sdann.random_networks import random_input, random_network
from sim.compare import require_equal
from sim.passes import simulate_passes

CHIP = preset("test").replace(
    rows=2, cols=3, neuron_words=16, weight_words=96, routes=16, edges=3, slots=3, parts=3, act_regions=4, map_side=16,
    readout_depth=256,
)  # fmt: skip


def networks():
    """Networks whose maps together have bands of one layer, several sources of a pass, parts and a relay."""
    for seed in (17, 30):
        yield seed, random_network(
            np.random.default_rng(seed), layers=3, channels=12, max_side=8, max_edges=3, features=["skips", "pool"],
            signed_output=seed % 2 == 0,
        )  # fmt: skip


@pytest.fixture(scope="module")
def verilog() -> str:
    return chip_verilog(CHIP)


@pytest.mark.parametrize(("seed", "network"), [pytest.param(*case, id=str(case[0])) for case in networks()])
def test_on_verilator(seed, network, verilog, build_dir):
    x = random_input(network, np.random.default_rng(seed), 2)
    golden = reference.run(network, x)
    mapped = plan_network(network, CHIP)
    images = list(mapped.images())
    assert len(images) > 1
    found = simulate_passes(images, x, stall=0.1, seed=seed, build_dir=build_dir, verilog=verilog)
    require_equal(found.against(network, golden.activations))
    assert found.problems == () and len(found.runs) == len(images) and found.cycles > 0


def test_the_networks_show_what_passes_are():
    seen = set()
    for _, network in networks():
        mapped = plan_network(network, CHIP)
        seen |= {"relays"} if len(mapped.relayed.layers) > len(network.layers) else set()
        for one in mapped.passes:
            seen |= {"several sources"} if len(one.frame.sources) > 1 else set()
            seen |= {"parts"} if any(len(grid.parts) > 1 for grid in one.grids.values()) else set()
            own = {name: extent for name, extent in one.frame.layers.items() if "@" not in name}
            seen |= {"bands"} if any(e.size < np.prod(network.shape_of(n)) for n, e in own.items()) else set()
    assert seen == {"relays", "several sources", "parts", "bands"}


def test_a_pass_with_wrong_weights_is_noticed(verilog, build_dir):
    """The fault is in the first pass; what it spoils goes through the host into the later ones."""
    _, network = next(networks())
    x = random_input(network, np.random.default_rng(0), 1)
    golden = reference.run(network, x)
    images = list(plan_network(network, CHIP).images())
    image = images[0]
    core = next(c for c, entry in image.cores.items() if entry.stage > 0)
    for address, word in enumerate(image.words(core, Memory.WEIGHT)):
        image = image.with_word(core, Memory.WEIGHT, address, word ^ 0x60606060)  # another weight in every lane
    found = simulate_passes([image, *images[1:]], x, build_dir=build_dir, verilog=verilog)
    wrong = {row.layer for row in found.against(network, golden.activations) if row.mismatches}
    assert wrong == {layer.name for layer in network.layers}


def test_programs_out_of_order_are_refused():
    _, network = next(networks())
    x = random_input(network, np.random.default_rng(0), 1)
    images = list(plan_network(network, CHIP).images())
    with pytest.raises(SdannError, match="pass 1 comes where pass 0 is due"):
        simulate_passes(images[1:], x)
    with pytest.raises(SdannError, match="0 of 1 passes are given"):
        simulate_passes([], x)
