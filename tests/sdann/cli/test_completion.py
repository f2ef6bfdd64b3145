"""Shells complete commands, options and choices; each script is one that its shell can read."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sdann.cli.completion import SHELLS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_the_libraries_and_asks_sdann(sdann, shell):
    script = sdann("completion", shell).stdout
    assert sdann("completion", shell, "--json").data["script"].strip() == script.strip()
    assert f"_SDANN_COMPLETE={shell}_complete" in script and "sdann" in script
    if shutil.which(shell):  # bash always is
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def complete(*words: str) -> list[str]:
    """What bash is told after ``words``, the last of which is begun."""
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "_SDANN_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("sdann", *words)), "COMP_CWORD": str(len(words)),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "sdann"], env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_what_is_completed():
    assert complete("ver") == ["verilog", "verify"]
    assert complete("verify", "net", "--sim", "com") == ["compiled"]
    assert complete("map", "net", "--pre") == ["--preset"]
    assert complete("nothing-begins-so") == []


def test_the_command_line_starts_without_torch():
    """It is started at every press of the key."""
    code = "import sys, sdann.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
