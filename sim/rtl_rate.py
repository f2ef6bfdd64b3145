"""How fast the RTL is simulated: the compiled chip against cocotb, builds of small and large meshes, tile-cycles."""

import hashlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hdl.chip import CHIP_MODULE, chip_verilog
from hdl.config import ChipConfig
from sdann.errors import MismatchError
from sdann.graph import IntArray
from sdann.mapper import ProgramImage

from .compiled.build import FLAGS, build_library
from .compiled.chip import CompiledChip, run_compiled
from .cosim import run_workload
from .process import cached_build, run_logged
from .result import RunResult
from .runners import BUILD_JOBS, VERILATOR_OPTIONS
from .session import observe, stream
from .toolchain import verilator_environment
from .workload import Mode

FLAT = Path(__file__).parent / "compiled" / "flat.cpp"

__all__ = ["DriverRate", "build_seconds", "driver_rate", "flat_rate", "mesh_rate"]


@dataclass(frozen=True, kw_only=True)
class DriverRate:
    """Seconds of the same workload, without builds: under cocotb, and of the compiled chip. ``cycles``: of both."""

    cocotb: float
    compiled: float
    cycles: int
    tile_cycles: int


def driver_rate(image: ProgramImage, samples: IntArray, *, mode: Mode, build_dir: Path) -> DriverRate:
    """Runs ``samples`` [K, C, H, W] both ways, program and results included; raises MismatchError where they differ."""
    path, bench = run_workload(image, samples, simulator="verilator", mode=mode, build_dir=build_dir, verilog=None)
    wanted = RunResult.load(path)
    with CompiledChip(image.config, build_dir=build_dir) as chip:
        started = time.perf_counter()
        found = run_compiled(chip, image, lambda driver: (observe if mode == "observe" else stream)(driver, samples))
        seconds = time.perf_counter() - started
        tile_cycles = chip.tile_cycles
    if found.cycles != wanted.cycles or found.counters != wanted.counters:
        raise MismatchError(f"{found.cycles} cycles in the compiled chip, {wanted.cycles} under cocotb, or counters")
    if not np.array_equal(found.outputs, wanted.outputs):
        raise MismatchError("the compiled chip's read-out is not the one under cocotb")
    return DriverRate(cocotb=bench.run_seconds, compiled=seconds, cycles=found.cycles, tile_cycles=tile_cycles)


def build_seconds(config: ChipConfig) -> float:
    """Seconds of a build that finds nothing made before."""
    folder = Path(tempfile.mkdtemp(prefix="sdann-build-"))
    try:
        started = time.perf_counter()
        build_library(config, build_dir=folder)
        return time.perf_counter() - started
    finally:
        shutil.rmtree(folder)


def mesh_rate(config: ChipConfig, cycles: int, *, build_dir: Path) -> float:
    """Tile-cycles per second of a mesh in which every tile is evaluated in every cycle."""
    with CompiledChip(config, build_dir=build_dir) as chip:
        chip.skip_idle(False)
        before, started = chip.tile_cycles, time.perf_counter()
        chip.let_pass(cycles)
        return (chip.tile_cycles - before) / (time.perf_counter() - started)


def flat_rate(config: ChipConfig, cycles: int, *, build_dir: Path) -> float:
    """Tile-cycles per second of the whole mesh Verilated flat, at rest as in :func:`mesh_rate`, in its own loop.

    Core tiles count only, in both. Raises :class:`sim.process.ProcessError` when it does not build.
    """
    environment = verilator_environment()
    environment["MAKEFLAGS"] += f" OPT_FAST='{FLAGS[0]}'"
    text = chip_verilog(config)

    def build(folder: Path) -> None:
        (folder / "chip.v").write_text(text)
        run_logged(
            [
                "verilator", "--cc", "--exe", "--build", "--build-jobs", str(BUILD_JOBS), *VERILATOR_OPTIONS,
                "-CFLAGS", " ".join(FLAGS), "--output-split", "20000", "--top-module", CHIP_MODULE, "--Mdir", "chip",
                "-o", "flat", "chip.v", str(FLAT),
            ],
            cwd=folder, env=environment, log=folder / "build.log", timeout=3600, what="compiling the flat chip",
        )  # fmt: skip

    key = hashlib.sha256(repr((text, FLAT.read_text(), FLAGS, VERILATOR_OPTIONS)).encode()).hexdigest()[:16]
    folder, _ = cached_build(build_dir / f"flat-{key}", build)
    done = subprocess.run([folder / "chip" / "flat", str(cycles)], capture_output=True, text=True, check=True)
    return float(done.stdout) * len(config.cores)
