"""docs/bring-your-network.md: its programs run, its commands work, and do what the page says."""

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from sdann.cli import main
from sdann.network_file import load_network

PAGE = (Path(__file__).parents[2] / "docs" / "bring-your-network.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line)
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def brought(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """(folder with what the page's first program writes, the program's variables)."""
    folder, here = tmp_path_factory.mktemp("bring"), Path.cwd()
    variables: dict[str, Any] = {"__name__": "__main__"}
    os.chdir(folder)
    try:
        with torch.random.fork_rng(devices=[]):
            exec(PROGRAMS[0], variables)
    finally:
        os.chdir(here)
    return folder, variables


def test_the_page_has_programs_and_commands() -> None:
    assert len(PROGRAMS) == 2
    assert [command[0] for command in COMMANDS] == ["python", "sdann", "sdann", "sdann"]
    assert COMMANDS[0] == ["python", "bring.py"]


def test_commands(brought, monkeypatch) -> None:
    monkeypatch.chdir(brought[0])
    found = []
    for command in COMMANDS[1:]:
        result = CliRunner().invoke(main, [*command[1:], "--json"])
        assert result.exit_code == 0, result.output
        found.append(json.loads(result.stdout))
    eight, few, tuned = found
    assert eight["samples"] == 359 and eight["host"] == ["log_softmax"]
    assert [layer["name"] for layer in eight["layers"]] == ["stem", "convs.0", "add", "adaptive_avg_pool2d", "fc"]
    assert eight["layers"][2]["skip_error"] < 1e-9 and len(eight["layers"][2]["shifts"]) == 2
    assert eight["accuracy"]["float"] > 0.9 and eight["accuracy"]["integer"] > eight["accuracy"]["float"] - 0.01
    print([run["accuracy"] for run in found])
    lost = [run["accuracy"]["float"] - run["accuracy"]["integer"] for run in (few, tuned)]
    assert lost[1] < lost[0] / 2 and lost[0] > 0.02
    assert load_network("qat.safetensors").weight_bits == 3 and tuned["finetuned_epochs"] == 4


def test_python(brought, capsys) -> None:
    exec(PROGRAMS[1], brought[1])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "stem", "convs.0", "add", "adaptive_avg_pool2d", "fc",
    ]  # fmt: skip
