"""The test plan names every test file, command, field, code and section that there is, and no other."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from sdann.errors import FileFormatError

ROOT = Path(__file__).resolve().parents[1]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("test_plan_script", ROOT / "scripts" / "test_plan.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


script = _script()


@pytest.fixture(scope="module")
def tests() -> list[str]:
    return script.collect()


@pytest.fixture(scope="module")
def plan():
    return script.load_plan()


@pytest.fixture(scope="module")
def names() -> list[str]:
    return script.names_of_sources()


def test_the_plan_is_complete(plan, tests, names) -> None:
    assert script.problems(plan, tests, names, script.sections()) == []


def test_collection_finds_long_tests_and_parameters(tests) -> None:
    assert "tests/test_plan.py::test_the_plan_is_complete" in tests
    assert "tests/sim/formal/test_proofs.py::test_it_holds[mesh_2x2]" in tests  # marked long


def test_every_test_file_is_collected(tests) -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    assert files == {test.partition("::")[0] for test in tests}


@pytest.mark.parametrize(
    "name",
    [
        "sdann verify-nothing", "sdann bench cycles", "ChipConfig.lanes", "CORE.pool_kernel", "EDGE.stride_log2",
        "ROUTE.phase_y", "REQUANT.mult", "Register.WATCHDOG", "ErrorCode.FRAMING", "HostOp.SAMPLE_END", "Counter.SOPS",
        "chip.md#address-setup", "chip.md#lockstep", "numerics.md#a-fan-in-in-parts", "mapper.md#cuts",
        "verification.md#coverage-of-descriptors",
    ],
)  # fmt: skip
def test_what_no_feature_names_is_noticed(plan, tests, names, name) -> None:
    """A name that the plan loses, or the sources win."""
    sections = script.sections()
    known = name in names or name in sections
    features = [
        replace(f, covers=[c for c in f.covers if c != name], docs=[d for d in f.docs if d != name])
        for f in plan.features
    ]
    found = script.problems(replace(plan, features=features), tests, names if known else [*names, name], sections)
    assert [line for line in found if line.startswith(f"{name} is ") and line.endswith(" by no feature")] == found
    assert len(found) == 1


def test_a_test_file_that_no_feature_names_is_noticed(plan, tests, names) -> None:
    more = [*tests, "tests/sdann/test_new.py::test_something"]
    found = script.problems(plan, more, names, script.sections())
    assert found == ["tests/sdann/test_new.py is linked to no feature"]


def test_names_that_are_not_there_are_noticed(plan, tests, names) -> None:
    first = replace(
        plan.features[0], docs=["chip.md#nothing"], covers=["ErrorCode.NOTHING"],
        tests={"unit": ["tests/hdl/test_router.py::test_nothing"]},
    )  # fmt: skip
    found = script.problems(replace(plan, features=[*plan.features, first]), tests, names, script.sections())
    name = repr(first.name)
    assert found == [
        f"feature {name} is there twice",
        f"feature {name} covers 'ErrorCode.NOTHING': there is none",
        f"feature {name} docs 'chip.md#nothing': there is none",
        f"feature {name}, unit: no test is called 'tests/hdl/test_router.py::test_nothing'",
    ]


def test_patterns() -> None:
    tests = ["tests/a/test_x.py::test_one[p-1]", "tests/a/test_x.py::test_one[q.1]", "tests/a/test_y.py::test_one_more"]
    assert script.matching("tests/a/test_x.py", tests) == tests[:2]
    assert script.matching("tests/a/test_x.py::test_one", tests) == tests[:2]
    assert script.matching("tests/a/test_x.py::test_one[q.1]", tests) == tests[1:2]
    assert script.matching("tests/a/test_x.py::test_one[qx1]", tests) == []
    assert script.matching("tests/a/test_*.py::test_one[p*", tests) == tests[:1]
    assert script.matching("tests/a/*one_more", tests) == tests[2:]
    assert script.matching("test_one", tests) == []


def test_sections_are_headings_and_bold_leads() -> None:
    text = "# T\n## The host's side, `x`\n- **Load** (`l`)\n1. **Limits**.\n**A fan-in.** B\nnot **this**\n"
    text += "```\n## no\n```\n"
    assert list(script.anchors("p.md", text)) == ["p.md#the-hosts-side-x", "p.md#load", "p.md#limits", "p.md#a-fan-in"]


GOOD = '[stages]\nunit = "u"\n[[feature]]\nname = "n"\nsays = "s"\ndocs = ["d"]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[feature", "not a readable TOML file"),
        (GOOD, "feature 'n': needs a name, what it says, docs, and tests of a stage"),
        (GOOD + 'chip = ["t"]\n', r"\['chip'\] is neither a field nor a stage; stages: \['unit'\]"),
        (GOOD + 'unit = "t"\n', "unit must be a list of strings"),
        (GOOD + 'unit = ["t"]\ncovers = [3]\n', "covers must be a list of strings"),
    ],
)
def test_plans_that_are_none_are_refused(tmp_path, text, message) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        script.load_plan(path)


def test_a_run_shows_its_features(plan, tests, tmp_path) -> None:
    """pytest's own XML: ids are those of the collection, and only features with a test in it are shown."""
    files = ["tests/sdann/test_atomic.py", "tests/sdann/test_trains.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml", str(tmp_path / "run.xml")]
    subprocess.run([*command, *files], cwd=ROOT, capture_output=True, check=True)
    found = script.outcomes(tmp_path / "run.xml")
    assert set(found) == {test for test in tests if test.partition("::")[0] in files}
    assert set(found.values()) == {"passed"}
    _, missing = script.run_table(plan, found)
    shown = {f.name for f in plan.features} - {line.split("'")[1] for line in missing}
    assert {"generation", "sparsity", "image files"} <= shown and "barrier" not in shown


def test_a_failed_test_is_told(plan, tmp_path) -> None:
    case = '<testcase classname="tests.hdl.test_barrier" name="test_levels[3]"'
    path = tmp_path / "run.xml"
    path.write_text(f'<testsuites><testsuite>{case}/>{case}><failure message="m"/></testcase></testsuite></testsuites>')
    found = script.outcomes(path)
    assert found == {"tests/hdl/test_barrier.py::test_levels[3]": "failed"}
    _, missing = script.run_table(plan, found)
    assert "feature 'barrier': tests/hdl/test_barrier.py::test_levels[3] failed" in missing
    assert "feature 'barrier' has no test that passed" in missing
    path.write_text(path.read_text().replace("failure", "skipped"))
    assert script.outcomes(path) == {"tests/hdl/test_barrier.py::test_levels[3]": "skipped"}
    path.write_text("<testsuites")
    with pytest.raises(FileFormatError, match="write one with --junit-xml"):
        script.outcomes(path)


def test_the_command(tmp_path) -> None:
    path = tmp_path / "run.xml"
    path.write_text('<testsuite><testcase classname="tests.hdl.test_barrier" name="test_levels"/></testsuite>')
    done = [
        subprocess.run(
            [sys.executable, "scripts/test_plan.py", "--junit", str(file)], cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )
        for file in (path, tmp_path / "none.xml")
    ]  # fmt: skip
    assert done[0].returncode == 1 and "barrier" in done[0].stdout
    assert "feature 'network' has no test that passed" in done[0].stderr and "'barrier'" not in done[0].stderr
    assert done[1].returncode == 2 and "none.xml: not a readable JUnit XML file" in done[1].stderr
    assert "Traceback" not in done[1].stderr
