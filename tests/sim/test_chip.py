"""The whole chip, in all three simulators, against the golden: every activation of every layer, and its counters."""

import numpy as np
import pytest

from hdl.program import Counter
from sdann import reference
from sdann.errors import MismatchError
from sdann.membrane import with_membrane
from sdann.tile_model import TileModel
from sim.compare import check_astray, compare, require_equal
from sim.cosim import simulate
from sim.driver import ChipError

from .conftest import Case, make_case, small_network, small_samples

SIMULATORS = ["amaranth", "icarus", "verilator"]


def check_against_golden(case: Case, result) -> None:
    """Activations, read-outs, SOPs and saturations are the golden's; no flit went astray."""
    golden = reference.run(case.network, case.samples)
    require_equal(compare("rtl", case.expected, result.activations, case.image))
    np.testing.assert_array_equal(result.outputs, case.expected[case.network.layers[-1].name])
    assert result.total(Counter.SOPS) == sum(golden.sops.values()) > 0
    assert result.total(Counter.SATURATIONS) == sum(golden.saturations.values())
    check_astray(result.counters, result.stray)


@pytest.mark.parametrize(
    ("simulator", "stall"),
    [
        pytest.param("amaranth", 0.0, marks=pytest.mark.long), pytest.param("amaranth", 0.4, marks=pytest.mark.long),
        pytest.param("icarus", 0.0, marks=pytest.mark.long), ("icarus", 0.4), ("verilator", 0.0), ("verilator", 0.4),
    ],
)  # fmt: skip
def test_every_activation_is_the_goldens(small, small_verilog, build_dir, simulator, stall):
    result = simulate(
        small.image, small.samples, simulator=simulator, stall=stall, seed=7, build_dir=build_dir, verilog=small_verilog
    )
    check_against_golden(small, result)
    for name, activations in small.expected.items():
        assert (activations != 0).mean() >= 0.1, f"{name} is nearly dead: the comparison would mean little"


def test_counters_are_the_tile_models(small, small_verilog, build_dir):
    result = simulate(small.image, small.samples, simulator="verilator", build_dir=build_dir, verilog=small_verilog)
    predicted = TileModel(small.image).run(small.samples).counters
    assert set(result.counters) == set(predicted)
    for core, counters in predicted.items():
        for counter, value in counters.items():
            assert result.counters[core][counter.name] == value, f"core {core}, {counter}"


def test_same_cycles_in_all_simulators_and_one_sample_per_window(small, small_verilog, build_dir):
    """Paper, Figure 11: K samples take K + layers windows."""
    samples = small.samples[:2]
    results = {
        simulator: simulate(
            small.image, samples, simulator=simulator, mode="stream", build_dir=build_dir, verilog=small_verilog
        )
        for simulator in SIMULATORS
    }
    cycles = {result.cycles for result in results.values()}
    assert len(cycles) == 1 and cycles.pop() > 0
    for result in results.values():
        assert result.windows == len(samples) + len(small.network.layers)
        assert result.samples == len(samples)
        assert result.barriers == result.windows * (small.network.time_steps + 1)
        np.testing.assert_array_equal(result.outputs, small.expected["out"][:2])


def test_late_host_changes_no_result(small, small_verilog, build_dir):
    """A host that stalls 99 cycles of 100 makes bubbles in the pipeline, and nothing else."""
    result = simulate(
        small.image, small.samples, simulator="verilator", mode="stream", stall=0.99, seed=1, build_dir=build_dir,
        verilog=small_verilog, answer_limit=2_000_000,
    )  # fmt: skip
    assert result.windows > len(small.samples) + len(small.network.layers)
    np.testing.assert_array_equal(result.outputs, small.expected["out"])
    assert result.total(Counter.SOPS) == sum(reference.run(small.network, small.samples).sops.values())


def test_comparison_notices_a_missing_layer(small):
    found = dict(small.expected)
    del found["pool"]
    with pytest.raises(MismatchError, match="pool"):
        compare("rtl", small.expected, found)


def test_fewer_steps_than_the_chip_has(build_dir):
    case = make_case(small_network(time_steps=4))
    result = simulate(case.image, case.samples, simulator="verilator", build_dir=build_dir)
    check_against_golden(case, result)


def test_image_of_another_chip_is_refused(small, build_dir):
    from hdl.chip import chip_verilog

    other = chip_verilog(small.config.replace(weight_words=256))
    with pytest.raises(ChipError, match="map the network again"):
        simulate(small.image, small.samples, simulator="icarus", build_dir=build_dir, verilog=other)


@pytest.mark.parametrize("scaled", [False, True])
def test_16_bit_membrane(build_dir, scaled):
    """Without scaled integration V saturates, flag and count are read back; with it, its own golden is met (eqs.
    15-19).
    """
    wide = small_network()
    calibration = small_samples(wide, 20, seed=9)
    case = make_case(with_membrane(wide, 16, scaled=scaled, calibration=calibration))
    result = simulate(case.image, case.samples, simulator="verilator", build_dir=build_dir)
    check_against_golden(case, result)
    golden = reference.run(case.network, case.samples)
    for layer in case.image.manifest.layers[1:]:
        counters = [result.counters[core.y, core.x] for core in case.image.cores_of(layer.name)]
        assert sum(c["SATURATIONS"] for c in counters) == golden.saturations[layer.name]
        assert all(c["OVERFLOW"] == (c["SATURATIONS"] > 0) for c in counters)
    assert (result.total(Counter.SATURATIONS) > 0) is not scaled
