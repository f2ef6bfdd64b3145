"""Random programs cover what descriptors may say, and the core's RTL runs all of them as the models do."""

import copy

import pytest

from sdann.feature_network import feature_image, feature_network
from sim.coverage import DIMENSIONS, Coverage, bins, feasible, records
from sim.coverage_run import covering_cases, run_cases
from sim.toolchain import BenchError


@pytest.fixture(scope="module")
def covering():
    return covering_cases(0)


def test_every_value_of_every_dimension_is_in_a_bin():
    found = {pair for some in bins() for pair in some}
    wanted = {(name, value) for name, values in DIMENSIONS.items() for value in values}
    assert wanted == found
    assert all(feasible(dict(some)) for some in bins())


def test_all_bins_are_hit(covering):
    cases, coverage = covering
    assert coverage.missing == [] and coverage.rows()[-1][1:] == (len(bins()), len(bins()))
    assert len(cases) == coverage.cores > 50


def test_what_a_program_lacks_is_missing():
    image = feature_image(feature_network("act"))
    coverage = Coverage()
    coverage.add(image)
    hit = {name: {record[name] for record in records(image) if name in record} for name in DIMENSIONS}
    assert hit["mode"] == {"exact"} and 7 not in hit["kernel_h"]
    assert (("kernel_h", 7), ("mode", "exact")) in coverage.missing
    assert 0 < len(coverage.missing) < len(bins())


@pytest.mark.parametrize("simulator", ["verilator", pytest.param("icarus", marks=pytest.mark.long)])
def test_rtl_equals_the_models(covering, simulator, build_dir, tmp_path):
    cases, _ = covering
    assert run_cases(cases, simulator=simulator, folder=tmp_path, build_dir=build_dir).tests


@pytest.mark.parametrize("what", ["activations", "sent", "membranes"])
def test_a_wrong_expectation_is_noticed(covering, build_dir, tmp_path, what):
    case = copy.deepcopy(
        next(case for case in covering[0] if getattr(case, what) and any(case.sent) == (what == "sent"))
    )
    words = next(flits for flits in case.sent if flits) if what == "sent" else getattr(case, what)
    words[-1] ^= 1
    with pytest.raises(BenchError, match="failed"):
        run_cases([case], simulator="verilator", folder=tmp_path, build_dir=build_dir)
