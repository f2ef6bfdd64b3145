"""Python and its packages, held against what pyproject.toml asks for: the installed metadata, or the source tree's."""

import importlib.util
import platform
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .finding import Finding

__all__ = ["MODULES", "Wanted", "package_findings", "wanted_packages"]

MODULES = {
    "cocotbext-axi": "cocotbext.axi", "pillow": "PIL", "pyserial": "serial", "pytest-xdist": "xdist",
    "scikit-learn": "sklearn",
}  # fmt: skip
"""What is imported, where that is not the package's name with underscores."""

DEVELOPMENT = "development"
"""What a source tree's group "dev" is called here."""

PURPOSES = {
    "": "always needed", "compare": "cores of another toolchain, for scripts/", "fpga": "sdann fpga, board and formal",
    "snn": "baselines of sdann paper and agree", DEVELOPMENT: "the tests",
}  # fmt: skip
"""What each extra is for."""

SOURCE = Path(__file__).resolve().parents[2] / "pyproject.toml"

_NAME = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*([^;]*)")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """``versions``: a specifier such as ">=2.0,<3". ``extra``: "" for what is always needed."""

    name: str
    versions: str
    extra: str

    @property
    def module(self) -> str:
        """What is imported."""
        return MODULES.get(self.name, self.name.replace("-", "_").lower())


def _requirement(text: str, extra: str = "") -> Wanted:
    match = _NAME.match(text)
    assert match is not None, text
    found = _EXTRA.search(text)
    return Wanted(name=match[1], versions=match[2].strip(" ()"), extra=found[1] if found else extra)


def wanted_packages() -> list[Wanted]:
    """All requirements: a source tree's own, with the group "dev", or those of the installed package."""
    if SOURCE.is_file():
        with SOURCE.open("rb") as file:
            tree = tomllib.load(file)
        project = tree["project"]
        groups = project.get("optional-dependencies", {}) | {DEVELOPMENT: tree["dependency-groups"]["dev"]}
        return [
            *(_requirement(text) for text in project["dependencies"]),
            *(_requirement(text, extra) for extra, texts in groups.items() for text in texts),
        ]
    return [_requirement(text) for text in metadata.requires("sdann") or ()]


def _problem(found: str, versions: str) -> str:
    """What is wrong with version ``found``; "" if it serves, or where nothing can tell."""
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:  # reported as missing itself
        return ""
    fits = SpecifierSet(versions).contains(found, prereleases=True)
    return "" if fits else f"is {found}, which does not serve"


def _python() -> Finding:
    least = "3.11"
    found = platform.python_version()
    enough = tuple(map(int, found.split(".")[:2])) >= tuple(map(int, least.split(".")))
    return Finding(
        name="Python", group="python", wanted=f">={least}", found=found, purpose="runs all of it", required=True,
        remedy=f"install Python {least} or later, and make a virtual environment with it",
        problem="" if enough else f"is {found}, which does not serve",
    )  # fmt: skip


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _finding(wanted: Wanted) -> Finding:
    try:
        found = metadata.version(wanted.name)
    except metadata.PackageNotFoundError:
        found = ""
    if found and not _importable(wanted.module):
        problem = f"is installed as {found}, but `import {wanted.module}` finds nothing"
    else:
        problem = _problem(found, wanted.versions) if found else "is missing"
    extra = wanted.extra and wanted.extra != DEVELOPMENT
    group = f"extra {wanted.extra}" if extra else wanted.extra or "packages"
    return Finding(
        name=wanted.name, group=group, wanted=wanted.versions, found=found, required=not wanted.extra,
        purpose=PURPOSES.get(wanted.extra, group), problem=problem,
        remedy=f"pip install 'sdann[{wanted.extra}]'" if extra else f"pip install '{wanted.name}{wanted.versions}'",
    )  # fmt: skip


def package_findings() -> Iterator[Finding]:
    """Python, the packages, and those of every extra."""
    yield _python()
    for wanted in wanted_packages():
        yield _finding(wanted)
