"""Verilator's coverage counters, read from the files that a run leaves.

A point is one counter. Kinds:

- "line": statements of the generated Verilog that run together, between two branches. An Amaranth description has one
  such group for each signal and each ``m.If``, ``m.Elif``, ``m.Else`` or ``m.Case`` that assigns it.
- "branch": an arm of if, case or ``?:``, with or without statements in it.
- "toggle": one bit of one signal, in one direction.
"""

import re
from collections import Counter as Multiset
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sdann.errors import FileFormatError

__all__ = ["Point", "read_points"]

_FIELD = re.compile("\x01([^\x02]*)\x02([^\x01]*)")


@dataclass(frozen=True, order=True)
class Point:
    """``file``: the Verilog's name. ``module``: as in the Verilog. ``line``, ``column``: from 1. ``what``: "if",
    "case", "block", ...; of a toggle the signal's bit and direction. ``arm``: whether a branch led here.
    ``statements``: whether there are any.
    """

    file: str
    module: str
    line: int
    column: int
    what: str
    toggle: bool = False
    arm: bool = False
    statements: bool = True

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it counts as."""
        if self.toggle:
            return ("toggle",)
        return (("line",) if self.statements else ()) + (("branch",) if self.arm else ())


def read_points(path: Path) -> Multiset[Point]:
    """How often each point of ``path`` was hit, in all instances; raises FileFormatError."""
    found: Multiset[Point] = Multiset()
    for number, line in enumerate(_lines(path), start=1):
        if line.startswith("#") or not line.strip():
            continue
        text, _, count = line.rpartition("' ")
        fields = dict(_FIELD.findall(text))
        try:
            kind, module = fields["page"].split("/", 1)
            what = fields["o"]
            point = Point(
                file=fields["f"].rpartition("/")[2], module=module, line=int(fields["l"]), column=int(fields["n"]),
                what=what, toggle=kind == "v_toggle", arm=kind != "v_toggle" and what != "block",
                statements=bool(fields.get("S")),
            )  # fmt: skip
            found[point] += int(count)
        except (KeyError, ValueError):
            raise FileFormatError(f"{path}, line {number}: not a counter of Verilator: {line[:80]!r}") from None
    return found


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text().splitlines()
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}") from None
