"""Speed of a small core on Icarus, against what its masks imply; and that a lost cycle shows."""

import numpy as np
import pytest

from hdl.config import preset
from sim.core_rate import ProbedCore, full_layer, measure

CONFIG = preset("test").replace(weight_words=256)


def rate(build_dir, config, *, seed: int | None = None):
    network = full_layer(config, time_steps=2, side=4)
    if seed is None:
        sample = np.full(network.input_shape, 3)
    else:
        sample = np.random.default_rng(seed).integers(0, 4, network.input_shape)
    return measure(network, sample, config, build_dir=build_dir, simulator="icarus")


@pytest.mark.parametrize("ports", [1, 2])
def test_every_cycle_is_a_visit(build_dir, ports):
    config = CONFIG.replace(weight_ports=ports)
    full, random = rate(build_dir, config), rate(build_dir, config, seed=3)
    assert full.per_cycle("span") == full.pairing == config.lanes * ports
    assert random.pairing < full.pairing or ports == 1
    for found in (full, random):
        assert sum(step.sops for step in found.steps) == found.sops
        assert sum(step.visits for step in found.steps) == sum(step.span for step in found.steps) == found.visits
        assert all(step.cycles > step.span for step in found.steps)
    assert full.visits == 2 * (4 * 3 - 2) ** 2 * 2 * 2 * 4 // ports


def test_a_bubble_between_bundles_shows(build_dir, monkeypatch):
    elaborate = ProbedCore.elaborate

    def slow(self, platform):
        m = elaborate(self, platform)
        setup, accumulator = m.submodules.setup, m.submodules.accumulator
        m.d.comb += [  # no job in the cycle of a visit, not even of the last one
            accumulator.i.valid.eq(setup.o.valid & ~accumulator.working),
            setup.o.ready.eq(accumulator.i.ready & ~accumulator.working),
        ]
        return m

    monkeypatch.setattr(ProbedCore, "elaborate", slow)
    found = rate(build_dir, CONFIG)
    bundles = 16 * 2 * 2
    assert sum(step.visits for step in found.steps) == found.visits
    assert sum(step.span for step in found.steps) == found.visits + bundles - len(found.steps)
