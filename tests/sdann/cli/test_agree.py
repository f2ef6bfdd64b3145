"""``sdann agree``: figures, exit codes, what it says."""

from typing import Any

import pytest

from sdann import agreement, stem


def test_it_compares_every_network_it_is_given(sdann: Any, float_file: str) -> None:
    data = sdann("agree", "digit-yolo", float_file, "--samples", "3", "--calibration", "4", "--json").data
    assert data["ok"] and data["samples"] == 3
    seeded, trained = data["networks"]
    assert (seeded["network"], seeded["weights"], seeded["inputs"]) == ("digit-yolo", "seeded", "scenes")
    assert (trained["network"], trained["weights"], trained["inputs"]) == ("digit-cnn", float_file, "digits")
    for row in (seeded, trained):
        assert row["compared"] == sum(layer["compared"] for layer in row["layers"]) > 0
        assert row["different"] == {"fast": 0, "stem": 0} and set(row["seconds"]) == {"golden", "fast", "stem"}
        assert row["least_alive"] == min(layer["alive"] for layer in row["layers"][:-1]) >= 0.1
        assert row["sops_per_sample"] * 3 == pytest.approx(sum(layer["sops"] for layer in row["layers"]))


def test_it_tells_people_the_same(sdann: Any) -> None:
    result = sdann("agree", "digit-cnn", "--width", "4")
    assert result.exit_code == 0 and "digit-cnn" in result.stdout and "seeded" in result.stdout
    assert "0 / 0" in result.stdout and "━" not in result.stdout and "4/4" in result.stderr


def test_a_difference_ends_in_exit_code_1(sdann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: Any, x: Any) -> Any:
        result = stem.run(network, x, record=())
        result.activations["conv2"][1, 0, 3, 3] ^= 1
        return result.activations, result.sops

    monkeypatch.setitem(agreement.SPIKING, "stem", wrong)
    result = sdann("agree", "digit-cnn", "--width", "4", "--json")
    assert result.exit_code == 1 and not result.data["ok"]
    assert result.data["networks"][0]["different"] == {"fast": 0, "stem": 1}
    assert "digit-cnn, layer 'conv2': 1 of 1,024 activations of stem differ; first: golden " in result.stderr
    assert "at sample, channel, row, column (1, 0, 3, 3)" in result.stderr


def test_a_layer_that_is_nearly_dead_ends_in_exit_code_1(sdann: Any) -> None:
    result = sdann("agree", "digit-cnn", "--width", "4", "--least-alive", "0.999")
    assert result.exit_code == 1
    assert "layer 'conv1'" in result.stderr and "not zero, less than 99.9%; a check on it says little" in result.stderr


def test_bad_input_ends_in_exit_code_2(sdann: Any) -> None:
    for arguments, message in (
        (["lenet"], "unknown network 'lenet'"),
        (["missing.safetensors"], "missing.safetensors: no such file"),
        (["digit-cnn", "--data", "photographs"], "photographs are of shape (3, S, S)"),
        (["cifar10net", "--data", "cifar10"], "cifar10 needs the folder where it lies"),
    ):
        result = sdann("agree", *arguments)
        assert result.exit_code == 2 and message in result.stderr, result.stderr
