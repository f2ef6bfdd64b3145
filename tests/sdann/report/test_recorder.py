"""Windows of a run, against the golden model of one sample at a time, and against the run's own counters."""

import numpy as np
import pytest

from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.graph import INPUT
from sdann.mapper import map_network
from sdann.report import WindowRecorder
from sdann.report.recorder import RECORDED
from sdann.tile_model import TileModel


@pytest.fixture(scope="module")
def run(source):
    """(image, recorder, counters by name)."""
    image = map_network(source.network, preset("demo"))
    recorder = WindowRecorder(image)
    found = TileModel(image).run(source.x, observer=recorder)
    return image, recorder, {tile: {c.name: n for c, n in values.items()} for tile, values in found.counters.items()}


@pytest.fixture(scope="module")
def golden(source):
    """The golden model's results, sample by sample."""
    return [reference.run(source.network, source.x[n : n + 1]) for n in range(len(source.x))]


def test_every_window_does_what_the_pipeline_says(source, run):
    _, recorder, _ = run
    stages = len(source.network.layers)
    rows = [(INPUT, "sends"), *((layer.name, "integrates") for layer in source.network.layers)]
    assert recorder.rows == [*rows, (source.network.layers[-1].name, "read out")]
    assert len(recorder.windows) == len(source.x) + stages
    for number, window in enumerate(recorder.windows):
        wanted = {row: number - max(0, stage - 1) for stage, row in enumerate(recorder.rows)}
        assert window.work == {row: sample for row, sample in wanted.items() if 0 <= sample < len(source.x)}


def test_operations_of_a_window_are_those_of_its_samples(source, run, golden):
    image, recorder, _ = run
    for window in recorder.windows:
        for layer in source.network.layers:
            cores = [(core.y, core.x) for core in image.cores_of(layer.name)]
            sample = window.work.get((layer.name, "integrates"))
            wanted = 0 if sample is None else golden[sample].sops[layer.name]
            assert sum(window.counters[core][Counter.SOPS] for core in cores) == wanted


def test_spikes_of_a_step_are_bits_of_activations(source, run, golden):
    image, recorder, _ = run
    steps = source.network.time_steps
    for layer in image.manifest.layers:
        a = np.concatenate([found.activations[layer.name] for found in golden])
        bits = [int(((a >> (steps - 1 - t)) & 1).sum()) for t in range(steps)]
        last = layer.name == source.network.layers[-1].name
        assert recorder.spikes[layer.name].tolist() == ([0] * steps if last else bits)


def test_windows_and_links_add_up_to_the_counters(run):
    _, recorder, counters = run
    assert recorder.disagreements(counters) == []
    assert sum(sum(window.flits.values()) for window in recorder.windows) > 0


@pytest.mark.parametrize("counter", RECORDED)
def test_a_counter_that_is_off_by_one_is_named(run, counter):
    image, recorder, counters = run
    core = next(iter(image.cores))
    wrong = {**counters, core: {**counters[core], counter.name: counters[core][counter.name] + 1}}
    found = recorder.disagreements(wrong)
    assert f"tile {core}: {counter.name} is {wrong[core][counter.name]}, its windows add up to" in found[0]


def test_a_lost_bundle_and_a_lost_spike_are_noticed(run):
    _, recorder, counters = run
    window = next(window for window in recorder.windows if window.flits)
    link = next(iter(window.flits))
    window.flits[link] -= 1
    recorder.spikes[INPUT][0] -= 1
    found = recorder.disagreements(counters)
    window.flits[link] += 1
    recorder.spikes[INPUT][0] += 1
    assert len(found) == 2
    assert found[0].startswith(f"tile {link[:2]}: HOPS is") and "its links add up to" in found[0]
    assert found[1].startswith("layer 'input': SPIKES_OUT is") and "its time steps add up to" in found[1]
