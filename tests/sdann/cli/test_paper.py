"""``sdann paper``: tables of networks whose weights are given."""

import json
from pathlib import Path
from typing import Any


def test_given_weights_are_taken(sdann: Any, float_file: str) -> None:
    arguments = ("paper", "table3", "--weights", float_file, "--samples", "30", "--folder", "out", "--json")
    data = sdann(*arguments).data
    (row,) = data["rows"]
    assert data["networks"] == ["digit-cnn"] and (row["network"], row["samples"]) == ("digit-cnn", 30)
    assert row["16 bits, not scaled"] < row["quantized"] and row["quantized"] > 0.7 and abs(row["difference"]) <= 0.05
    assert row["saturations scaled"] < row["saturations not scaled"]
    assert json.loads(Path("out/table3.json").read_text())["rows"] == [row] and Path("out/table3.png").is_file()
    assert not Path("out/weights").exists()  # nothing was trained
    text = sdann(*arguments[:-1])
    assert text.exit_code == 0 and "not scaled" in text.stdout and "wrote out/table3.json" in text.stdout


def test_weights_of_another_kind_are_refused(sdann: Any, float_file: str) -> None:
    result = sdann("paper", "table3", "--weights", float_file, "--data", "scenes")
    assert result.exit_code == 2 and "the network takes (1, 8, 8)" in result.stderr
    result = sdann("paper", "table3", "--weights", "missing.safetensors")
    assert result.exit_code == 2 and "missing.safetensors: no such file" in result.stderr
