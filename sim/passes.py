"""A network larger than the chip on the RTL: one program after the other, with the activations kept in between."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdann.graph import IntArray, QuantizedNetwork
from sdann.mapper import ProgramImage
from sdann.passes import run_passes
from sdann.tile_model import TileModel

from .compare import LayerComparison, astray, compare
from .cosim import simulate
from .result import RunResult
from .simulators import SimulatorName

__all__ = ["PassesResult", "simulate_passes"]


@dataclass(frozen=True, kw_only=True)
class PassesResult:
    """``activations``: int64 [K, C, H, W] of every layer, the input's included. ``runs``: what each pass did.

    ``problems``: counters that are not the tile model's, and bundles that went astray.
    """

    activations: dict[str, IntArray]
    runs: tuple[RunResult, ...]
    problems: tuple[str, ...]

    def against(self, network: QuantizedNetwork, expected: Mapping[str, IntArray]) -> list[LayerComparison]:
        """Every layer of ``network`` held against ``expected``, activations by name."""
        own = {layer.name: self.activations[layer.name] for layer in network.layers}
        return compare("rtl", {name: expected[name] for name in own}, own)

    @property
    def cycles(self) -> int:
        """Cycles of all passes, programs and reading included where the run was paused for them."""
        return sum(run.cycles for run in self.runs)


def simulate_passes(
    images: Iterable[ProgramImage], samples: IntArray, *, simulator: SimulatorName = "verilator", stall: float = 0.0,
    seed: int = 0, build_dir: Path | None = None, verilog: str | None = None,
    progress: Callable[[ProgramImage], Callable[[int, int], None] | None] = lambda image: None,
) -> PassesResult:  # fmt: skip
    """Runs the programs of one network on samples [K, C, H, W], all samples through each.

    After every window the activations of all layers are read; what later passes need goes back to the chip as their
    input. ``progress``: called with each program, returns what to call with (done, total). The other arguments and
    errors as of :func:`sim.cosim.simulate`; also raises
    :class:`sdann.errors.SdannError` for programs that do not belong together.
    """
    runs: list[RunResult] = []
    problems: list[str] = []

    def run(image: ProgramImage, sources: Mapping[str, IntArray]) -> Mapping[str, IntArray]:
        predicted = TileModel(image).run(sources)
        found = simulate(
            image, sources, simulator=simulator, mode="observe", stall=stall, seed=seed, build_dir=build_dir,
            verilog=verilog, progress=progress(image),
        )  # fmt: skip
        where = f"pass {image.manifest.pass_number}"
        for core, counters in predicted.counters.items():
            for counter, value in counters.items():
                if (counted := found.counters[core][counter.name]) != value:
                    problems.append(f"{where}, core {core}: {counter.name} is {counted}, the tile model counts {value}")
        problems.extend(f"{where}: {text}" for text in astray(found.counters, found.stray))
        if image.output_layer is not None:
            name = image.output_layer.name
            if not np.array_equal(found.outputs, found.activations[name]):
                problems.append(f"{where}: the read-out of {name!r} is not what its cores hold")
        runs.append(found)
        return found.activations

    values = run_passes(images, samples, run)
    return PassesResult(activations=values, runs=tuple(runs), problems=tuple(problems))
