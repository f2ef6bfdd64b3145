"""sdann.fast.pipeline: Figure 11's schedule."""

import numpy as np

from sdann import stem
from sdann.fast import SpikingNetwork, pipeline_schedule
from sdann.random_networks import random_input, random_network


def test_schedule_of_a_chain() -> None:
    rng = np.random.default_rng(3)
    network = random_network(rng, layers=3, edge_kinds=["conv"], signed_output=False)
    x = random_input(network, rng, 2)
    schedule = pipeline_schedule(network, SpikingNetwork(network).run(x, record=["spikes"]))
    assert schedule.windows == 5 and list(schedule.stages.values()) == [0, 1, 2, 3]
    assert [held.tolist() for held in schedule.integrates.values()] == [
        [0, 1, -1, -1, -1], [-1, 0, 1, -1, -1], [-1, -1, 0, 1, -1],
    ]  # fmt: skip
    assert [held.tolist() for held in schedule.emits.values()] == [
        [0, 1, -1, -1, -1], [-1, 0, 1, -1, -1], [-1, -1, 0, 1, -1], [-1, -1, -1, 0, 1],
    ]  # fmt: skip
    trains = stem.run(network, x).spikes
    assert list(schedule.spikes) == list(trains)
    for name, train in trains.items():
        per_window = schedule.spikes[name].reshape(5, 8)
        for window, sample in enumerate(schedule.emits[name]):
            expected = train[:, sample].sum(axis=(1, 2, 3)) if sample >= 0 else np.zeros(8)
            assert per_window[window].tolist() == expected.tolist()
    assert any(shown.any() for shown in schedule.spikes.values())


def test_stages_are_longest_paths() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        network = random_network(rng, layers=4, features=["skips"], max_edges=3)
        x = random_input(network, rng, 3)
        schedule = pipeline_schedule(network, SpikingNetwork(network).run(x, record=["spikes"]))
        skips = 0
        for layer in network.layers:
            ages = [schedule.stages[layer.name] - schedule.stages[edge.source] for edge in layer.edges]
            assert min(ages) == 1
            skips += max(ages) > 1
            for edge, age in zip(layer.edges, ages, strict=True):  # what it integrates was emitted age - 1 windows ago
                held, sent = schedule.integrates[layer.name], schedule.emits[edge.source]
                for window in np.flatnonzero(held >= 0):
                    assert sent[window - (age - 1)] == held[window]
        if skips:
            return
    raise AssertionError("no skip was drawn")
