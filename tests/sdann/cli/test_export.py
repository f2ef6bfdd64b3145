"""``sdann export``: the file, the figures, the exit codes."""

from typing import Any

import onnxruntime
import pytest

from sdann.onnx_export import compare, session


def test_a_file_that_onnxruntime_runs(sdann: Any, files: Any, tmp_path: Any) -> None:
    data = sdann("export", files.network, "--onnx", "deep/net.onnx", "--samples", "3", "--json").data
    assert data["ok"] and data["samples"] == 3 and data["different"] == 0 and data["out"] == "deep/net.onnx"
    assert [row["layer"] for row in data["layers"]] == [layer.name for layer in files.net.layers]
    assert data["compared"] == sum(sum(row["compared"].values()) for row in data["layers"]) > 0
    loaded = onnxruntime.InferenceSession(str(tmp_path / "deep" / "net.onnx"), providers=["CPUExecutionProvider"])
    names = {name for row in data["layers"] for name in (row["accumulator"], row["activation"])}
    assert {output.name for output in loaded.get_outputs()} == names
    assert (tmp_path / "deep" / "net.onnx").stat().st_size == data["bytes"]


def test_a_network_of_the_zoo_for_people(sdann: Any) -> None:
    result = sdann("export", "digit-cnn", "--onnx", "net.onnx", "--samples", "1")
    assert result.exit_code == 0 and "whole sums" in result.stdout and "wrote net.onnx" in result.stdout
    assert "golden, onnxruntime" in result.stderr and "━" not in result.stdout


def test_only_writing(sdann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "open_session", None)
    data = sdann("export", "digit-cnn", "--onnx", "net.onnx", "--samples", "0", "--json").data
    assert data["ok"] and data["compared"] == 0 and "compared" not in data["layers"][0]


def test_a_difference_ends_in_exit_code_1(sdann: Any, files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    last = files.net.layers[-1].name
    right = compare.run

    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        found.activations[last][1, 0, 1, 0] ^= 1
        return found

    monkeypatch.setattr(compare, "run", wrong)
    result = sdann("export", files.network, "--onnx", "net.onnx", "--json")
    assert result.exit_code == 1 and not result.data["ok"] and result.data["different"] == 1
    assert f"layer {last!r}, sample 1, neuron (c, y, x) = (0, 1, 0): expected" in result.stderr


def test_bad_input_ends_in_exit_code_2(refused: Any, files: Any, tmp_path: Any) -> None:
    assert "say what to write" in refused("export", files.network)
    assert "no such file" in refused("export", "nothing", "--onnx", "net.onnx")
    assert "holds 'sdann-image', not 'sdann-network'" in refused("export", files.image, "--onnx", "net.onnx")
    assert not list(tmp_path.iterdir())
