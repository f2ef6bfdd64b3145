"""What a report shows, as one typed and versioned JSON object; the page is a view of it and nothing else."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
    """What quantization chose: see :class:`sdann.quantize.LayerReport`."""

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
    stages: list[StageData]
    layers: list[LayerData]
    first_difference: Difference | None
    figures: list[FigureData]
    spikes: list[SpikeData]
    energy: list[EnergyData]
    energy_pj: dict[str, float]
    quantization: list[QuantizedLayer] | None
    cores: list[CoreData]
    links: list[LinkData]
    pipeline: list[PipelineRow]
    windows: list[WindowData]
    ok: bool
    failures: list[str]


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
