"""Coverage of the RTL by module: what was hit, what was not, and which of that is explained."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sdann.errors import FileFormatError

from .points import Point
from .source import Origin, SourceMap

__all__ = ["KINDS", "Missed", "ModuleRow", "RtlCoverage", "Waiver", "load_waivers"]

KINDS = ("line", "branch", "toggle")
WAIVERS = Path(__file__).with_name("waivers.toml")
CLOCK = "clk"
"""The driver sets it back by hand after each edge: no toggle of it is seen."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """Lines that nothing is meant to hit, and why. ``module``, ``signal``, ``text``: patterns as of the shell, for the
    module without numbers, the assigned signal, and the Verilog's line with temporaries as "_".
    """

    module: str
    signal: str
    text: str
    reason: str

    def fits(self, module: str, origin: Origin) -> bool:
        """Whether this is about a line."""
        pairs = ((module, self.module), (origin.signal, self.signal), (origin.text, self.text))
        return all(fnmatchcase(value, pattern.replace("[", "[[]")) for value, pattern in pairs)


def load_waivers(path: Path = WAIVERS) -> tuple[Waiver, ...]:
    """The waivers in a TOML file; raises FileFormatError for one without a reason."""
    try:
        entries = tomllib.loads(path.read_text()).get("waiver", [])
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(f"{path}: not a TOML file: {error}") from None
    names = {"module", "signal", "text", "reason"}
    for number, entry in enumerate(entries, start=1):
        if set(entry) != names or not all(isinstance(value, str) and value.strip() for value in entry.values()):
            raise FileFormatError(f"{path}: waiver {number} needs {', '.join(sorted(names))}, each a text: {entry}")
    return tuple(Waiver(**entry) for entry in entries)


@dataclass(frozen=True)
class Missed:
    """A line that nothing hit. ``module``: without numbers."""

    module: str
    origin: Origin
    what: str
    reason: str = ""

    def __str__(self) -> str:
        where = f" ({self.origin.declared})" if self.origin.declared else ""
        return f"{self.module}: {self.origin.signal or '?'}{where}, {self.what}: {self.origin.text}"


@dataclass(kw_only=True)
class ModuleRow:
    """``hit``, ``points``: by kind."""

    module: str
    hit: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    points: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def share(self, kind: str) -> float:
        """0..1; 1 where there are none."""
        return self.hit[kind] / self.points[kind] if self.points[kind] else 1.0


def plain_module(module: str) -> str:
    """A module's name without the numbers of instances: lanes, queues and turns that are alike count as one."""
    name = re.sub(r"\$\d+", "", module)
    name = re.sub(r"lane_\d+", "lane", name)
    return re.sub(r"\.(queue|turn)_\w+", r".\1", re.sub(r"__[A-Z]\w*$", "", name))


class RtlCoverage:
    """``hits``: of every point. ``verilog``: texts by file name. ``waivers``: of lines."""

    def __init__(self, hits: Mapping[Point, int], verilog: Mapping[str, str], waivers: Sequence[Waiver] = ()) -> None:
        self._maps = {name: SourceMap(text) for name, text in verilog.items()}
        self.hits = {p: count for p, count in hits.items() if not (p.toggle and p.what.split(":")[0] == CLOCK)}
        self.waivers = tuple(waivers)

    def rows(self) -> list[ModuleRow]:
        """By file and module, in order; each file's sum before its modules."""
        rows: dict[str, ModuleRow] = {}
        for point in sorted(self.hits):
            top = f"{Path(point.file).stem}, all"
            module = plain_module(point.module)
            inside = module if module.startswith(Path(point.file).stem) else f"{Path(point.file).stem}: {module}"
            for name in (top, inside):
                row = rows.setdefault(name, ModuleRow(module=name))
                for kind in point.kinds:
                    row.points[kind] += 1
                    row.hit[kind] += self.hits[point] > 0
        return list(rows.values())

    def total(self, module: str) -> ModuleRow:
        """The sum of a top module."""
        return next(row for row in self.rows() if row.module == f"{module}, all")

    def _lines(self, file: str) -> Iterable[tuple[Point, str, Origin]]:
        for point in sorted(self.hits):
            if "line" in point.kinds and point.file == file:
                yield point, plain_module(point.module), self._maps[file].origin(point.line)

    def missed(self, module: str) -> list[Missed]:
        """Lines of a top module that nothing hit; ``reason``: the waiver's, "" where there is none."""
        found = []
        for point, name, origin in self._lines(f"{module}.v"):
            if not self.hits[point]:
                reasons = [waiver.reason for waiver in self.waivers if waiver.fits(name, origin)]
                found.append(Missed(name, origin, point.what, reasons[0] if reasons else ""))
        return found

    def stale(self, module: str) -> list[str]:
        """Waivers of lines that are hit after all, or that are not there."""
        state: dict[Waiver, list[int]] = {waiver: [0, 0] for waiver in self.waivers}
        hit_line: dict[Waiver, Origin] = {}
        for point, name, origin in self._lines(f"{module}.v"):
            for waiver in self.waivers:
                if waiver.fits(name, origin):
                    state[waiver][self.hits[point] > 0] += 1
                    if self.hits[point]:
                        hit_line.setdefault(waiver, origin)
        found = []
        for waiver, (missed, hit) in state.items():
            what = f"waiver of {waiver.module}, {waiver.signal}, {waiver.text!r}"
            if hit:
                found.append(f"{what} is stale: {hit} such lines are hit, such as {hit_line[waiver].text!r}")
            elif not missed:
                found.append(f"{what} is stale: there is no such line")
        return found

    def failures(self, module: str, *, least: float) -> list[str]:
        """Why the coverage of a top module does not do: too few lines (``least``: 0..1), lines missed without a reason,
        stale waivers.
        """
        row = self.total(module)
        found = []
        if row.share("line") < least:
            found.append(
                f"{row.hit['line']:,} of {row.points['line']:,} lines of {module} are hit, {row.share('line'):.1%}: at "
                f"least {least:.0%} are wanted"
            )
        found += [f"not hit, and no waiver says why: {line}" for line in self.missed(module) if not line.reason]
        return found + self.stale(module)

    def as_dict(self, module: str) -> dict[str, Any]:
        """For JSON: all modules, and what is missed of a top module."""
        rows = [
            {"module": row.module} | {kind: {"hit": row.hit[kind], "points": row.points[kind]} for kind in KINDS}
            for row in self.rows()
        ]
        missed = [{"line": str(line), "reason": line.reason or None} for line in self.missed(module)]
        return {"modules": rows, "missed": missed}
