"""What a report shows, as one typed and versioned JSON object; the page is a view of it and nothing else."""

from itertools import chain
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hdl.program import Counter
from sdann.energy import NAMES
from sdann.errors import FileFormatError
from sdann.mapper.manifest import RegionEntry
from sdann.mesh_model import Direction

__all__ = [
    "FORMAT", "MEMORIES", "VERSION", "ChipData", "CoreData", "Difference", "EnergyData", "FigureData", "LayerData",
    "LinkData", "MemoryUse", "QuantizedLayer", "ReportData", "StageData", "WindowData", "load_report",
]  # fmt: skip

FORMAT: Final = "sdann-report"
VERSION: Final = 1

MEMORIES = ("weights", "neurons", "activations", "constants", "edges", "routes")
"""What :attr:`CoreData.memory` tells of, in words (edges and routes: descriptors)."""

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class StageData(_Model):
    """One stage: see :class:`sdann.stages.StageResult`. None where a field has no meaning."""

    name: str
    samples: Count
    compared: Count | None
    mismatches: Count | None
    accuracy: Share | None
    sops: Count | None
    cycles: Count | None
    saturations: Count | None
    duplicate_sops: int | None


class Difference(_Model):
    """The first activation that differs: see :class:`sim.compare.Difference`."""

    stage: str
    layer: str
    sample: Count
    neuron: list[Count]
    expected: int
    found: int
    core: list[Count] | None
    step: int | str | None


class LayerData(_Model):
    """A computed layer. ``compared``: activations; ``mismatches``, ``sops``: by stage, all samples; a stage that counts
    no SOPs is not there. ``energy_nj``: per sample, the paper's count.
    """

    layer: str
    compared: Count
    mismatches: dict[str, Count]
    sops: dict[str, Count]
    energy_nj: float


class SpikeData(_Model):
    """Spikes that the cores of a layer have sent, by time step 0 .. T-1, all samples; ``total``: their SPIKES_OUT."""

    layer: str
    steps: list[Count]
    total: Count


class FigureData(_Model):
    """See :class:`sdann.results.Figure`."""

    name: str
    value: float
    bound: float | None
    unit: str
    relation: Literal[">=", "<=", "=="]
    holds: bool


class EnergyData(_Model):
    """Energy per sample in nJ. ``operations``: ``unit`` per sample. ``paper_nj``: they alone; ``parts_nj``: what the
    extended estimate adds; ``extended_nj``: all of it.
    """

    name: str
    unit: Literal["MACs", "SOPs"]
    operations: float
    paper_nj: float
    parts_nj: dict[str, float]
    extended_nj: float


class QuantizedLayer(_Model):
    """What quantization chose: see :class:`sdann.quantization.LayerReport`."""

    layer: str
    scale: float
    bias_mode: str
    bias_bits_sum: Count
    bias_bits_scaled: Count
    membrane_bits: Count
    overflow: str
    alive: Share


class ChipData(_Model):
    """``rows`` and ``cols`` of the mesh; ``cores`` that it has, and those in use. The host's tile is (0, 0)."""

    preset: str
    config_id: int
    rows: Count
    cols: Count
    cores: Count
    used: Count
    lanes: Count


class MemoryUse(_Model):
    """Words of one memory."""

    used: Count
    depth: Count


class CoreData(_Model):
    """One tile but the host's. ``layer``: None of a free tile, whose router may work all the same. ``region``: its part
    of the layer's activations (of the neurons, for a core of a part). ``memory``: by :data:`MEMORIES`. ``counters``: by
    :class:`hdl.program.Counter` name, after the whole run.
    """

    y: Count
    x: Count
    layer: str | None
    part: Count
    region: RegionEntry | None
    memory: dict[str, MemoryUse]
    counters: dict[str, Count]


class LinkData(_Model):
    """From tile (y, x) to its neighbour in ``direction``. ``flits``: spike bundles of the whole run."""

    y: Count
    x: Count
    direction: Direction
    flits: Count


