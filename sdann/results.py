"""Results as plain data: stages, figures with their bounds, JSON."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hdl.program import Counter

from .graph import INPUT
from .mapper import ProgramImage
from .stages import RtlRun, StageResult

__all__ = ["Figure", "broken", "json_text", "rtl_figures", "stage_data"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured ``value``. ``relation``: how it must stand to ``bound`` (None: there is none)."""

    name: str
    value: float
    unit: str
    bound: float | None = None
    relation: Literal[">=", "<=", "=="] = ">="

    @property
    def holds(self) -> bool:
        """Whether the value keeps its bound."""
        if self.bound is None:
            return True
        return {">=": self.value >= self.bound, "<=": self.value <= self.bound, "==": self.value == self.bound}[
            self.relation
        ]

    def as_dict(self) -> dict[str, Any]:
        """The fields that the JSON output promises."""
        return {"name": self.name, "value": self.value, "bound": self.bound, "unit": self.unit}

    def __str__(self) -> str:
        return f"{self.name}: {self.value:,.6g} {self.unit}".rstrip()


def broken(figures: Iterable[Figure]) -> list[str]:
    """A line for every figure that does not keep its bound."""
    return [f"{figure}, which must be {figure.relation} {figure.bound:g}" for figure in figures if not figure.holds]


def rtl_figures(image: ProgramImage, run: RtlRun) -> list[Figure]:
    """Pipeline and use of the chip, from its own counters (Figure 11: K samples take K + layers windows)."""
    streamed = run.streamed
    working = [core for core, entry in image.cores.items() if entry.layer != INPUT]
    busiest = max(streamed.counters[core][Counter.BUSY.name] for core in working)
    return [
        Figure(
            name="windows", value=streamed.windows, unit="windows", relation="==",
            bound=streamed.samples + image.manifest.registers.STAGES,
        ),
        Figure(name="cycles per image, filling included", value=streamed.cycles / streamed.samples, unit="cycles"),
        Figure(name="cycles per window, on average", value=streamed.cycles / max(1, streamed.windows), unit="cycles"),
        Figure(name="busiest core's accumulator", value=busiest / max(1, streamed.cycles), unit="of all cycles"),
    ]  # fmt: skip


def stage_data(stages: Sequence[StageResult], image: ProgramImage, figures: Sequence[Figure] = ()) -> dict[str, Any]:
    """The keys ``stages``, ``layers``, ``first_difference``, ``cores`` and, where there are any, ``figures``."""
    compared = [stage for stage in stages if stage.layers]
    layers = [
        {
            "layer": row.layer, "compared": row.compared,
            "mismatches": {stage.name: stage.layers[number].mismatches for stage in compared},
            "sops": {stage.name: stage.layer_sops[row.layer] for stage in compared if stage.layer_sops},
        }
        for number, row in enumerate(compared[0].layers)
    ]  # fmt: skip
    first = next((stage.first for stage in stages if stage.first is not None), None)
    data: dict[str, Any] = {
        "stages": [stage.as_dict() for stage in stages], "layers": layers,
        "first_difference": None if first is None else dataclasses.asdict(first), "cores": len(image.cores),
    }  # fmt: skip
    return data | ({"figures": [figure.as_dict() for figure in figures]} if figures else {})


def json_text(data: Mapping[str, Any]) -> str:
    """One JSON object; NaN and infinities are refused."""
    return json.dumps(data, indent=2, allow_nan=False)
