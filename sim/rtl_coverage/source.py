"""Where a line of the generated Verilog comes from: the signal that it assigns, and that signal's declaration."""

import re
from dataclasses import dataclass, field

__all__ = ["Origin", "SourceMap"]

_NAME = r"(\\\S+ |[A-Za-z_$][\w$.]*)"
_ATTRIBUTE = re.compile(r'^\s*\(\* src = "([^"]*)" \*\)\s*$')
_DECLARED = re.compile(rf"^\s*(?:input|output|wire|reg|logic)\b[^;=]*?{_NAME}\s*(?:=[^;]*)?;")
_COPIED = re.compile(rf"^\s*(?:assign )?{_NAME}\s*(?:\[[\d:]+\]\s*)?(?:<=|=) {_NAME}\s*;")
_ASSIGNED = re.compile(rf"^\s*(?:assign )?{_NAME}\s*(?:\[[\d:]+\]\s*)?(?:<=|=) ")
_INNER = re.compile(r'\(\* src = "([^"]*)" \*\)')
_TEMPORARY = re.compile(r"_\d+_$")


@dataclass(frozen=True)
class Origin:
    """``signal``: what the line assigns ("" where that is no name). ``declared``: "hdl/file.py:line" of it, or of the
    expression. ``text``: the line, with numbered temporaries as "_" and names without their numbers.
    """

    signal: str
    declared: str
    text: str


@dataclass
class _Module:
    """``declared``: where each name is. ``feeds``: the name that a plain copy of another one makes."""

    declared: dict[str, str] = field(default_factory=dict)
    feeds: dict[str, str] = field(default_factory=dict)


class SourceMap:
    """Of one Verilog text."""

    def __init__(self, verilog: str) -> None:
        self._lines = verilog.splitlines()
        self._targets = dict[int, str]()  # what the line's block or the line itself assigns
        self._modules = list[_Module]()
        self._module_of = list[_Module]()
        attribute, block, target = "", list[int](), ""
        for number, line in enumerate(self._lines, start=1):
            if line.startswith("module ") or not self._modules:
                self._modules.append(_Module())
            module = self._modules[-1]
            self._module_of.append(module)
            if not line.startswith("    ") and line != "  end":
                block, target = [], ""
            if line.startswith("  always"):
                block = [number]
            elif block:
                block.append(number)
            if found := _ATTRIBUTE.match(line):
                attribute = found[1]
                continue
            if found := _DECLARED.match(line):
                module.declared.setdefault(found[1].strip(), attribute)
            if found := _COPIED.match(line):
                module.feeds.setdefault(found[2].strip(), found[1].strip())
            if not target and (found := _ASSIGNED.match(line)):
                target = found[1].strip()
            if target:
                self._targets |= dict.fromkeys(block or [number], target)
            if not block:
                target = ""
            attribute = ""

    def origin(self, line: int) -> Origin:
        """Of line ``line``, from 1."""
        text, module = self._lines[line - 1], self._module_of[line - 1]
        signal = self._targets.get(line, "")
        if _TEMPORARY.match(signal):
            signal = module.feeds.get(signal, signal)
        inner = _INNER.search(text)
        declared = module.declared.get(signal) or (inner[1] if inner else "")
        return Origin(
            signal="" if _TEMPORARY.match(signal) else _plain(signal),
            declared=re.sub("^.*/site-packages/", "", declared), text=" ".join(_plain(_INNER.sub("", text)).split()),
        )  # fmt: skip


def _plain(text: str) -> str:
    """Without what changes from one design to the next: numbers of temporaries and of names that occur twice."""
    return re.sub(r"\$\d+", "", re.sub(r"\b_\d+_", "_", text)).replace("\\", "")
