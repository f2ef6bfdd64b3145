"""What a mapping costs: figures of the cores that work, and a judge that decides by cycles."""

import numpy as np
import pytest

from hdl.config import preset
from sdann import reference
from sdann.graph import QuantizedNetwork
from sdann.mapper import plan_network
from sdann.mapper.work import count_spikes
from sdann.mapping_cost import judge_cycles, pass_cost
from sdann.random_networks import random_input, random_network
from sdann.tile_model import TileModel

CHIP = preset("test").replace(rows=4, cols=4, routes=32, edges=4, readout_depth=512)


@pytest.fixture(scope="module")
def case() -> tuple[QuantizedNetwork, dict[str, np.ndarray]]:
    network = random_network(np.random.default_rng(0), layers=3, channels=9, max_side=8, features=["pool"])
    x = random_input(network, np.random.default_rng(6), 3)
    return network, reference.run(network, x).activations


def test_figures(case: tuple[QuantizedNetwork, dict[str, np.ndarray]]) -> None:
    network, activations = case
    mapped = plan_network(network, CHIP, spikes=count_spikes(network, activations, CHIP.lanes), one_pass=True)
    cost = pass_cost(mapped, 0, activations, 3)
    assert cost.cores == mapped.passes[0].cores
    assert len(cost.report.full) == 3
    # three samples in three full windows: each core has done the SOPs of all of them
    (name,) = cost.samples
    found = TileModel(cost.image).run(activations[name])
    sops = [counts[c] for counts in found.counters.values() for c in counts if c.name == "SOPS" and counts[c]]
    assert cost.working == len(sops) < cost.cores
    assert cost.busiest_over_mean == pytest.approx(max(sops) / (sum(sops) / len(sops)))
    assert cost.bounds.cycles == pytest.approx(cost.report.per_sample)


def test_the_judge_decides(case: tuple[QuantizedNetwork, dict[str, np.ndarray]]) -> None:
    network, activations = case
    spikes = count_spikes(network, activations, CHIP.lanes)
    judge, seen = judge_cycles(network, CHIP, activations), []

    def told(sign: int):  # type: ignore[no-untyped-def]
        def cycles(image):  # type: ignore[no-untyped-def]
            seen.append(judge(image))
            return sign * seen[-1]

        return cycles

    plain = judge(plan_network(network, CHIP, spikes=spikes).image(0))
    best = plan_network(network, CHIP, spikes=spikes, judge=told(1))
    assert plain in seen
    assert judge(best.image(0)) == min(seen) < max(seen)  # else nothing is decided
    worst = plan_network(network, CHIP, spikes=spikes, judge=told(-1))
    assert judge(worst.image(0)) == max(seen)
    again = plan_network(network, CHIP, spikes=spikes, judge=judge)
    assert again.image(0).manifest == best.image(0).manifest


def test_passes_take_the_activations_between_them(case: tuple[QuantizedNetwork, dict[str, np.ndarray]]) -> None:
    network, activations = case
    small = CHIP.replace(stages=2)
    mapped = plan_network(network, small, spikes=count_spikes(network, activations, small.lanes))
    assert len(mapped.passes) > 1
    for number in range(len(mapped.passes)):
        cost = pass_cost(mapped, number, activations, 2)
        assert len(cost.report.full) == 2 and cost.bounds.visits > 0
