"""Builds the wheel of a copy of the sources, as `pip wheel` does."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("hdl", "sdann", "sim")


def tracked() -> list[str]:
    """Files of the packages, as git knows them or will."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(name for name in listed if (ROOT / name).is_file())


def build_wheel(folder: Path, *, extra: dict[str, str] | None = None) -> Path:
    """The wheel, in ``folder``. ``extra``: texts of further source files, by name."""
    source = folder / "source"
    for name in [*tracked(), "pyproject.toml", "README.md", "LICENSE"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    for name, text in (extra or {}).items():
        (source / name).write_text(text)
    code = f"from setuptools import build_meta; print(build_meta.build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True)
    return folder / done.stdout.splitlines()[-1]
