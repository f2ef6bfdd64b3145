"""Bounds and shares of a window: in order, adding up, and each of the cores that it names."""

from dataclasses import replace

import numpy as np
import pytest

from sdann.cycles import CycleReport, bounds_of, layer_bounds, predict, shares_of
from sdann.feature_network import feature_image, feature_network
from sdann.random_networks import random_input


@pytest.fixture(scope="module")
def report() -> CycleReport:
    network = feature_network()
    return predict(feature_image(network), random_input(network, np.random.default_rng(2), 9))[0]


def test_bounds_are_in_order(report: CycleReport) -> None:
    whole = bounds_of(report)
    assert whole.cycles == pytest.approx(report.per_sample)
    assert whole.peak == pytest.approx(report.bound)
    found = [whole, *(row.bounds for row in layer_bounds(report))]
    assert len(found) > 3
    for bounds in found:
        assert 0 < bounds.peak <= bounds.visits < bounds.chip <= bounds.cycles <= whole.cycles
        assert bounds.over_chip <= bounds.over_visits <= bounds.over_peak
        assert bounds.as_dict()["over_visits"] == bounds.cycles / bounds.visits
    assert whole.visits >= max(row.bounds.visits for row in layer_bounds(report))


def test_layers_are_those_that_compute(report: CycleReport) -> None:
    rows = layer_bounds(report)
    assert [row.layer for row in rows] == [name for name in dict.fromkeys(report.layers) if name != "input"]
    assert sum(row.cores for row in rows) == sum(name != "input" for name in report.layers)


def test_shares_add_up(report: CycleReport) -> None:
    shares = shares_of(report)
    parts = shares.visits, shares.passes, shares.waiting, shares.barrier, shares.ending, shares.start
    assert sum(parts) == pytest.approx(report.per_sample)
    assert min(parts) > 0
    assert shares.visits <= bounds_of(report).visits


def test_a_visit_and_a_cycle_more_are_noticed(report: CycleReport) -> None:
    window = report.full[0]
    number, phase = next((n, p) for n, p in enumerate(report.phases) if p.window == window and p.busy.any())
    busy = phase.busy.copy()
    busy[phase.busiest] += len(report.full)
    more = replace(phase, busy=busy)
    changed = replace(report, phases=(*report.phases[:number], more, *report.phases[number + 1 :]))
    assert bounds_of(changed).visits == pytest.approx(bounds_of(report).visits + 1)
    longer = replace(phase, cycles=phase.cycles + len(report.full))
    changed = replace(report, phases=(*report.phases[:number], longer, *report.phases[number + 1 :]))
    assert bounds_of(changed).cycles == pytest.approx(bounds_of(report).cycles + 1)
    assert shares_of(changed).barrier == pytest.approx(shares_of(report).barrier + 1)
