"""Runs the covering layers' cores on the RTL, against models: which bins of the descriptors' coverage they hit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hdl.core import Core
from hdl.verilog import convert
from sdann import reference
from sdann.errors import MismatchError
from sdann.graph import INPUT
from sdann.mapper.image import Coordinate
from sdann.tile_model import TileModel

from .core_case import CoreCase, core_case, save_cases
from .coverage import Coverage
from .covering import COVERAGE_CHIP, CoveringLayer, covering_layers
from .toolchain import BenchResult, Simulator, run_bench

__all__ = ["covering_cases", "run_cases"]


def covering_cases(
    seed: int = 0, *, progress: Callable[[int, int], None] | None = None
) -> tuple[list[CoreCase], Coverage]:
    """Cores that hit every bin, and their coverage. ``progress``: called with bins hit and bins in all.

    Raises :class:`MismatchError` where a layer's tile model is not the golden.
    """
    rng = np.random.default_rng(seed)
    coverage, cases = Coverage(), list[CoreCase]()
    for number, layer in enumerate(covering_layers(seed)):
        needed: list[Coordinate] = []
        for core, entry in layer.image.cores.items():
            if entry.layer != INPUT and coverage.gain(layer.image, [core]):
                coverage.add(layer.image, [core])
                needed.append(core)
        cases += _cases(layer, needed, rng, f"layer {number}")
        if progress:
            _, hit, total = coverage.rows()[-1]
            progress(hit, total)
    return cases, coverage


def _cases(layer: CoveringLayer, cores: list[Coordinate], rng: np.random.Generator, name: str) -> list[CoreCase]:
    found, golden = TileModel(layer.image).run(layer.x, trace=True), reference.run(layer.network, layer.x)
    for what, expected in golden.activations.items():
        if (found.activations[what] != expected).any():
            raise MismatchError(f"{name}: {what!r} of the tile model is not the golden's")
    steps = layer.image.time_steps
    return [
        core_case(
            layer.image, core, found, isums=[int(rng.integers(steps))],
            name=f"{name}, core {core} ({layer.image.cores[core].layer})",
        )
        for core in cores
    ]  # fmt: skip


def run_cases(
    cases: list[CoreCase], *, simulator: Simulator, folder: Path, build_dir: Path, seed: int = 1, stalls: bool = True,
    timeout: float = 1800.0,
) -> BenchResult:  # fmt: skip
    """Runs cases of :data:`COVERAGE_CHIP` on one core's RTL; the file with the cases stays in ``folder``.

    ``stalls``: random stalls on both streams. Raises :class:`sim.toolchain.BenchError` where something differs.
    """
    path = folder / "cases.json"
    save_cases(cases, path)
    return run_bench(
        verilog=convert(Core(COVERAGE_CHIP), "sdann_core"), toplevel="sdann_core", module="sim.benches.core_bench",
        simulator=simulator, build_dir=build_dir, env={"SDANN_CASES": str(path.resolve())},
        testcase="with_stalls" if stalls else "at_full_speed", seed=seed, timeout=timeout,
    )  # fmt: skip
