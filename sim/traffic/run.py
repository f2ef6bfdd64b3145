"""Builds the mesh of routers once per configuration and runs traffic on it."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from hdl.config import ChipConfig, preset
from hdl.flit import Flit, flit_bits
from hdl.router import Router
from hdl.verilog import convert
from sdann.errors import ChipError, SdannError
from sim.process import cached_build, run_logged
from sim.runners import BUILD_JOBS, VERILATOR_OPTIONS
from sim.toolchain import verilator_environment

from .patterns import Pattern

__all__ = ["Traffic", "TrafficError", "build", "mesh_config", "run_traffic"]

SOURCE = Path(__file__).with_name("main.cpp")
OPTIONS = ("--cc", "--exe", "--build", "--prefix", "Vrouter", "--top-module", "router", *VERILATOR_OPTIONS)
NUMBER_BITS = 16
ONE = 1 << 32
PATIENCE = 20_000
"""Cycles without a transfer after which flits that are still due count as lost."""


class TrafficError(ChipError):
    """A flit was lost, duplicated, reordered or misrouted."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What one run counted; every copy of every flit arrived once, in order, at its tiles (else: an error)."""

    cycles: int
    flits: int
    """Flits sent, the warm-up's included; ``delivered``: copies of them."""
    delivered: int
    hops: int
    accepted: float
    """Flits per sending tile and cycle that the routers took from their senders in the measured window."""
    accepted_least: float
    """The same of the sender that got the least."""
    delivered_rate: float
    """Copies per tile and cycle that arrived in the measured window."""
    latency: float
    """Mean cycles from a flit's birth (it then waits at its sender) to the arrival of a copy."""
    latency_most: int
    fastest: tuple[int | None, ...]
    """Least latency by distance in hops."""


def mesh_config(side: int, **changes: int) -> ChipConfig:
    """A square mesh with the flits of preset ``ecp5_85k`` (coordinates as wide as the mesh needs)."""
    return preset("ecp5_85k").replace(name=f"mesh{side}", rows=side, cols=side, **changes)


def build(config: ChipConfig, folder: Path, *, router: type[Router] = Router) -> Path:
    """The compiled mesh, from ``folder`` if it is there. Raises :class:`sdann.errors.ToolMissingError` and
    :class:`sim.process.ProcessError`.
    """
    if flit_bits(config) > 64 or flit_bits(config) <= 32:
        raise SdannError(f"the traffic bench carries flits of 33 to 64 bits, not {flit_bits(config)}")
    text, environment = convert(router(config), "router"), verilator_environment()
    key = hashlib.sha256(repr((text, SOURCE.read_bytes(), OPTIONS, version("verilator"))).encode()).hexdigest()[:16]

    def make(partial: Path) -> None:
        (partial / "router.v").write_text(text)
        command = ["verilator", *OPTIONS, "--build-jobs", str(BUILD_JOBS), "-Mdir", "obj", "-o", "mesh"]
        run_logged(
            [*command, "router.v", str(SOURCE)],
            cwd=partial, env=environment, log=partial / "build.log", timeout=600, what="building the mesh of routers",
        )  # fmt: skip

    return cached_build(folder / f"traffic-{key}", make)[0] / "obj" / "mesh"


def _job(config: ChipConfig, pattern: Pattern, rate: float, stall: float, seed: int, sizes: tuple[int, ...]) -> str:
    layout = Flit(config)
    dst, payload = layout["dst"], layout["payload"].offset
    places = [dst.offset + dst.shape[name].offset for name in ("x0", "x1", "y0", "y1")]
    source_bits = max(1, (config.rows * config.cols - 1).bit_length())
    if source_bits + NUMBER_BITS > layout["payload"].width:
        raise SdannError("the flit's payload is too narrow for the sender and a number")
    numbers = [config.rows, config.cols, *places, payload, source_bits, NUMBER_BITS, seed]
    numbers += [round(rate * ONE), round(stall * ONE), *sizes]
    for tile in config.tiles:
        choices = pattern.table.get(tile, {})
        numbers.append(len(choices))
        total = 0.0
        for number, (rectangle, weight) in enumerate(choices.items(), 1):
            total += weight
            numbers += [ONE if number == len(choices) else round(total * ONE), *rectangle]
    return " ".join(map(str, numbers))


def run_traffic(
    program: Path,
    config: ChipConfig,
    pattern: Pattern,
    *,
    rate: float,
    seed: int,
    stall: float = 0.0,
    warm_up: int = 2000,
    measured: int = 8000,
    source_limit: int = 64,
    timeout: float = 600,
) -> Traffic:
    """Runs ``pattern`` on ``program`` (see :func:`build`) and lets the mesh drain.

    ``rate``: probability that a sender makes a flit in a cycle, 0..1; it keeps up to ``source_limit`` of them.
    ``stall``: probability that a tile refuses to take a flit in a cycle. ``warm_up``, ``measured``: cycles.
    Raises :class:`TrafficError` unless every copy arrives once, in its sender's order, and nothing else.
    """
    job = _job(config, pattern, rate, stall, seed, (warm_up, measured, PATIENCE, source_limit))
    try:
        done = subprocess.run([program], input=job, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise TrafficError(f"{pattern.name} traffic at rate {rate:g} did not end within {timeout:g} s") from None
    if done.returncode:
        raise TrafficError(f"{pattern.name} traffic at rate {rate:g}, seed {seed}: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    found["fastest"] = tuple(None if cycles < 0 else cycles for cycles in found["fastest"])
    return Traffic(**found)
