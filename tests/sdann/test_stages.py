"""Every stage agrees on a sound network, and every stage notices a fault."""

from dataclasses import replace

import numpy as np
import pytest

import sdann.stages
from hdl.config import preset
from hdl.program import Counter, Memory
from sdann.duplicates import duplicates
from sdann.errors import SdannError
from sdann.feature_network import feature_image, feature_network
from sdann.graph import INPUT
from sdann.mapper import map_network
from sdann.random_networks import random_input, random_network
from sdann.results import broken, rtl_figures, stage_data
from sdann.stages import Stages, failures
from sdann.tile_model import TileModel
from sim.compare import Difference
from sim.result import RunResult

SAMPLES = 4


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(4)
    network = random_network(rng, layers=2, channels=5, max_side=4, sparsity=False, edge_kinds=("conv", "linear"))
    return network, map_network(network, preset("test")), random_input(network, rng, SAMPLES)


def chip_run(image, x, mode) -> RunResult:
    """What a faultless chip would report."""
    found = TileModel(image).run(x)
    counters = {
        core: {c.name: 0 for c in Counter} | {c.name: n for c, n in values.items()}
        for core, values in found.counters.items()
    }
    activations = {k: v for k, v in found.activations.items() if k != INPUT} if mode == "observe" else {}
    windows = len(x) + image.manifest.registers.STAGES
    return RunResult(
        outputs=found.readout, activations=activations, counters=counters, windows=windows, samples=len(x), cycles=1000
    )


@pytest.fixture
def chip(monkeypatch):
    """Replaces the co-simulation by the tile model; faults: functions that spoil the run of a mode."""
    faults = {}

    def simulate(image, x, *, mode, progress, **options):
        run = chip_run(image, x, mode)
        faults.get(mode, lambda run: None)(run)
        return run

    monkeypatch.setattr("sim.cosim.simulate", simulate)
    monkeypatch.setattr("sim.cosim.locate_step", lambda difference, *args, **options: replace(difference, step=5))
    return faults


def test_sound_stages(case, chip):
    network, image, x = case
    stages = Stages(network, x)
    results = [stages.golden_model(), stages.spiking_model(), stages.tile_model(image)]
    rtl, runs = stages.rtl(image)
    results.append(rtl)
    neurons = sum(int(np.prod(layer.shape)) for layer in network.layers)
    assert failures(results) == []
    for result in results:
        assert (result.compared, result.mismatches) == (SAMPLES * neurons, 0)
        assert result.sops == sum(stages.golden.sops.values()) > 0
        assert set(result.as_dict()) == {
            "name", "samples", "compared", "mismatches", "accuracy", "sops", "cycles", "saturations", "duplicate_sops",
        }  # fmt: skip
    assert [r.cycles for r in results] == [None, None, None, 1000]
    figures = rtl_figures(image, runs)
    assert broken(figures) == [] and figures[0].value == SAMPLES + 2
    data = stage_data(results, image, figures)
    assert data["first_difference"] is None and [row["layer"] for row in data["layers"]] == list(stages.expected)


def test_accuracy_and_labels(case):
    network, _, x = case
    outputs = Stages(network, x).golden.activations[network.layers[-1].name].reshape(SAMPLES, -1)
    labels = outputs.argmax(axis=1)
    labels[0] = (labels[0] + 1) % 1000
    stage = Stages(network, x, labels).spiking_model()
    assert stage.accuracy == pytest.approx((SAMPLES - 1) / SAMPLES)


def test_golden_stage_notices_a_wrong_golden(case):
    network, _, x = case
    stages = Stages(network, x)
    name = network.layers[0].name
    stages.expected[name] = stages.expected[name].copy()
    stages.expected[name][2, 1, 0, 0] += 1
    stage = stages.golden_model()
    assert stage.mismatches == 1 and stage.first.layer == name and stage.first.sample == 2
    assert stage.first.found == stage.first.expected + 1  # the golden is what was found, the judge what was expected
    assert "1 of" in failures([stage])[0]


@pytest.mark.parametrize("what", ["sops", "saturations"])
@pytest.mark.parametrize("stage", ["golden_model", "spiking_model", "tile_model"])
def test_stages_notice_wrong_counts(case, what, stage):
    network, image, x = case
    stages = Stages(network, x)
    getattr(stages.golden, what)[network.layers[1].name] += 1
    if (stage, what) == ("golden_model", "saturations"):
        return  # the judge counts none: these are held against the other models
    result = getattr(stages, stage)(*([image] if stage == "tile_model" else []))
    assert result.mismatches == 0 and len(result.problems) == 1
    assert network.layers[1].name in result.problems[0] and failures([result])


def test_spiking_stage_notices_a_wrong_spike(case, monkeypatch):
    network, _, x = case
    right = sdann.stages.stem.run

    def wrong(network, x, **options):
        result = right(network, x, **options)
        result.activations[network.layers[1].name][3, 0, 0, 0] ^= 1
        return result

    monkeypatch.setattr("sdann.stages.stem.run", wrong)
    stage = Stages(network, x).spiking_model()
    assert stage.mismatches == 1 and stage.first.sample == 3


