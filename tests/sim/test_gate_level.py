"""The netlist that synthesis makes for ECP5, with models of its cells, in the chip bench: every activation and counter.

Memories there differ most from the RTL's: what a read gives that meets a write, and what block RAMs are made of.
Took 27 minutes on two cores with much other work, most of them in the C++ compiler:
`pytest -m long tests/sim/test_gate_level.py`.
"""

import hashlib
import re

import numpy as np
import pytest

from hdl.chip import chip_verilog
from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.errors import ChipError, DoesNotFitError, MismatchError
from sdann.fpga.gates import chip_gates
from sdann.graph import INPUT
from sdann.mapper import map_network
from sdann.random_networks import random_input, random_network
from sdann.tile_model import TileModel
from sim.compare import check_astray, compare, require_equal
from sim.cosim import simulate
from sim.process import cached_build

pytestmark = pytest.mark.long

CONFIG = preset("test").replace(
    rows=2, cols=2, lanes=2, requant_lanes=1, isum_bits=18, membrane_bits=20, mult_bits=12, max_shift=23,
    counter_bits=24, queue_depth=4,
)  # fmt: skip
"""Small, for the sake of the C++ compiler; all kinds of memories and arithmetic are there."""


@pytest.fixture(scope="module")
def gates(build_dir) -> str:
    text = chip_verilog(CONFIG)
    folder = build_dir / f"gates-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    made, _ = cached_build(folder, lambda part: (part / "chip.v").write_text(chip_gates(CONFIG, part)))
    return (made / "chip.v").read_text()


def fitting_case(seed: int) -> tuple:
    """The first random network from ``seed`` on that the chip has room for."""
    for attempt in range(50):
        rng = np.random.default_rng([seed, attempt])
        network = random_network(
            rng, layers=2, max_side=5, channels=5, edge_kinds=("conv", "linear"), signed_input=True,
            membrane_bits=CONFIG.membrane_bits, mult_bits=CONFIG.mult_bits, max_shift=CONFIG.max_shift,
        )  # fmt: skip
        try:
            return network, map_network(network, CONFIG), random_input(network, rng, 2)
        except DoesNotFitError:
            continue
    raise AssertionError("no random network fits this chip: draw smaller ones")


def check(seed: int, verilog: str, build_dir) -> None:
    """The bench on ``verilog``: activations, read-outs and counters are the golden's and the tile model's."""
    network, image, x = fitting_case(seed)
    golden = reference.run(network, x)
    expected = {name: a for name, a in golden.activations.items() if name != INPUT}
    result = simulate(
        image, x, simulator="verilator", stall=0.2, seed=seed, build_dir=build_dir, verilog=verilog, step_limit=20_000
    )
    require_equal(compare("gates", expected, result.activations, image))
    np.testing.assert_array_equal(result.outputs, expected[network.layers[-1].name])
    assert result.total(Counter.SOPS) == sum(golden.sops.values()) > 0
    check_astray(result.counters, result.stray)
    for core, counters in TileModel(image).run(x).counters.items():
        for counter, value in counters.items():
            assert result.counters[core][counter.name] == value, f"core {core}, {counter}"


@pytest.mark.parametrize("seed", range(3))
def test_gates_compute_what_the_golden_does(gates, build_dir, seed):
    check(seed, gates, build_dir)


def test_one_damaged_lut_is_noticed(gates, build_dir):
    lut = re.search(r"LUT4 #\(\s*\.INIT\(16'h([0-9a-f]{4})\)\s*\) \\accumulator\.pair_0_\S+ ", gates)
    assert lut is not None, "the netlist has no LUT of the accumulator's sum"
    damaged = gates[: lut.start(1)] + f"{int(lut[1], 16) ^ 0xFFFF:04x}" + gates[lut.end(1) :]
    with pytest.raises((MismatchError, ChipError)):
        check(0, damaged, build_dir)
