"""The stages of verification: one set of samples through every model, each held against the golden model.

This module stands above both the models and :mod:`sim`, which runs the RTL.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from hdl.program import Counter, chunks_of
from sim.compare import Difference, LayerComparison, astray, compare, first_difference

from . import reference, stem
from .duplicates import duplicates
from .errors import SdannError
from .evaluate import accuracy, float_accuracy
from .graph import INPUT, IntArray, QuantizedNetwork
from .judge import judge
from .mapper import ProgramImage
from .tile_model import TileModel
from .tile_observer import TileObserver

if TYPE_CHECKING:
    from torch import nn

    from sim.result import RunResult
    from sim.simulators import SimulatorName

__all__ = ["RtlRun", "StageResult", "Stages", "failures"]

EVENTS = (Counter.SOPS, Counter.SPIKES_IN, Counter.SPIKES_OUT, Counter.SATURATIONS)
"""Counters that do not depend on timing."""


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What one stage found. None where a field has no meaning.

    ``compared``, ``mismatches``: activations of all layers and samples. ``accuracy``: share of samples, 0..1. ``sops``,
    ``cycles``, ``saturations``: summed over samples. ``layers``: the comparison, ``layer_sops``: the SOPs, by layer.
    ``duplicate_sops``: counted by cores that compute the same neurons (see :mod:`sdann.duplicates`), and not part of
    ``sops``. ``first``: the first activation that differs. ``problems``: anything else that is not as it must be.
    """

    name: str
    samples: int
    compared: int | None = None
    mismatches: int | None = None
    accuracy: float | None = None
    sops: int | None = None
    cycles: int | None = None
    saturations: int | None = None
    layers: tuple[LayerComparison, ...] = ()
    layer_sops: Mapping[str, int] = field(default_factory=dict)
    duplicate_sops: int | None = None
    first: Difference | None = None
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The fields that the JSON output promises."""
        names = ("name", "samples", "compared", "mismatches", "accuracy", "sops", "cycles", "saturations")
        return {name: getattr(self, name) for name in (*names, "duplicate_sops")}


@dataclass(frozen=True, kw_only=True)
class RtlRun:
    """The RTL's two runs of the same samples: paused after every window, and at full speed."""

    observed: "RunResult"
    streamed: "RunResult"


def failures(stages: list[StageResult]) -> list[str]:
    """Every way in which the stages disagree, the first difference of each stage first. Empty: all agree."""
    found = []
    for stage in stages:
        if stage.mismatches:
            first = "" if stage.first is None else f"; the first: {stage.first}"
            found.append(f"{stage.mismatches} of {stage.compared} activations differ{first}")
        found += [f"{stage.name}: {problem}" for problem in stage.problems]
    return found


