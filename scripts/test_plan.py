"""The test plan, tests/plan.toml: prints it, and says which features a test run has shown.

python scripts/test_plan.py                       # features, stages, tests
python -m pytest -n 2 --junit-xml run.xml
python scripts/test_plan.py --junit run.xml       # which features have a passing test; exit code 1 if one has not
"""

import argparse
import dataclasses
import re
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hdl.config import ChipConfig, preset
from hdl.flit import FlitKind
from hdl.host import Command, ErrorCode, HostOp, PauseMode, Register, RunState
from hdl.program import Counter, Memory, Readout, memory_layouts
from sdann.cli import main as sdann
from sdann.errors import FileFormatError, SdannError

ROOT = Path(__file__).resolve().parents[1]
PLAN = ROOT / "tests" / "plan.toml"
PAGES = (
    "api.md", "asic.md", "chip.md", "install.md", "mapper.md", "numerics.md", "simulation.md", "verification.md",
)  # fmt: skip
"""Documents whose sections are features."""


@dataclass(frozen=True, kw_only=True)
class Feature:
    """``docs``: anchors, ``covers``: names of the sources, ``tests``: patterns by stage."""

    name: str
    says: str
    docs: Sequence[str]
    covers: Sequence[str]
    tests: Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """``stages``: what each is."""

    stages: Mapping[str, str]
    features: Sequence[Feature]


def load_plan(path: Path = PLAN) -> Plan:
    """Reads a plan; raises FileFormatError that says what is wrong with it."""
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise FileFormatError(f"{path}: not a readable TOML file ({error})") from None
    stages = content.get("stages", {})
    features = []
    for number, entry in enumerate(content.get("feature", [])):
        where = f"{path}: feature {entry.get('name', number)!r}"
        if unknown := set(entry) - {"name", "says", "docs", "covers", *stages}:
            raise FileFormatError(f"{where}: {sorted(unknown)} is neither a field nor a stage; stages: {list(stages)}")
        tests = {stage: entry[stage] for stage in stages if stage in entry}
        if not (entry.get("name") and entry.get("says") and entry.get("docs") and tests):
            raise FileFormatError(f"{where}: needs a name, what it says, docs, and tests of a stage")
        lists = {"docs": entry["docs"], "covers": entry.get("covers", []), **tests}
        for field, values in lists.items():
            if not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
                raise FileFormatError(f"{where}: {field} must be a list of strings")
        features.append(
            Feature(name=entry["name"], says=entry["says"], docs=lists["docs"], covers=lists["covers"], tests=tests)
        )
    return Plan(stages=stages, features=features)


def names_of_sources() -> list[str]:
    """Commands, configuration fields, descriptor fields, registers, codes and the like: what tests must be about."""
    names = [f"ChipConfig.{field.name}" for field in dataclasses.fields(ChipConfig)]
    for name, command in sdann.commands.items():
        group = command.commands if isinstance(command, click.Group) else None
        names += [f"sdann {name}"] if group is None else [f"sdann {name} {part}" for part in group]
    layouts = memory_layouts(preset("test"))
    for memory in (Memory.CORE, Memory.EDGE, Memory.ROUTE):
        names += [f"{memory.name}.{field}" for field in layouts[memory].members]
    names += [f"REQUANT.{field}" for field in layouts[Memory.REQUANT].elem_shape.members]
    for kind in (Register, ErrorCode, HostOp, Command, FlitKind, Memory, Counter, Readout, RunState, PauseMode):
        names += [f"{kind.__name__}.{member.name}" for member in kind]
    return names


def anchors(page: str, text: str) -> Iterator[str]:
    """What a page's features are: headings of the second level, and bold leads of paragraphs and list items."""
    for line in re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL).splitlines():
        if match := re.match(r"## (.+)", line) or re.match(r"(?:- |\d+\. )?\*\*(.+?)\.?\*\*", line):
            words = re.sub(r"[^\w\- ]", "", match[1].lower()).strip()
            yield f"{page}#{words.replace(' ', '-')}"