def test_onnxruntime_stage(case):
    network, image, x = case
    stages = Stages(network, x)
    stage = stages.onnxruntime()
    assert failures([stage]) == [] and stage.name == "onnxruntime" and stage.compared == stages.golden_model().compared
    data = stage_data([stages.golden_model(), stage], image)
    assert all(row["mismatches"] == {"golden": 0, "onnxruntime": 0} for row in data["layers"])
    assert all(set(row["sops"]) == {"golden"} for row in data["layers"])  # onnxruntime counts none


def test_onnxruntime_stage_notices_a_wrong_golden(case):
    network, _, x = case
    stages, name = Stages(network, x), network.layers[1].name
    stages.golden.activations[name][3, 0, 0, 0] ^= 1
    stages.golden.accumulators[name][1, 0, 1, 0] += 2
    stage = stages.onnxruntime()
    assert stage.mismatches == 1 and (stage.first.layer, stage.first.sample) == (name, 3)
    assert stage.first.expected == stage.first.found ^ 1 and len(stage.problems) == 1
    assert f"1 of {stages.golden.accumulators[name].size} differ; the first: onnxruntime, accumulators" in str(stage)
    assert len(failures([stage])) == 2


def test_tile_stage_notices_a_flipped_weight_bit(case):
    network, image, x = case
    at = image.cores_of(network.layers[0].name)[0]
    words = image.words((at.y, at.x), Memory.WEIGHT)
    found = [
        Stages(network, x).tile_model(image.with_word((at.y, at.x), Memory.WEIGHT, address, word ^ 0x20))
        for address, word in enumerate(words)
    ]
    caught = [stage for stage in found if stage.mismatches]
    assert caught and all(stage.first.core is not None and failures([stage]) for stage in caught)


def spoil_activation(run):
    name = next(iter(run.activations))
    run.activations[name] = run.activations[name].copy()
    run.activations[name].flat[-1] += 1


def spoil_output(run):
    run.outputs = run.outputs.copy()
    run.outputs.flat[0] += 1


def spoil_windows(run):
    run.windows += 1


def spoil_stray(run):
    run.stray = 2


def spoiled_counter(name):
    def spoil(run):
        core = max(run.counters, key=lambda at: run.counters[at][Counter.SOPS.name])
        run.counters[core][name] += 1

    return spoil


@pytest.mark.parametrize(
    ("mode", "fault", "message"),
    [
        ("observe", spoil_activation, "1 of .* activations differ; the first: rtl: layer .*, core .*, step 5"),
        ("observe", spoil_output, "observe: 1 read-out values differ"),
        ("stream", spoil_output, "stream: 1 read-out values differ"),
        ("stream", spoil_windows, "stream: 7 windows for 4 samples, expected 6 for 4"),
        ("stream", spoil_stray, "2 stray flits"),
        ("observe", spoiled_counter("REJECTED"), "1 rejected flits"),
        ("stream", spoiled_counter("DROPPED"), "1 dropped flits"),
        ("stream", spoiled_counter("SOPS"), "SOPs, the golden model counts"),
        ("observe", spoiled_counter("SOPS"), "SOPS is .* where paused"),
        ("stream", spoiled_counter("SATURATIONS"), "saturations, the golden model counts"),
        ("stream", spoiled_counter("SPIKES_OUT"), "SPIKES_OUT is .*, the tile model counts"),
    ],
)
def test_rtl_stage_notices(case, chip, mode, fault, message):
    network, image, x = case
    stages = Stages(network, x)
    tiles = stages.tile_model(image)
    assert failures([tiles]) == []
    chip[mode] = fault
    stage, _ = stages.rtl(image)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError("\n".join(failures([stage])))


def test_unknown_step_does_not_hide_the_difference(case, chip, monkeypatch):
    network, image, x = case

    def silent(difference: Difference, *args, **options):
        raise SdannError("the chip is silent")

    monkeypatch.setattr("sim.cosim.locate_step", silent)
    chip["observe"] = spoil_activation
    stage, _ = Stages(network, x).rtl(image)
    assert stage.mismatches == 1 and stage.first.step is None
    assert any("the chip is silent" in line for line in failures([stage]))


def test_windows_figure_has_a_bound(case, chip):
    network, image, x = case
    chip["stream"] = spoil_windows
    _, runs = Stages(network, x).rtl(image)
    assert broken(rtl_figures(image, runs)) == ["windows: 7 windows, which must be == 6"]


def test_neurons_that_two_cores_compute_are_counted_apart(chip):
    """Overlapping pooling windows at a border between row tiles; parts; a wide read-out."""
    network = feature_network("wide")
    image, x = feature_image(network), random_input(network, np.random.default_rng(2), SAMPLES)
    stages = Stages(network, x)
    results = [stages.golden_model(), stages.spiking_model(), stages.tile_model(image), stages.rtl(image)[0]]
    assert failures(results) == []
    assert len({result.sops for result in results}) == 1
    assert [result.duplicate_sops for result in results][:2] == [None, None]
    assert results[2].duplicate_sops == results[3].duplicate_sops == duplicates(
        network, image, stages.golden.activations
    )["stem"].sops > 0  # fmt: skip
    chip["stream"] = spoiled_counter("SOPS")
    assert any("SOPs, the golden model counts" in line for line in failures([stages.rtl(image)[0]]))