class Stages:
    """Runs the stages on one set of samples.

    ``x``: integers [N, C, H, W] of T bits. ``labels``: int64 [N], None where there are no classes. The golden model
    runs at once; its result is :attr:`golden`.
    """

    def __init__(self, network: QuantizedNetwork, x: IntArray, labels: IntArray | None = None) -> None:
        self.network, self.x, self.labels = network, x, labels
        self.golden = reference.run(network, x)
        self.output = network.layers[-1].name
        self.expected = {name: a for name, a in self.golden.activations.items() if name != INPUT}
        self._tile_counters: dict[tuple[int, int], dict[str, int]] = {}

    def float_net(self, model: "nn.Module", images: npt.ArrayLike) -> StageResult:
        """The float network on the same samples, as real ``images``: nothing to compare but its accuracy."""
        right = None if self.labels is None else float_accuracy(model, images, self.labels)
        return StageResult(name="float", samples=len(self.x), accuracy=right)

    def golden_model(self) -> StageResult:
        """The golden model against the outside judge: another implementation of the same integers."""
        other = judge(self.network, self.x)
        # The golden's activations are the ones in question here.
        rows = compare("golden", other.activations, self.expected)
        return self._result("golden", rows, self.golden.activations, other.sops, other.saturations)

    def onnxruntime(self, *, threads: int = 1) -> StageResult:
        """The golden model against onnxruntime, which runs the network as ONNX's integer operators.

        Every activation counts as compared; accumulators that differ are problems. Raises SdannError where onnxruntime
        is not exact on this machine, and UnsupportedError for a layer that cannot be exported.
        """
        from .onnx_export import STAGE, compare_with_onnxruntime  # takes a moment, and most commands need none of it

        rows = compare_with_onnxruntime(self.network, self.x, golden=self.golden, threads=threads)
        activations = [row for row in rows if row.stage == STAGE]
        sums = [row for row in rows if row.stage != STAGE and row.mismatches]
        return StageResult(
            name=STAGE, samples=len(self.x), compared=sum(row.compared for row in activations),
            mismatches=sum(row.mismatches for row in activations), layers=tuple(activations),
            first=first_difference(activations),
            problems=tuple(f"{row.mismatches} of {row.compared} differ; the first: {row.first}" for row in sums),
        )  # fmt: skip

    def spiking_model(self, *, isum_bits: int = 24) -> StageResult:
        """The spiking reference, step by step, with I(t) of ``isum_bits`` bits."""
        found = stem.run(self.network, self.x, isum_bits=isum_bits, record=())
        rows = compare("stem", self.expected, found.activations)
        return self._result("stem", rows, found.activations, found.sops, found.saturations)

    def tile_model(self, image: ProgramImage, *, observer: TileObserver | None = None) -> StageResult:
        """The program image, core by core. ``observer`` watches its run."""
        found = TileModel(image).run(self.x, observer=observer)
        rows = compare("tiles", self.expected, found.activations, image)
        counters = {core: {c.name: n for c, n in values.items()} for core, values in found.counters.items()}
        self._tile_counters = counters
        problems = self._output_problems(found.readout) + astray(counters, found.stray)
        sops, saturations, twice = self._per_layer(image, counters)
        return self._result("tiles", rows, found.activations, sops, saturations, problems, twice=twice)

    def rtl(
        self,
        image: ProgramImage,
        *,
        simulator: "SimulatorName" = "verilator",
        stall: float = 0.0,
        seed: int = 0,
        verilog: str | None = None,
        build_dir: Path | None = None,
        progress: Callable[[str], Callable[[int, int], None]] | None = None,
    ) -> tuple[StageResult, RtlRun]:
        """The chip's RTL: once paused after every window, so that every activation is read, once at full speed.

        ``progress``: called with what begins, returns what to call with (done, total). The other arguments as in
        :func:`sim.cosim.simulate`. Counters and cycles are those of the run at full speed; where :meth:`tile_model` ran
        before, each core's must equal its.
        """
        from sim.cosim import locate_step, simulate  # pulls in the simulators' tools

        runs = {}
        modes: tuple[Literal["observe", "stream"], ...] = ("observe", "stream")
        for mode in modes:
            advance = progress(f"RTL on {simulator}, {mode}") if progress else None
            runs[mode] = simulate(
                image, self.x, simulator=simulator, mode=mode, stall=stall, seed=seed, verilog=verilog,
                build_dir=build_dir, progress=advance, answer_limit=_answer_limit(image, stall),
            )  # fmt: skip
            if advance:  # a simulator in another process ends between two looks at it
                advance(len(self.x), len(self.x))
        observed, streamed = runs["observe"], runs["stream"]
        rows = compare("rtl", self.expected, observed.activations, image)
        problems = []
        for mode, run in runs.items():
            found = self._output_problems(run.outputs) + astray(run.counters, run.stray)
            wanted = len(self.x) + image.manifest.registers.STAGES
            if (run.windows, run.samples) != (wanted, len(self.x)):
                found.append(f"{run.windows} windows for {run.samples} samples, expected {wanted} for {len(self.x)}")
            problems += [f"{mode}: {text}" for text in found]
        sops, saturations, twice = self._per_layer(image, streamed.counters)
        for counter in EVENTS:
            if observed.total(counter) != streamed.total(counter):
                problems.append(
                    f"{counter.name} is {observed.total(counter)} where paused, {streamed.total(counter)} at full speed"
                )
        for core, predicted in self._tile_counters.items():
            for counter in EVENTS if core in streamed.counters else ():
                if (counted := streamed.counters[core][counter.name]) != predicted[counter.name]:
                    problems.append(
                        f"core {core}: {counter.name} is {counted}, the tile model counts {predicted[counter.name]}"
                    )
        first = first_difference(rows)
        if first is not None:
            try:
                first = locate_step(
                    first, self.network, image, self.x, simulator=simulator, verilog=verilog, build_dir=build_dir
                )
            except SdannError as error:  # the difference is known; only its step is not
                problems.append(f"the step of the first difference could not be found: {error}")
        result = self._result(
            "rtl", rows, {self.output: streamed.outputs}, sops, saturations, problems, first, streamed.cycles, twice
        )
        return result, RtlRun(observed=observed, streamed=streamed)

    def _per_layer(
        self, image: ProgramImage, counters: Mapping[tuple[int, int], Mapping[str, int]]
    ) -> tuple[dict[str, int], dict[str, int], int]:
        """SOPs and saturations by layer, without those of neurons computed twice; and the SOPs of those, in all."""
        extra = duplicates(self.network, image, self.golden.activations)
        sops, saturations = (
            {
                name: sum(counters[core.y, core.x][counter.name] for core in image.cores_of(name)) - more
                for name, more in apart.items()
            }
            for counter, apart in (
                (Counter.SOPS, {name: d.sops for name, d in extra.items()}),
                (Counter.SATURATIONS, {name: d.saturations for name, d in extra.items()}),
            )
        )
        return sops, saturations, sum(d.sops for d in extra.values())

    def _output_problems(self, outputs: IntArray | None) -> list[str]:
        """The read-out, as the host receives it, against the golden's last layer."""
        wanted = self.expected[self.output]
        if outputs is None or outputs.shape != wanted.shape:
            return [f"read-out of shape {None if outputs is None else outputs.shape}, expected {wanted.shape}"]
        wrong = int((outputs != wanted).sum())
        if not wrong:
            return []
        at = tuple(int(i) for i in np.argwhere(outputs != wanted)[0])
        return [
            f"{wrong} read-out values differ; the first: sample {at[0]}, neuron (c, y, x) = {at[1:]}: "
            f"expected {wanted[at]}, found {outputs[at]}"
        ]

    def _result(
        self,
        name: str,
        rows: list[LayerComparison],
        activations: Mapping[str, IntArray],
        sops: Mapping[str, int],
        saturations: Mapping[str, int],
        problems: list[str] | None = None,
        first: Difference | None = None,
        cycles: int | None = None,
        twice: int | None = None,
    ) -> StageResult:
        problems = list(problems or [])
        for what, found, wanted in (
            ("SOPs", sops, self.golden.sops),
            ("saturations", saturations, self.golden.saturations),
        ):
            for layer, number in wanted.items():
                if found[layer] != number:
                    problems.append(f"layer {layer!r}: {found[layer]} {what}, the golden model counts {number}")
        right = None if self.labels is None else accuracy(activations[self.output], self.labels)
        return StageResult(
            name=name, samples=len(self.x), compared=sum(row.compared for row in rows),
            mismatches=sum(row.mismatches for row in rows), accuracy=right, sops=sum(sops.values()), cycles=cycles,
            saturations=sum(saturations.values()), layers=tuple(rows), layer_sops=dict(sops), duplicate_sops=twice,
            first=first or first_difference(rows), problems=tuple(problems),
        )  # fmt: skip


def _answer_limit(image: ProgramImage, stall: float) -> int:
    """Cycles to wait for an answer: the first question waits until the whole program has gone out."""
    config = image.config
    flits = sum(
        len(blob) * chunks_of(config, m) for memories in image.memories.values() for m, blob in memories.items()
    )
    return 20_000 + int(2 * flits / (1 - stall))