def collect(root: Path = ROOT) -> list[str]:
    """Ids of all tests, the long ones included, as pytest collects them; none is run. Raises SdannError."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SdannError(f"pytest cannot collect the tests:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if line.startswith("tests/") and "::" in line]


@cache
def _names(test: str) -> tuple[str, str, str]:
    file, _, function = test.partition("::")
    return test, f"{file}::{function.partition('[')[0]}", file


def matching(pattern: str, tests: Collection[str]) -> list[str]:
    """The tests that ``pattern`` names: with its parameters, without them, or by its file. Only * is special."""
    if "*" not in pattern:
        return [test for test in tests if pattern in _names(test)]
    wanted = re.compile(".*".join(map(re.escape, pattern.split("*"))))
    return [test for test in tests if any(wanted.fullmatch(name) for name in _names(test))]


def problems(plan: Plan, tests: Collection[str], sources: Collection[str], sections: Collection[str]) -> list[str]:
    """A line for whatever the plan names that is not there, and for whatever is there that it does not name."""
    found, linked = [], set[str]()
    named = [feature.name for feature in plan.features]
    found += [f"feature {name!r} is there twice" for name in sorted({n for n in named if named.count(n) > 1})]
    for feature in plan.features:
        for what, wanted, there in (("covers", feature.covers, sources), ("docs", feature.docs, sections)):
            found += [
                f"feature {feature.name!r} {what} {name!r}: there is none" for name in wanted if name not in there
            ]
        for stage, patterns in feature.tests.items():
            for pattern in patterns:
                matches = matching(pattern, tests)
                linked |= {test.partition("::")[0] for test in matches}
                if not matches:
                    found.append(f"feature {feature.name!r}, {stage}: no test is called {pattern!r}")
    covered = {name for feature in plan.features for name in feature.covers}
    described = {name for feature in plan.features for name in feature.docs}
    files = {test.partition("::")[0] for test in tests}
    for what, there, seen in (
        ("is covered by", sources, covered), ("is described by", sections, described), ("is linked to", files, linked),
    ):  # fmt: skip
        found += [f"{name} {what} no feature" for name in sorted(set(there) - seen)]
    return found


def outcomes(junit: Path) -> dict[str, str]:
    """Test ids of a JUnit XML file of pytest and what became of each: "passed", "failed" or "skipped"."""
    try:
        cases = ElementTree.parse(junit).getroot().iter("testcase")
    except (OSError, ElementTree.ParseError) as error:
        raise FileFormatError(f"{junit}: not a readable JUnit XML file ({error}); write one with --junit-xml") from None
    found = {}
    for case in cases:
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        if found.get(name) != "failed":  # a fault after the test itself makes a second case
            found[name] = state
    return found


def sections(root: Path = ROOT) -> list[str]:
    """Anchors of all pages."""
    return [anchor for page in PAGES for anchor in anchors(page, (root / "docs" / page).read_text())]


def table(plan: Plan, tests: Collection[str]) -> Table:
    """Features, and how many tests of each stage show them."""
    made = Table("feature", "says", *plan.stages, "docs", box=SIMPLE_HEAD)
    for feature in plan.features:
        counts = [str(len(_tests_of(feature, tests, stage)) or "") for stage in plan.stages]
        made.add_row(feature.name, feature.says, *counts, "\n".join(feature.docs))
    return made


def _tests_of(feature: Feature, tests: Collection[str], *stages: str) -> set[str]:
    return {t for stage in stages for pattern in feature.tests.get(stage, ()) for t in matching(pattern, tests)}


def run_table(plan: Plan, found: Mapping[str, str]) -> tuple[Table, list[str]]:
    """Per feature and stage how many tests of a run passed; and a line for each feature that is not shown by it."""
    made = Table("feature", *plan.stages, "failed", box=SIMPLE_HEAD)
    missing = []
    for feature in plan.features:
        ran = {stage: _tests_of(feature, found, stage) for stage in plan.stages}
        passed = {stage: sum(found[test] == "passed" for test in tests) for stage, tests in ran.items()}
        failed = sorted({test for tests in ran.values() for test in tests if found[test] == "failed"})
        made.add_row(feature.name, *(str(n or "") for n in passed.values()), str(len(failed) or ""))
        missing += [f"feature {feature.name!r}: {test} failed" for test in failed]
        if not any(passed.values()):
            missing.append(f"feature {feature.name!r} has no test that passed")
    return made, missing


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--junit", type=Path, metavar="FILE", help="JUnit XML of a test run (pytest --junit-xml FILE)")
    arguments = parser.parse_args()
    try:
        plan = load_plan()
        if arguments.junit:
            shown, wrong = run_table(plan, outcomes(arguments.junit))
        else:
            tests = collect()
            shown, wrong = table(plan, tests), problems(plan, tests, names_of_sources(), sections())
    except SdannError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    Console(width=None if sys.stdout.isatty() else 200).print(shown)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
