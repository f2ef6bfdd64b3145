"""Comparison of a model's activations with the golden's: every neuron, exactly, and the first difference by name."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hdl.program import Counter
from sdann.errors import MismatchError
from sdann.graph import IntArray
from sdann.mapper import ProgramImage

__all__ = ["Difference", "LayerComparison", "astray", "check_astray", "compare", "first_difference", "require_equal"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One activation that differs. ``neuron``: (channel, y, x). ``core``: (y, x) of its tile, where a chip is involved.

    ``step``: the time step in which I(t) or V(t) first differs, "requantization" where those agree, None where
    not examined.
    """

    stage: str
    layer: str
    sample: int
    neuron: tuple[int, int, int]
    expected: int
    found: int
    core: tuple[int, int] | None = None
    step: int | str | None = None

    def __str__(self) -> str:
        place = "" if self.core is None else f", core {self.core}"
        when = "" if self.step is None else f", {self.step}" if isinstance(self.step, str) else f", step {self.step}"
        return (
            f"{self.stage}: layer {self.layer!r}{place}, sample {self.sample}, neuron (c, y, x) = {self.neuron}{when}: "
            f"expected {self.expected}, found {self.found}"
        )


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """How one layer compared: number of activations, how many differ, and the first one that does."""

    stage: str
    layer: str
    compared: int
    mismatches: int
    first: Difference | None


def compare(
    stage: str, expected: Mapping[str, IntArray], found: Mapping[str, IntArray], image: ProgramImage | None = None
) -> list[LayerComparison]:
    """Compares [N, C, H, W] activations layer by layer, in the order of ``expected``.

    Raises :class:`sdann.errors.MismatchError` when a layer is missing or has another shape: what was not compared
    must not pass for equal.
    """
    rows = []
    for layer, wanted in expected.items():
        if layer not in found:
            raise MismatchError(f"{stage}: layer {layer!r} has no activations to compare")
        got = found[layer]
        if got.shape != wanted.shape:
            raise MismatchError(f"{stage}: layer {layer!r} has shape {got.shape}, expected {wanted.shape}")
        differs = got != wanted
        first = None
        if differs.any():
            n, c, y, x = (int(i) for i in np.argwhere(differs)[0])
            first = Difference(
                stage=stage, layer=layer, sample=n, neuron=(c, y, x),
                expected=int(wanted[n, c, y, x]), found=int(got[n, c, y, x]),
                core=None if image is None else image.locate(layer, (c, y, x))[0],
            )  # fmt: skip
        rows.append(
            LayerComparison(
                stage=stage, layer=layer, compared=int(wanted.size), mismatches=int(differs.sum()), first=first
            )
        )
    return rows


def first_difference(rows: list[LayerComparison]) -> Difference | None:
    """The first difference in the earliest layer that has one."""
    return next((row.first for row in rows if row.first is not None), None)


def require_equal(rows: list[LayerComparison]) -> None:
    """Raises :class:`sdann.errors.MismatchError` with the first difference, if there is one."""
    if difference := first_difference(rows):
        total = sum(row.mismatches for row in rows)
        raise MismatchError(f"{total} activations differ; the first: {difference}")


def astray(counters: Mapping[tuple[int, int], Mapping[str, int]], stray: int) -> list[str]:
    """A line for every tile where flits were refused or dropped, and for the host tile's ``stray`` ones.

    ``counters``: by core (y, x) and :class:`hdl.program.Counter` name.
    """
    found = [
        f"tile {core}: {values[name]} {name.lower()} flits"
        for core, values in counters.items()
        for name in (Counter.REJECTED.name, Counter.DROPPED.name)
        if values[name]
    ]
    return found + ([f"host tile (0, 0): {stray} stray flits"] if stray else [])


def check_astray(counters: Mapping[tuple[int, int], Mapping[str, int]], stray: int) -> None:
    """Raises :class:`sdann.errors.MismatchError` that names the tiles of :func:`astray`, if there are any."""
    if found := astray(counters, stray):
        raise MismatchError(f"flits went astray: {'; '.join(found)}")
