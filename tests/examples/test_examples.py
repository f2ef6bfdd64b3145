"""The examples run as they stand, in a folder of their own, and print what they are there to show."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
SHORT = ("larger_chip", "own_module")
LONG = ("cluster_campaign", "fpga_synthesis")


def test_every_example_is_run_documented_and_short():
    names = sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert names == sorted((*SHORT, *LONG))
    readme = (EXAMPLES / "README.md").read_text()
    for name in names:
        text = (EXAMPLES / f"{name}.py").read_text()
        assert len(text.splitlines()) < 60 and f"({name}.py)" in readme and f"examples/{name}.py" in text


def run(name: str, monkeypatch, folder: Path) -> None:
    """In this process, which has torch already."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")


def test_own_module(monkeypatch, tmp_path, capsys):
    run("own_module", monkeypatch, tmp_path)
    found = capsys.readouterr().out
    right = re.search(r"right on test images: (\d+)", found)
    assert right is not None and int(right[1]) >= 85
    assert re.search(r"Verification\(agrees: [\d,]+ activations compared, 0 differ; .*tiles\)", found)


def test_larger_chip(monkeypatch, tmp_path, capsys):
    run("larger_chip", monkeypatch, tmp_path)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[:3] for row in rows] == [[side, "x", side] for side in "346"]
    cycles = [int(row[-1].replace(",", "")) for row in rows]
    assert cycles[0] > cycles[1] > cycles[2]
    assert sorted(path.name for path in tmp_path.glob("build/examples/*/*"))[-1].startswith("6x6")


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_long_examples(tmp_path, name):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=1800
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    wanted = {"cluster_campaign": "tiles", "fpga_synthesis": "block RAM"}[name]
    assert wanted in done.stdout
