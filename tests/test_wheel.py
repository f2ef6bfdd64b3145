"""What is installed: the wheel holds every source and data file and says what it needs; it runs the demo by itself."""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .wheel import PACKAGES, ROOT, build_wheel, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    path = build_wheel(tmp_path_factory.mktemp("wheel"))
    assert path.name == f"sdann-{PROJECT['version']}-py3-none-any.whl"
    return zipfile.ZipFile(path)


def lacking(wheel: zipfile.ZipFile, files: list[str]) -> list[str]:
    return sorted(set(files) - set(wheel.namelist()))


def test_it_holds_every_file_of_the_packages(wheel):
    files = tracked()
    assert {Path(name).suffix for name in files} >= {".py", ".cpp", ".h", ".sql", ".toml", ".vlt", ".typed"}
    assert lacking(wheel, files) == []
    others = {name.partition("/")[0] for name in wheel.namelist()} - set(PACKAGES)
    assert others == {f"sdann-{PROJECT['version']}.dist-info"}


def test_a_file_that_no_pattern_takes_is_noticed(tmp_path):
    made = zipfile.ZipFile(build_wheel(tmp_path, extra={"sim/new.unheard": "x", "sdann/new.toml": "x = 1"}))
    assert lacking(made, ["sim/new.unheard", "sdann/new.toml"]) == ["sim/new.unheard"]


def test_it_says_what_it_needs(wheel):
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    found = Parser().parsestr(wheel.read(name).decode())
    assert (found["Name"], found["Version"], found["Requires-Python"]) == ("sdann", PROJECT["version"], ">=3.11")
    assert found["License-Expression"] == "Apache-2.0" and "Typing :: Typed" in found.get_all("Classifier")

    def plain(texts: list[str], extra: str = "") -> set[tuple[str, str, str]]:
        parsed = [Requirement(text) for text in texts]
        return {(canonicalize_name(r.name), str(r.specifier), extra or str(r.marker or "")) for r in parsed}

    wanted = plain(PROJECT["dependencies"])
    for extra, texts in PROJECT["optional-dependencies"].items():
        wanted |= plain(texts, f'extra == "{extra}"')
    assert plain(found.get_all("Requires-Dist")) == wanted
    (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "sdann = sdann.__main__:main" in wheel.read(entry).decode()
    assert [name for name in PACKAGES if f"{name}/py.typed" not in wheel.namelist()] == []


def test_the_locks_are_within_what_it_asks_for():
    """Every package that pyproject.toml names has one version in each lock, and that one is allowed."""
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = PROJECT["optional-dependencies"]
    common = [*PROJECT["dependencies"], *extras["fpga"], *extras["snn"], *tree["dependency-groups"]["dev"]]
    for lock, texts in (
        ("requirements.lock", [*common, *extras["compare"]]), ("requirements-oldest.lock", common)
    ):  # fmt: skip
        lines = [line for line in (ROOT / lock).read_text().splitlines() if line and not line.startswith("#")]
        pinned = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines}
        assert len(pinned) == len(lines), lock
        for text in texts:
            wanted = Requirement(text)
            assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)], prereleases=True), (lock, text)


def test_the_oldest_lock_holds_the_lower_bounds():
    """All but torch's: older builds of torch bring gigabytes of CUDA."""
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = (ROOT / "requirements-oldest.lock").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]): line.partition("==")[2] for line in lines if "==" in line}
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *extras["fpga"], *extras["snn"], *tree["dependency-groups"]["dev"]]:
        wanted = Requirement(text)
        (least,) = (s.version for s in wanted.specifier if s.operator == ">=")
        found = pinned[canonicalize_name(wanted.name)]
        if wanted.name != "torch":  # a bound may name no patch release, and have post-releases
            assert found == least or found.startswith(f"{least}."), text


def _digest(folder: Path) -> str:
    """Of all files of the installed packages."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((folder / package).rglob("*")):
            digest.update(f"{path}{path.read_bytes() if path.is_file() else ''}".encode())
    return digest.hexdigest()


@pytest.mark.long
def test_installed_by_itself_it_runs_the_demo(tmp_path):
    """An empty environment, the wheel and what it needs; another folder; nothing is written where it is installed."""
    wheel = build_wheel(tmp_path)
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    outside = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {
        **outside, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    work = tmp_path / "work"
    work.mkdir()

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=work, env=environment, capture_output=True, text=True, check=False, timeout=3000
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("python", "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "requirements.lock"), str(wheel))
    site = Path(run("python", "-c", "import sdann; print(sdann.__path__[0])").strip()).parent
    assert site.is_relative_to(home)
    before = _digest(site)
    assert run("sdann", "--version").strip() == f"sdann, version {PROJECT['version']}"
    assert json.loads(run("sdann", "doctor", "--json"))["ok"]
    done = json.loads(run("sdann", "demo", "--samples", "4", "--json"))
    assert done["ok"] and done["stages"][-1]["mismatches"] == 0
    assert (work / "build" / "demo" / "report.html").is_file()
    assert _digest(site) == before


@pytest.mark.long
def test_the_oldest_versions_pass(tmp_path):
    """The main tests with requirements-oldest.lock, in an environment of its own."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "-r", str(ROOT / "requirements-oldest.lock")]
    subprocess.run(install, check=True, timeout=3000)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    }  # fmt: skip
    tests = (ROOT / "tests" / "oldest.txt").read_text().split()
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests], cwd=ROOT, env=environment,
        capture_output=True, text=True, check=False, timeout=7200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20000:]


def test_python_dash_m_is_the_command():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "sdann", "--version"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("sdann, version ")
