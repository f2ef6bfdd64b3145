"""``sdann verify``: every stage on the same samples, from the outside judges down to the RTL, passes or not.

Above the models and :mod:`sim`, as :mod:`sdann.stages` is.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hdl.program import Counter
from sim.compare import LayerComparison, compare, first_difference
from sim.simulators import SimulatorName

from .errors import SdannError
from .graph import IntArray, QuantizedNetwork
from .html_table import html_table
from .mapper import ProgramImage
from .passes import inside, run_passes
from .simulations import ALONE, Simulation, simulations
from .stages import StageResult, Stages, failures
from .tile_model import TileModel
from .validation import validate_programs

if TYPE_CHECKING:
    from sim.compiled.tile import LoneTile
    from sim.tile_mode import TileOutcome, TileProgram

__all__ = ["ALONE", "Simulation", "Verification", "simulations", "verify"]

Progress = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True, kw_only=True, repr=False)
class Verification:
    """``stages``: in the order in which they ran. ``passes``; ``cores``: of each. ``tiles``: run alone on the RTL.
    ``tile_cycles``: theirs, loading and reading included.
    """

    stages: tuple[StageResult, ...]
    passes: int
    cores: tuple[int, ...]
    tiles: int = 0
    tile_cycles: int = 0

    @property
    def failures(self) -> list[str]:
        """Every way in which the stages disagree, the first difference of each stage first. Empty: all agree."""
        return failures(list(self.stages))

    def __repr__(self) -> str:
        compared = sum(stage.compared or 0 for stage in self.stages)
        different = sum(stage.mismatches or 0 for stage in self.stages)
        names = ", ".join(stage.name for stage in self.stages)
        verdict = "agrees" if not self.failures else "DISAGREES"
        return f"Verification({verdict}: {compared:,} activations compared, {different:,} differ; {names})"

    def _repr_html_(self) -> str:
        fields = ("samples", "compared", "mismatches", "sops", "saturations", "cycles")
        rows = []
        for stage in self.stages:
            values = [getattr(stage, name) for name in fields]
            rows.append((stage.name, *("" if value is None else f"{value:,}" for value in values)))
        return html_table(repr(self), ("stage", "samples", "compared", "differ", "SOPs", *fields[4:]), rows)


def verify(
    network: QuantizedNetwork, x: IntArray, labels: IntArray | None, images: Sequence[ProgramImage], *,
    simulation: Simulation = "compiled", layer: str | None = None, stall: float = 0.0, seed: int = 0, jobs: int = 2,
    build_dir: Path, progress: Progress,
) -> Verification:  # fmt: skip
    """Runs all stages on inputs ``x`` [N, C, H, W]: the golden model against torch and onnxruntime, the spiking model,
    the tile model and the RTL against the golden.

    ``images``: the network's programs, one per pass. ``layer``: the RTL of this layer's tiles only; with
    :data:`ALONE`. ``jobs``: tiles at a time. Raises SdannError for a layer that is not there, and where a stage cannot
    run: none is left out.
    """
    if simulation not in simulations():
        raise SdannError(f"there is no simulation {simulation!r}; there are {', '.join(simulations())}")
    if layer is not None:
        if simulation != ALONE:
            raise SdannError(f"one layer can be run with --sim {ALONE} only: a chip runs all of its network")
        if layer not in {one.name for one in network.layers}:
            names = ", ".join(one.name for one in network.layers)
            raise SdannError(f"{network.name!r} has no layer {layer!r}; its layers are {names}")
    advance = progress("models")
    stages = Stages(network, x, labels)
    results = []
    models: tuple[Callable[[], StageResult], ...] = (
        stages.golden_model,
        stages.onnxruntime,
        lambda: stages.spiking_model(isum_bits=images[0].config.isum_bits),
    )
    for number, run in enumerate(models, start=1):
        results.append(run())
        advance(number, len(models))
    cores = tuple(len(image.cores) for image in images)
    if simulation == ALONE:
        alone = _Alone(network, stages, images, layer, jobs, build_dir, progress)
        tiles, rtl = alone.run(x)
        return Verification(
            stages=(*results, tiles, rtl), passes=len(images), cores=cores, tiles=alone.tiles,
            tile_cycles=alone.cycles,
        )  # fmt: skip
    if len(images) == 1 and simulation != "tiles":
        advance = progress("tile model")
        results.append(stages.tile_model(images[0]))
        advance(1, 1)
        rtl, _ = stages.rtl(
            images[0], simulator=simulation, stall=stall, seed=seed, build_dir=build_dir, progress=progress
        )
        return Verification(stages=(*results, rtl), passes=1, cores=cores)
    results.append(_tiles(stages, images, progress))
    if simulation != "tiles":
        results.append(_in_passes(stages, images, simulation, stall, seed, build_dir, progress))
    return Verification(stages=tuple(results), passes=len(images), cores=cores)


def _tiles(stages: Stages, images: Sequence[ProgramImage], progress: Progress) -> StageResult:
    advance = progress("tile model")
    found = validate_programs(
        stages.network, images, stages.golden, stages.x,
        done=lambda image: advance(image.manifest.pass_number + 1, image.manifest.passes),
    )  # fmt: skip
    rows = [
        LayerComparison(stage="tiles", layer=row.layer, compared=row.compared, mismatches=row.different, first=None)
        for row in found.layers
    ]
    return StageResult(
        name="tiles", samples=len(stages.x), compared=sum(row.compared for row in rows), mismatches=found.different,
        sops=sum(row.sops for row in found.layers), saturations=found.saturations, layers=tuple(rows),
        problems=tuple(found.problems(0.0)),
    )  # fmt: skip


def _in_passes(
    stages: Stages, images: Sequence[ProgramImage], simulator: SimulatorName, stall: float, seed: int, build_dir: Path,
    progress: Progress,
) -> StageResult:  # fmt: skip
    from sim.passes import simulate_passes  # pulls in the simulators' tools

    found = simulate_passes(
        images, stages.x, simulator=simulator, stall=stall, seed=seed, build_dir=build_dir,
        progress=lambda image: progress(
            f"RTL on {simulator}, pass {image.manifest.pass_number + 1} of {image.manifest.passes}"
        ),
    )  # fmt: skip
    rows = found.against(stages.network, stages.expected)
    return StageResult(
        name="rtl", samples=len(stages.x), compared=sum(row.compared for row in rows),
        mismatches=sum(row.mismatches for row in rows), sops=sum(run.total(Counter.SOPS) for run in found.runs),
        saturations=sum(run.total(Counter.SATURATIONS) for run in found.runs), cycles=found.cycles, layers=tuple(rows),
        first=first_difference(rows), problems=found.problems,
    )  # fmt: skip


class _Alone:
    """Each tile alone; the tile model runs beside it, and gives what it is held against."""

    def __init__(
        self, network: QuantizedNetwork, stages: Stages, images: Sequence[ProgramImage], layer: str | None, jobs: int,
        build_dir: Path, progress: Progress,
    ) -> None:  # fmt: skip
        self.network, self.stages, self.images = network, stages, images
        self.layer, self.jobs, self.build_dir = layer, jobs, build_dir
        self.tiles = self.cycles = 0
        self.sops = self.saturations = 0
        self.problems: list[str] = []
        self.values: dict[str, IntArray] = {}
        cores = sum(self._wanted(image, entry.layer) for image in images for entry in image.cores.values())
        self.total = cores * len(stages.x)
        self.advance = progress("tiles on the RTL")
        self._local = threading.local()
        self._opened: list[LoneTile] = []

    def _wanted(self, image: ProgramImage, name: str) -> bool:
        return self.layer is None or name == self.layer

    def run(self, x: IntArray) -> tuple[StageResult, StageResult]:
        """The tile model's result, and the RTL's."""
        from sim.compiled.build import build_library

        self.advance(0, self.total)
        build_library(self.images[0].config, build_dir=self.build_dir)
        try:
            with ThreadPoolExecutor(self.jobs) as pool:
                values = run_passes(self.images, x, lambda image, sources: self._pass(pool, image, sources))
        finally:
            for tile in self._opened:
                tile.close()
        expected = self.stages.expected
        rows = compare("tiles", expected, {name: values[name] for name in expected})
        tiles = self._result("tiles", rows, ())
        wanted = {name: a for name, a in expected.items() if self.layer in (None, name)}
        return tiles, self._result("rtl, tiles alone", compare("rtl", wanted, self.values), self.problems)

    def _result(self, name: str, rows: list[LayerComparison], problems: Sequence[str]) -> StageResult:
        rtl = name != "tiles"
        return StageResult(
            name=name, samples=len(self.stages.x), compared=sum(row.compared for row in rows),
            mismatches=sum(row.mismatches for row in rows), layers=tuple(rows), first=first_difference(rows),
            sops=self.sops if rtl else None, saturations=self.saturations if rtl else None,
            cycles=self.cycles if rtl else None, problems=tuple(problems),
        )  # fmt: skip

    def _pass(
        self, pool: ThreadPoolExecutor, image: ProgramImage, sources: Mapping[str, IntArray]
    ) -> Mapping[str, IntArray]:
        from sim.tile_mode import TileProgram

        count, found = len(self.stages.x), []
        for n in range(count):
            result = TileModel(image).run({name: values[n : n + 1] for name, values in sources.items()})
            found.append({layer.name: result.activations[layer.name] for layer in image.computed})
            program = TileProgram(image, result)
            cores = [core for core, entry in image.cores.items() if self._wanted(image, entry.layer)]
            words = {}
            for outcome in pool.map(lambda core, program=program: self._tile(program, core), cores):
                self._count(image, outcome, n)
                words[outcome.core] = outcome.words
            for layer in image.computed:
                if layer.name in self.stages.expected and self._wanted(image, layer.name):
                    whole = self.values.setdefault(layer.name, np.zeros((count, *layer.shape), dtype=np.int64))
                    part = inside(layer.held)
                    whole[n : n + 1][part] = image.assemble(layer.name, words)[None][part]
        return {name: np.concatenate([each[name] for each in found]) for name in found[0]}

    def _tile(self, program: "TileProgram", core: tuple[int, int]) -> "TileOutcome":
        from sim.compiled.tile import LoneTile
        from sim.tile_mode import run_tile

        if not hasattr(self._local, "tile"):
            self._local.tile = LoneTile(program.config, build_dir=self.build_dir)
            self._opened.append(self._local.tile)
        return run_tile(self._local.tile, program, core)

    def _count(self, image: ProgramImage, outcome: "TileOutcome", sample: int) -> None:
        self.tiles += 1
        self.cycles += outcome.cycles
        self.sops += outcome.counters[Counter.SOPS.name]
        self.saturations += outcome.counters[Counter.SATURATIONS.name]
        where = f"pass {image.manifest.pass_number}, layer {outcome.layer!r}, core {outcome.core}, sample {sample}"
        self.problems += [f"{where}: {problem}" for problem in outcome.problems]
        self.advance(self.tiles, self.total)
