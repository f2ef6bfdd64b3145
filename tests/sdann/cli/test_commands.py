"""The commands one after the other, each on the files of the ones before it."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from hdl.config import preset
from sdann.chip_file import load_chip
from sdann.cli import main

ROOT = Path(__file__).resolve().parents[3]
STAGE_FIELDS = {
    "name",
    "samples",
    "compared",
    "mismatches",
    "accuracy",
    "sops",
    "cycles",
    "saturations",
    "duplicate_sops",
}


GROUPS = [name for name, command in main.commands.items() if isinstance(command, click.Group)]


@pytest.mark.parametrize(
    "words",
    [
        [],
        *([name] for name in main.commands if name not in GROUPS),
        *([group, name] for group in GROUPS for name in main.commands[group].commands),
    ],
    ids=" ".join,
)
def test_help(sdann, words):
    result = sdann(*words, "--help")
    assert result.exit_code == 0 and result.stdout.startswith("Usage:")
    assert "--json" in result.stdout


def test_version(sdann):
    assert sdann("--version").stdout.startswith("sdann, version ")


def test_all_commands_are_there():
    names = [
        "demo", "doctor", "zoo", "train", "agree", "quantize", "export", "size", "map", "assemble", "verilog",
        "registers", "validate", "cosim", "verify", "report", "campaign", "coverage", "formal", "fpga", "board",
        "paper", "bench", "completion",
    ]  # fmt: skip
    assert list(main.commands) == names


@pytest.mark.parametrize(
    "options",
    [[], ["--membrane-bits", "16", "--scaled"], ["--time-steps", "4", "--per-channel", "--observer", "mse"]],
    ids=["exact", "scaled", "four steps"],
)
def test_float_to_validated_image(sdann, float_file, tmp_path, options):
    quantized = sdann("quantize", float_file, "--out", "deep/er/net", *options, "--json").data
    assert quantized["accuracy"]["integer"] > 0.7 and len(quantized["layers"]) == 5
    assert quantized["scaled"] == ("--scaled" in options)
    chip = ["--set", "membrane_bits=16"] if "--scaled" in options else []
    mapped = sdann("map", "deep/er/net", "--split", "conv2=2x2", "--out", "image", *chip, "--json").data
    conv2 = next(layer for layer in mapped["layers"] if layer["layer"] == "conv2")
    assert (conv2["row_tiles"], conv2["channel_tiles"]) == (2, 2) and len(conv2["cores"]) == 4
    assert conv2["weight_words"] == {"used": 288, "available": 512}
    result = sdann("validate", "deep/er/net", "image", "--samples", "5", "--json")
    assert result.exit_code == 0 and result.data["ok"] and result.data["failures"] == []
    activations = 5 * (16 * 64 + 32 * 64 + 32 * 16 + 32 * 16 + 10)
    assert [stage["name"] for stage in result.data["stages"]] == ["golden", "stem", "tiles"]
    for stage in result.data["stages"]:
        assert set(stage) == STAGE_FIELDS
        assert (stage["compared"], stage["mismatches"], stage["samples"]) == (activations, 0, 5)
        assert stage["sops"] == result.data["stages"][0]["sops"] > 0
        assert stage["cycles"] is None and stage["accuracy"] >= 0.4
    assert [layer["layer"] for layer in result.data["layers"]] == ["conv1", "conv2", "pool", "conv3", "linear"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "image"]  # no temporary files


def test_text_goes_to_standard_output_and_progress_does_not(sdann, files):
    result = sdann("validate", files.network, files.image, "--samples", "3")
    assert result.exit_code == 0
    assert "mismatches" in result.stdout and "tiles" in result.stdout and "━" not in result.stdout
    assert "golden" in result.stderr
    mapped = sdann("map", files.network, "--preset", "test").stdout
    assert "neuron words" in mapped and "host" in mapped and "of 5 cores" in mapped


def test_validate_names_the_first_difference(sdann, files):
    result = sdann("validate", files.network, files.flawed, "--samples", "3", "--json")
    assert result.exit_code == 1 and not result.data["ok"]
    first, last = result.data["first_difference"], files.net.layers[-1].name
    assert (first["stage"], first["layer"]) == ("tiles", last) and first["expected"] != first["found"]
    assert first["core"] in [[c.y, c.x] for c in files.program.cores_of(last)]
    assert [stage["mismatches"] > 0 for stage in result.data["stages"]] == [False, False, True]
    assert f"layer {last!r}" in result.stderr and "expected" in result.stderr and "found" in result.stderr


def test_random_samples_have_no_accuracy(sdann, files):
    data = sdann("validate", files.network, files.image, "--samples", "3", "--seed", "9", "--json").data
    assert {stage["accuracy"] for stage in data["stages"]} == {None} and data["seed"] == 9


def test_verilog(sdann):
    data = sdann("verilog", "--preset", "test", "--set", "rows=1", "--out", "chip.v", "--json").data
    config, text = load_chip(Path("chip.v"))
    assert config == preset("test").replace(rows=1) and config.fingerprint == data["config_id"]
    assert f"module {data['top']}" in text and f"module {data['tile']}" in text and data["tiles"] == 3


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from sdann.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def test_standard_output_of_the_process_is_one_json_object(files, tmp_path):
    for arguments in (
        ["map", files.network, "--preset", "test", "--json"],
        ["verilog", "--preset", "test", "--set", "rows=1", "--json"],
        ["validate", files.network, files.image, "--samples", "2", "--json"],
    ):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["ok"] is True


def test_process_that_fails_says_nothing_on_standard_output(files, tmp_path):
    done = run("map", "missing", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "") and "Traceback" not in done.stderr
    done = run("validate", files.network, files.flawed, "--samples", "2", "--json", cwd=tmp_path)
    assert done.returncode == 1 and json.loads(done.stdout)["ok"] is False and "Traceback" not in done.stderr


def test_bench_gives_figures_with_their_bounds(sdann):
    """A chip against itself: the ratio is near 1, whatever the machine is busy with; only the form is tested."""
    data = sdann("bench", "verilog", "--preset", "test", "--against", "test", "--runs", "1", "--json").data
    assert [set(figure) for figure in data["figures"]] == [{"name", "value", "bound", "unit"}] * 3
    assert data["figures"][0]["bound"] == 2 and all(figure["value"] > 0 for figure in data["figures"])
