"""Which memories a Verilog text asks for: what a memory compiler has to make."""

import re
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from .memory import RAM_MODULES

__all__ = ["MemoryUse", "memories_in", "without_memories"]

_INSTANCE = re.compile(rf"^\s*({'|'.join(RAM_MODULES)}) #\((.*?)\)\s*\S+\s*\(", re.MULTILINE | re.DOTALL)
_PARAMETER = re.compile(r"\.(\w+)\(32'(?:sd|d|h)?([0-9a-fA-F]+)\)")


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """One size. ``module``: "sdann_ram" or "sdann_ram_2r". ``width``: bits of a word, in ``parts`` with a write enable
    each. ``depth``: words. ``count``: instances.
    """

    module: str
    width: int
    parts: int
    depth: int
    count: int

    @property
    def bits(self) -> int:
        """Of all instances."""
        return self.width * self.depth * self.count

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def memories_in(verilog: str) -> list[MemoryUse]:
    """The memories that the modules of ``verilog`` instantiate, largest first."""
    found: Counter[tuple[str, int, int, int]] = Counter()
    for module, parameters in _INSTANCE.findall(verilog):
        value = {name: int(number) for name, number in _PARAMETER.findall(parameters)}
        parts = value.get("PARTS", 1)
        found[module, value["PART"] * parts if module == "sdann_ram" else value["WIDTH"], parts, value["DEPTH"]] += 1
    uses = [
        MemoryUse(module=module, width=width, parts=parts, depth=depth, count=count)
        for (module, width, parts, depth), count in found.items()
    ]
    return sorted(uses, key=lambda use: (-use.bits, use.module))


def without_memories(verilog: str) -> tuple[str, str]:
    """(``verilog`` without the memory modules, the memory modules that it held)."""
    held = [text for text in RAM_MODULES.values() if text in verilog]
    for text in held:
        verilog = verilog.replace(text, "")
    return verilog, "\n".join(held)
