"""cocotb's runners with bounds: logs, time limits, few compilers, and an undisturbed environment."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import Icarus, PathLike, Runner, Verilator

from .process import run_logged

__all__ = ["BoundedIcarus", "BoundedVerilator", "ports"]

BUILD_JOBS = 2
"""Parallel compilers. Each takes up to a gigabyte, so an unbounded make can exhaust the machine."""

VERILATOR_OPTIONS = (
    "-O3",
    "--x-assign", "fast", "--x-initial", "fast",  # repeatable runs; unknowns are Icarus's to find
    "-Wno-WIDTH", "-Wno-CASEINCOMPLETE",  # Amaranth's expressions rely on Verilog's implicit widths and defaults
    "-Wno-UNSIGNED",  # the host tile's coordinates are constants 0, so its router compares with 0
    "-Wno-PROCASSINIT",  # registers have a power-on value besides their reset
    "-Wno-UNOPTFLAT",  # about speed only: handshakes through one packed vector look like a loop
)  # fmt: skip


class _Bounded(Runner):
    """What both runners add to cocotb's."""

    identity: tuple[object, ...]
    """Everything but the design that a build depends on."""

    def __init__(self, environment: Mapping[str, str], *, waves: bool) -> None:
        super().__init__()
        self._base = dict(environment)
        self._wanted_waves = waves
        self.extra_environment: dict[str, str] = {}
        # cocotb's library folder is linked in by its path, so a moved installation needs a new build.
        self.identity = (type(self).__name__, version("cocotb"), str(cocotb_tools.config.libs_dir))

    def limit(self, *, seconds: float, log: Path, what: str) -> None:
        """Time limit, log and name (for messages) of the commands to come."""
        self._seconds, self._log, self._what = seconds, log, what

    def prepare(self, source: Path, toplevel: str) -> list[PathLike]:
        """Sources of a build of ``source``."""
        return [source]

    def _set_env_common(self) -> None:
        # cocotb lets variables of the outer environment override what is asked for here (seed, tests, waves).
        asked = {name: value for name, value in self.env.items() if name.startswith("COCOTB_")}
        super()._set_env_common()
        path = os.pathsep.join([self._base["PATH"], str(cocotb_tools.config.libs_dir)])
        foreign = ("COCOTB_", "PYTEST_")
        kept = {n: v for n, v in self.env.items() if not n.startswith(foreign) and n not in ("WAVES", "GUI")}
        base = {n: v for n, v in self._base.items() if not n.startswith(foreign) and os.environ.get(n) != v}
        self.env = {**kept, **base, **asked, "PATH": path}
        self.waves, self.gui = self._wanted_waves, False

    def _execute(self, cmds: Sequence[list[str]], cwd: PathLike) -> None:
        environment = {**self.env, **self.extra_environment}
        for command in cmds:
            run_logged(command, cwd=Path(cwd), env=environment, log=self._log, timeout=self._seconds, what=self._what)


class BoundedIcarus(_Bounded, Icarus):
    """Icarus Verilog."""


class BoundedVerilator(_Bounded, Verilator):
    """Verilator with only the top's ports public.

    cocotb's own runner makes every signal public (``--public-flat-rw``), which forbids most optimizations: a small
    mesh ran 26 times slower. ``hierarchical``: Verilog modules that are compiled once each.
    """

    def __init__(self, environment: Mapping[str, str], *, hierarchical: Sequence[str], waves: bool) -> None:
        super().__init__(environment, waves=waves)
        self._hierarchical = sorted(hierarchical)
        options = (VERILATOR_OPTIONS, self._base["MAKEFLAGS"], tuple(self._hierarchical))
        self.identity = (*self.identity, version("verilator"), *options)

    def prepare(self, source: Path, toplevel: str) -> list[PathLike]:
        """The control file beside ``source``, and ``source``."""
        lines = ["`verilator_config"]
        lines += [f'public_flat_rw -module "{toplevel}" -var "{port}"' for port in ports(source.read_text(), toplevel)]
        lines += [f'hier_block -module "{name}"' for name in self._hierarchical]
        control = source.with_suffix(".vlt")
        control.write_text("\n".join(lines) + "\n")
        return [control, source]

    def _simulator_in_path_build_only(self) -> None:
        executable = shutil.which("verilator", path=self._base["PATH"])
        assert executable is not None
        self.executable = executable

    def _build_command(self) -> list[list[str]]:
        verilate, _make = super()._build_command()
        verilate.remove("--public-flat-rw")
        # Verilator calls make itself: only it knows the makefile's name, which --hierarchical changes.
        # Hierarchical builds run one job at a time: their makefile was seen to compile a block with two jobs before
        # all of the block's own makefiles were written.
        jobs = 1 if self._hierarchical else BUILD_JOBS
        verilate += [*VERILATOR_OPTIONS, "--build", "--build-jobs", str(jobs), "--verilate-jobs", "1"]
        return [verilate + (["--hierarchical"] if self._hierarchical else [])]


def ports(verilog: str, module: str) -> list[str]:
    """Port names of ``module``, from its header; raises ValueError when the text has no such module."""
    plain = re.sub(r"/\*.*?\*/|\(\*.*?\*\)|//[^\n]*", " ", verilog, flags=re.DOTALL)
    header = re.search(rf"\bmodule\s+\\?{re.escape(module)}\s*\(([^;]*)\)\s*;", plain)
    if header is None:
        raise ValueError(f"the Verilog text has no module {module!r}")
    return [names[-1] for port in header[1].split(",") if (names := re.findall(r"[A-Za-z_$][\w$.]*", port))]
