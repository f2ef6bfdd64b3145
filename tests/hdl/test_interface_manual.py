"""docs/interface.md is what the sources say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from hdl.host import ErrorCode, HostOp
from hdl.register_texts import markdown_table

ROOT = Path(__file__).resolve().parents[2]
MANUAL = ROOT / "docs" / "interface.md"


def check(root: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "scripts/interface_manual.py", "--check"], cwd=root, env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_tables_and_diagrams_are_the_generated_ones():
    done = check(ROOT)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_manual_that_is_not_up_to_date_is_noticed(tmp_path):
    for folder in ("docs", "scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    manual = tmp_path / "docs" / "interface.md"
    manual.write_text(MANUAL.read_text().replace("| WATCHDOG | rw |", "| WATCHDOG | r |"))
    image = tmp_path / "docs" / "images" / "axi_lite.svg"
    image.write_text(image.read_text().replace("OKAY", "OK"))
    done = check(tmp_path)
    assert done.returncode == 1
    assert "interface.md" in done.stderr and "axi_lite.svg" in done.stderr and "window.svg" not in done.stderr


def test_every_error_operation_and_image_is_there():
    text = MANUAL.read_text()
    errors = text[text.index("## Errors") :]
    assert set(re.findall(r"^\| ([A-Z]+) \|", errors, re.MULTILINE)) == {e.name for e in ErrorCode} - {"NONE"}
    for operation in HostOp:
        assert f"{operation.value} {operation.name}" in text
    for image in re.findall(r"\((images/\S+)\)", text):
        assert (MANUAL.parent / image).is_file()
    from hdl.config import preset

    assert markdown_table(preset("demo")).strip() in text