class WindowData(_Model):
    """One window. By core, in the order of :attr:`ReportData.cores`: ``sops``, ``spikes_in``, ``spikes_out``, ``hops``.
    ``flits``: by link, in the order of :attr:`ReportData.links`. ``work``: by row of :attr:`ReportData.pipeline`, the
    sample it worked on, None where there was none.
    """

    sops: list[Count]
    spikes_in: list[Count]
    spikes_out: list[Count]
    hops: list[Count]
    flits: list[Count]
    work: list[Count | None]


class PipelineRow(_Model):
    """A layer at work: it "sends" the host's samples, "integrates", or its last results are "read out"."""

    layer: str
    does: Literal["sends", "integrates", "read out"]


class ReportData(_Model):
    """A run. ``source``: where network and inputs are from. ``simulator``: what gave the cores' counters and the
    ``cycles`` of the run at full speed ("tiles": no RTL, cycles are the cycle model's). ``failures``: why it is not
    ``ok``.
    """

    format: Literal["sdann-report"] = FORMAT
    version: Literal[1] = VERSION
    network: str
    source: str
    simulator: str
    samples: Annotated[int, Field(ge=1)]
    time_steps: Count
    membrane_bits: Count
    scaled: bool
    seconds: float
    cycles: Count
    chip: ChipData
    stages: Annotated[list[StageData], Field(min_length=1)]
    layers: Annotated[list[LayerData], Field(min_length=1)]
    first_difference: Difference | None
    figures: list[FigureData]
    spikes: list[SpikeData]
    energy: Annotated[list[EnergyData], Field(min_length=2, max_length=2)]
    energy_pj: dict[str, float]
    quantization: list[QuantizedLayer] | None
    cores: list[CoreData]
    links: list[LinkData]
    pipeline: list[PipelineRow]
    windows: Annotated[list[WindowData], Field(min_length=1)]
    ok: bool
    failures: list[str]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """What the page takes for granted: lists are as long as what they speak of, and names are those of layers."""
        known = {core.layer for core in self.cores}
        lengths = {
            "sops": len(self.cores), "spikes_in": len(self.cores), "spikes_out": len(self.cores),
            "hops": len(self.cores), "flits": len(self.links), "work": len(self.pipeline),
        }  # fmt: skip
        for number, window in enumerate(self.windows):
            for name, length in lengths.items():
                if (found := len(getattr(window, name))) != length:
                    raise ValueError(f"windows.{number}.{name} has {found} entries, not {length}")
        places = [(core.y, core.x) for core in self.cores]
        wanted = [(y, x) for y in range(self.chip.rows) for x in range(self.chip.cols)][1:]
        rows = [(row.layer, "golden" in row.sops, row.mismatches.keys()) for row in self.layers]
        stages = self.layers[0].mismatches.keys()
        for right, what in (
            (sorted(places) == wanted, "cores are not the tiles of the mesh without (0, 0)"),
            (all(name in known and golden and own == stages for name, golden, own in rows), "layers do not match"),
            (
                all(row.layer in known and len(row.steps) == self.time_steps for row in self.spikes),
                "spikes do not match",
            ),
            (known - {None} <= {row.layer for row in self.spikes}, "a layer has no spikes"),
            (all(row.layer in known for row in self.pipeline), "the pipeline has another layer"),
            (all(core.memory.keys() == set(MEMORIES if core.layer else ()) for core in self.cores), "memories miss"),
            (all(core.counters.keys() == set(Counter.__members__) for core in self.cores), "counters miss"),
            (all((core.layer is None) == (core.region is None) for core in self.cores), "a region misses"),
            (all((link.y, link.x) in [(0, 0), *places] for link in self.links), "a link has no tile"),
            (self.energy_pj.keys() == set(chain(*NAMES.values())), "energy constants miss"),
        ):
            if not right:
                raise ValueError(what)
        return self


def load_report(path: str | Path) -> ReportData:
    """Reads and checks the JSON of a report. Raises :class:`FileFormatError` that names the file and the fault."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}") from None
    try:
        return ReportData.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise FileFormatError(
            f"{path}: not the JSON of a report ({FORMAT}, version {VERSION}), which `sdann report` and `sdann demo` "
            f"write: {place}: {first['msg']}"
        ) from None
