"""Every table and figure in its quick form: shape, order, and figures that follow from others."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from sdann import reference
from sdann.datasets import open_dataset
from sdann.detection import decode
from sdann.errors import SdannError
from sdann.paper import EXPERIMENTS, Setup, experiment
from sdann.paper.hybrid import BUDGET
from sdann.paper.sparse import everywhere
from sdann.paper.subject import Subject
from sdann.quantization import quantize_input
from sdann.zoo import network_spec, seeded

QUICK = [name for name in EXPERIMENTS if name not in ("table8", "table3-rtl", "table10", "fig12", "fig13")]


def run(name: str, setup):
    calls = []
    result = experiment(name).run(setup, lambda done, total: calls.append((done, total)))
    assert calls and all(0 < done <= total for done, total in calls)
    return result


@pytest.mark.parametrize("name", QUICK)
def test_rows_and_plot(name: str, setup) -> None:
    result = run(name, setup)
    assert result.rows and all(set(result.columns) <= set(row) for row in result.rows)
    picture = experiment(name).plot(result)
    assert picture.startswith(b"\x89PNG") or (name == "table1" and not picture)


def test_measured_is_the_golden(subject) -> None:
    network = everywhere(subject.network, "rot", 2)
    images, labels = subject.part("test")
    golden = reference.run(network, quantize_input(network, images))
    found = subject.measure_network(network)
    assert {name: round(n * len(images)) for name, n in found.sops.items()} == golden.sops
    outputs = golden.activations[network.layers[-1].name].reshape(len(images), -1)
    assert found.score == float((outputs.argmax(axis=1) == labels).mean())
    hidden = golden.activations["conv1"]
    assert found.spikes["conv1"] * len(images) == pytest.approx(int(np.bitwise_count(hidden).sum()))


def test_table_2_compares_every_activation(setup, subject) -> None:
    (row,) = run("table2", setup).rows
    neurons = sum(int(np.prod(layer.output_shape)) for layer in subject.network.layers)
    assert row["compared"] == 2 * (neurons + int(np.prod(subject.network.input_shape)))
    assert row["different"] == 0 and row["SDANN"] == row["quantized"] > 0.9


def test_table_2_sees_a_difference(setup, monkeypatch) -> None:
    from sdann.paper import conversion

    real = conversion.stem.run

    def wrong(*args, **kwargs):
        result = real(*args, **kwargs)
        result.activations["conv2"].flat[3] += 1
        return result

    monkeypatch.setattr(conversion.stem, "run", wrong)
    (row,) = run("table2", setup).rows
    assert row["different"] == 1 and row["SDANN"] is None


def test_table_3_scaling_saves_16_bits(setup) -> None:
    (row,) = run("table3", setup).rows
    assert abs(row["difference"]) <= 0.02
    assert row["16 bits, not scaled"] < row["16 bits, scaled"]
    assert row["saturations scaled"] < row["saturations not scaled"]


@pytest.mark.parametrize(
    ("name", "labels"), [("table5", ["k = 1", "k = 2", "k = 3"]), ("table7", ["n = 5", "n = 4", "n = 3"])]
)
def test_sops_fall_strictly(name: str, labels: list[str], setup) -> None:
    (row,) = run(name, setup).rows
    values = [row["original"], *(row[label] for label in labels)]
    assert all(after < before for before, after in pairwise(values))
    assert row[f"{labels[0]}, change"] == pytest.approx(values[1] / values[0] - 1)


def test_hybrid_search_beats_random_search(setup, subject) -> None:
    result = run("table8", setup)
    (row,) = result.rows
    assert row["SOPs with"] < row["random search: SOPs"] < row["SOPs without"]
    assert row["score change"] >= -BUDGET
    assert experiment("table8").plot(result).startswith(b"\x89PNG")


def test_table_9_is_its_counts_times_the_constants(setup) -> None:
    (row,) = run("table9", setup).rows
    assert row["ANN nJ"] == pytest.approx(row["MACs"] * 0.23 / 1000)
    assert row["SDANN nJ"] == pytest.approx(row["ACs"] * 0.03 / 1000)
    assert row["ANN / SDANN"] == pytest.approx(row["ANN nJ"] / row["SDANN nJ"])


def test_figure_4_calibrated_biases_need_fewer_bits(setup) -> None:
    rows = run("fig4", setup).rows
    assert max(row["eq. 10, bits"] for row in rows) <= 8 < max(row["eq. 9, bits"] for row in rows)
    for row in rows:
        assert row["eq. 9, largest"] <= 1 << row["eq. 9, bits"] - 1 < 4 * row["eq. 9, largest"] + 2


def test_figure_8_shares_are_of_one(setup) -> None:
    rows = run("fig8", setup).rows
    assert [row["bit"] for row in rows] == list(range(7, -1, -1))
    assert sum(row["share of the sum"] for row in rows) == pytest.approx(1)


def test_figure_11_one_sample_per_window(setup) -> None:
    result = run("fig11", setup)
    assert result.data["windows"] == result.data["samples"] + max(result.data["stages"].values()) == len(result.rows)
    last = list(result.data["stages"])[-1]
    busy = [row[last] for row in result.rows if row[last] != "-"]
    assert busy == [f"sample {n}" for n in range(result.data["samples"])]


def test_figure_13_shows_what_the_networks_find(folder) -> None:
    spec = network_spec("digit-yolo", width=4)
    dataset = open_dataset("scenes", spec.input_shape)
    few, _ = dataset.train.batch(range(20))
    detector = Subject(spec=spec, dataset=dataset, model=seeded(spec, torch.from_numpy(few)), calibration=20, limit=6)
    result = run("fig13", Setup(subjects=(detector,), folder=folder))
    kinds = ["float", "quantized", "SDANN, 16 bits scaled"]
    assert [row["network"] for row in result.rows] == [kind for kind in kinds for _ in range(4)]
    images, truth = dataset.test.batch(range(4))
    assert [row["true boxes"] for row in result.rows] == [len(boxes.labels) for boxes in truth] * 3
    with torch.no_grad():
        expected = decode(detector.model(torch.from_numpy(images)).numpy(), spec.grid, threshold=0.3)
    counts = [len(boxes) for boxes in result.data["drawn"]["float"]]
    assert counts == [len(found.labels) for found in expected] and sum(counts) > 0
    assert [row["boxes"] for row in result.rows] == [len(b) for kind in kinds for b in result.data["drawn"][kind]]
    assert result.data["drawn"]["float"] != result.data["drawn"]["quantized"] != result.data["drawn"][kinds[2]]
    assert experiment("fig13").plot(result).startswith(b"\x89PNG")


def test_networks_of_another_kind_are_refused(setup, subject) -> None:
    with pytest.raises(SdannError, match="needs a detector"):
        run("fig13", setup)
    with pytest.raises(SdannError, match=r"unknown table or figure 'table11'; known ones: table1, "):
        experiment("table11")
    with pytest.raises(SdannError, match="no networks"):
        replace(setup, subjects=())
