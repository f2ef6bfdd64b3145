"""From a run's results to :class:`ReportData`."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hdl.pack import fields, unpack
from hdl.program import Counter, Memory, memory_depths, memory_layouts
from sdann.energy import Energy, ann_energy, load_constants, macs, sdann_energy
from sdann.graph import QuantizedNetwork
from sdann.mapper import ProgramImage
from sdann.mapper.image import Coordinate
from sdann.quantization import QuantizeReport
from sdann.results import Figure, broken
from sdann.stages import StageResult, failures

from .data import (
    ChipData,
    CoreData,
    Difference,
    EnergyData,
    FigureData,
    LayerData,
    LinkData,
    MemoryUse,
    PipelineRow,
    QuantizedLayer,
    ReportData,
    SpikeData,
    StageData,
    WindowData,
)  # fmt: skip
from .recorder import RECORDED, WindowRecorder

if TYPE_CHECKING:
    from sim import compare
    from sim.result import RunResult

__all__ = ["collect"]

PROGRAM = {"weights": Memory.WEIGHT, "constants": Memory.REQUANT, "edges": Memory.EDGE, "routes": Memory.ROUTE}
"""Memories that an image fills, by the names of :data:`sdann.report.data.MEMORIES`."""


def collect(
    *, network: QuantizedNetwork, source: str, image: ProgramImage, stages: Sequence[StageResult],
    figures: Sequence[Figure], recorder: WindowRecorder, run: "RunResult", simulator: str, seconds: float,
    quantized: QuantizeReport | None = None,
) -> ReportData:  # fmt: skip
    """The report of a run of ``image``.

    ``stages``: what each found, the golden's first among those that compare layers. ``recorder``: has watched the tile
    model. ``run``: at full speed on ``simulator``; where its counters are not what the windows add up to, the report's
    ``failures`` say so.
    """
    counters = run.counters
    wrong = [*failures(list(stages)), *broken(figures), *recorder.disagreements(counters)]
    samples, first = stages[0].samples, next((stage.first for stage in stages if stage.first is not None), None)
    cores, links = list(counters), sorted({link for window in recorder.windows for link in window.flits})
    constants = load_constants()
    return ReportData(
        network=network.name, source=source, simulator=simulator, samples=samples, time_steps=network.time_steps,
        membrane_bits=network.membrane_bits, scaled=any(layer.scaled is not None for layer in network.layers),
        seconds=round(seconds, 1), cycles=run.cycles,
        chip=ChipData(
            preset=image.config.name, config_id=image.config.fingerprint, rows=image.config.rows,
            cols=image.config.cols, cores=len(image.config.cores), used=len(image.cores), lanes=image.config.lanes,
        ),
        stages=[StageData(**stage.as_dict()) for stage in stages],
        layers=_layers(stages, samples, constants.pj["ac"]),
        first_difference=None if first is None else Difference.model_validate(_lists(first)),
        figures=[
            FigureData(
                name=f.name, value=float(f.value), bound=None if f.bound is None else float(f.bound), unit=f.unit,
                relation=f.relation, holds=bool(f.holds),
            )
            for f in figures
        ],
        spikes=[
            SpikeData(layer=name, steps=[int(n) for n in steps], total=int(steps.sum()))
            for name, steps in recorder.spikes.items()
        ],
        energy=[
            _energy("quantized ANN", "MACs", ann_energy(macs(network), constants)),
            _energy(
                "on this chip", "SOPs",
                sdann_energy(
                    network, sum(values[Counter.SOPS.name] for values in counters.values()) / samples, constants,
                    hops=sum(values[Counter.HOPS.name] for values in counters.values()) / samples,
                ),
            ),
        ],
        energy_pj=dict(constants.pj),
        quantization=None if quantized is None else _quantization(quantized),
        cores=[_core(image, core, counters[core]) for core in cores],
        links=[
            LinkData(y=link[0], x=link[1], direction=link[2], flits=sum(w.flits.get(link, 0) for w in recorder.windows))
            for link in links
        ],
        pipeline=[PipelineRow.model_validate({"layer": layer, "does": does}) for layer, does in recorder.rows],
        windows=[
            WindowData(
                **{c.name.lower(): [window.counters[core][c] for core in cores] for c in RECORDED},
                flits=[window.flits.get(link, 0) for link in links],
                work=[window.work.get(row) for row in recorder.rows],
            )
            for window in recorder.windows
        ],
        ok=not wrong, failures=wrong,
    )  # fmt: skip


def _lists(first: "compare.Difference") -> dict[str, object]:
    """Its fields, tuples as JSON has them."""
    fields = dataclasses.asdict(first)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def _layers(stages: Sequence[StageResult], samples: int, ac: float) -> list[LayerData]:
    rows = []
    compared = [stage for stage in stages if stage.layers]
    for row in compared[0].layers:
        found = {stage.name: one.mismatches for stage in compared for one in stage.layers if one.layer == row.layer}
        sops = {stage.name: stage.layer_sops[row.layer] for stage in compared if row.layer in stage.layer_sops}
        rows.append(LayerData(
            layer=row.layer, compared=row.compared, mismatches=found, sops=sops,
            energy_nj=next(iter(sops.values())) / samples * ac / 1000,
        ))  # fmt: skip
    return rows


def _energy(name: str, unit: str, energy: Energy) -> EnergyData:
    return EnergyData.model_validate({
        "name": name, "unit": unit, "operations": float(energy.operations), "paper_nj": energy.paper_nj,
        "parts_nj": dict(energy.parts_nj), "extended_nj": energy.extended_nj,
    })  # fmt: skip


def _quantization(report: QuantizeReport) -> list[QuantizedLayer]:
    return [
        QuantizedLayer(
            layer=q.name, scale=float(q.scale), bias_mode=q.bias_mode, bias_bits_sum=q.bias_bits_sum,
            bias_bits_scaled=q.bias_bits_scaled, membrane_bits=q.membrane_bits, overflow=q.overflow,
            alive=float(q.alive),
        )
        for q in report.layers
    ]  # fmt: skip


def _core(image: ProgramImage, core: Coordinate, counters: Mapping[str, int]) -> CoreData:
    entry = image.cores.get(core)
    return CoreData(
        y=core[0], x=core[1], layer=None if entry is None else entry.layer, part=0 if entry is None else entry.part,
        region=None if entry is None else (entry.region if entry.part else entry.outputs),
        memory={} if entry is None else _memory(image, core), counters=dict(counters),
    )  # fmt: skip


def _memory(image: ProgramImage, core: Coordinate) -> dict[str, MemoryUse]:
    """Words that the core's program uses; of activations the ring's, all slots."""
    config = image.config
    depths, layout = memory_depths(config), memory_layouts(config)[Memory.CORE]
    descriptor = unpack(layout, image.words(core, Memory.CORE)[0], fields(layout))
    use = {name: (len(image.memories[core][memory]), depths[memory]) for name, memory in PROGRAM.items()}
    use["neurons"] = image.word_count(core, Memory.MEMBRANE), depths[Memory.MEMBRANE]
    use["activations"] = descriptor["slots"] * descriptor["out_words"], config.act_words
    return {name: MemoryUse(used=used, depth=depth) for name, (used, depth) in use.items()}
