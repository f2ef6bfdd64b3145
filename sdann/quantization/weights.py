"""Integer weights of a layer whose edges share one product scale.

With edge e's weight scale S_e and its source's S_x,e, the sum can only be formed where S_e S_x,e = U 2^k_e for all
edges: one unit U (per output channel, or per layer) and a left shift k_e for each edge.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from ..errors import SdannError
from ..float_model import FloatArray, FloatEdge, FloatLayer
from ..graph import IntArray

__all__ = ["FIXED", "EdgeWeights", "Source", "WeightObserver", "edge_weights"]

WeightObserver = Literal["minmax", "mse"]

BLOCK = 1 << 22
FRACTIONS = [step / 40 for step in range(40, 9, -1)]
"""Of the largest |w|, that the observer "mse" tries."""

FIXED = ("avgpool", "identity")
"""Kinds of edges whose weights are not trained: one number for all."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What an edge reads: the real value of one unit, and the mean square of its activations (real)."""

    scale: float
    mean_square: float


@dataclass(frozen=True, kw_only=True, eq=False)
class EdgeWeights:
    """``weights`` and ``shifts``: per edge. ``unit``: U, [C_out], real value of one unit of the sum.

    ``skip_error``: see :class:`sdann.quantization.LayerReport`.
    """

    weights: list[IntArray]
    shifts: list[int]
    unit: FloatArray
    skip_error: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitChoice:
    shifts: tuple[int, ...]
    unit: FloatArray
    cost: float


def _blocks(weight: FloatArray) -> Iterator[slice]:
    """Output channels some at a time: a large layer's weights are not copied as a whole."""
    rows = max(1, BLOCK // weight[0].size)
    return (slice(start, start + rows) for start in range(0, len(weight), rows))


def _positive(step: FloatArray) -> FloatArray:
    """``step`` [C_out]; where it is 0, as of a channel without weights, any other will do."""
    positive: FloatArray = np.where(step > 0, step, float(step.max()) or 1.0)
    return positive


def _integers(edge: FloatEdge, scale: FloatArray, limit: int) -> IntArray:
    found = np.empty(edge.weight.shape, dtype=np.int64)
    least = -limit if edge.step is None else -limit - 1
    for rows in _blocks(edge.weight):
        quotient = edge.weight[rows] / scale[rows, None, None, None]
        found[rows] = np.clip(np.rint(quotient), least, limit)
    return found


def _given_peaks(edge: FloatEdge, step: FloatArray, limit: int) -> FloatArray:
    """Peaks with which the steps that are given are just possible: there is one integer more below 0."""
    whole = edge.weight.reshape(len(step), -1) / _positive(step)[:, None]
    most = np.maximum(whole.max(axis=1), -whole.min(axis=1) * limit / (limit + 1))
    return np.asarray(step * (most if np.ptp(step) > 0 else most.max()))


def _peaks(edge: FloatEdge, limit: int, per_channel: bool, observer: WeightObserver) -> FloatArray:
    """The magnitude that becomes the largest integer, ``limit``: [C_out], the same for all unless ``per_channel``."""
    if edge.step is not None:
        return _given_peaks(edge, edge.step, limit)
    peaks = np.concatenate([np.abs(edge.weight[rows]).max(axis=(1, 2, 3)) for rows in _blocks(edge.weight)])
    if not per_channel:
        peaks[:] = peaks.max()
    if observer == "minmax" or edge.kind in FIXED or peaks.max() == 0:
        return peaks
    errors = np.zeros((len(FRACTIONS), len(peaks)))
    for rows in _blocks(edge.weight):
        weight = edge.weight[rows]
        for error, fraction in zip(errors, FRACTIONS, strict=True):
            scale = (np.where(peaks > 0, peaks, 1) * fraction / limit)[rows, None, None, None]
            rounded = np.clip(np.rint(weight / scale), -limit, limit) * scale
            error[rows] = np.square(rounded - weight).sum(axis=(1, 2, 3))
    if not per_channel:
        errors[:] = errors.sum(axis=1, keepdims=True)
    return np.asarray(peaks * np.array(FRACTIONS)[errors.argmin(axis=0)])


def _of_one_magnitude(weight: FloatArray) -> bool:
    magnitudes = np.abs(weight)
    return bool(np.isin(magnitudes, (0.0, magnitudes.max())).all())


def _given(edge: FloatEdge, step: FloatArray, limit: int) -> IntArray:
    """The integers of weights that are multiples of ``step``."""
    whole = np.rint(edge.weight / np.where(step > 0, step, 1)[:, None, None, None])
    if whole.max() > limit or whole.min() < -limit - 1:
        raise SdannError(
            f"its weights are {whole.min():g}..{whole.max():g} steps, {limit.bit_length() + 1} bits hold "
            f"{-limit - 1}..{limit}: take more weight bits, or quantize the weights symmetrically, in -127..127"
        )
    return whole.astype(np.int64)


def _single(layer: FloatLayer, source: Source, limit: int, per_channel: bool, observer: WeightObserver) -> EdgeWeights:
    edge = layer.edges[0]
    if edge.step is not None:
        return EdgeWeights(
            weights=[_given(edge, edge.step, limit)], shifts=[0], unit=_positive(edge.step) * source.scale
        )
    peaks = _peaks(edge, limit, per_channel, observer)
    if peaks.max() == 0:
        raise SdannError("all its weights are zero")
    if edge.kind in FIXED or (not np.any(layer.bias) and _of_one_magnitude(edge.weight)):
        largest = np.abs(edge.weight).max()
        scale = np.full(len(peaks), largest)  # all are 0 or +-this: exact in the smallest integers
        return EdgeWeights(weights=[_integers(edge, scale, 1)], shifts=[0], unit=scale * source.scale)
    scale = np.where(peaks > 0, peaks, peaks.max()) / limit
    return EdgeWeights(weights=[_integers(edge, scale, limit)], shifts=[0], unit=scale * source.scale)


class UnitSearch:
    """The unit and the shifts with the least expected squared error of the sum."""

    def __init__(
        self, edges: tuple[FloatEdge, ...], sources: list[Source], limit: int, per_channel: bool, max_shift: int,
        observer: WeightObserver,
    ) -> None:  # fmt: skip
        self.edges, self.sources, self.limit, self.max_shift = edges, sources, limit, max_shift
        scales = [source.scale for source in sources]
        # Smallest U 2^k_e with which edge e's weights fit, [edges, C_out].
        self.least = np.stack(
            [_peaks(e, limit, per_channel, observer) * s / limit for e, s in zip(edges, scales, strict=True)]
        )
        if self.least.max() == 0:
            raise SdannError("all its weights are zero")

    def cost(self, shifts: tuple[int, ...], unit: FloatArray) -> float:
        """Expected squared error: of trained weights as uniform rounding, of fixed and of given ones as it is."""
        total = 0.0
        for edge, source, shift in zip(self.edges, self.sources, shifts, strict=True):
            step = unit * 2.0**shift / source.scale
            if edge.kind in FIXED:
                weight, taps = edge.weight[:, 0, 0, 0], edge.weight[0].size
                error = np.square((np.rint(weight / step) * step - weight) * taps)  # all taps err alike
            elif edge.step is not None:
                error = np.square(_integers(edge, step, self.limit) * step[:, None, None, None] - edge.weight)
            else:
                error = np.square(step) / 12 * edge.weight[0].size
            total += float(error.sum()) * source.mean_square
        return total

    def units(self, shifts: tuple[int, ...]) -> list[FloatArray]:
        """The smallest unit that ``shifts`` allow, and for each fixed or given edge the next that makes it exact."""
        unit = (self.least / np.exp2(shifts)[:, None]).max(axis=0)
        unit = np.where(unit > 0, unit, unit.max())
        found = [unit]
        for edge, source, shift in zip(self.edges, self.sources, shifts, strict=True):
            if edge.kind in FIXED:
                ratio = edge.weight[:, 0, 0, 0] * source.scale / 2.0**shift
                whole = np.floor(ratio / unit * (1 + 1e-12))
                if whole.min() >= 1:
                    found.append(ratio / whole)
            elif edge.step is not None:
                exact = _positive(edge.step) * source.scale / 2.0**shift
                if (exact >= unit * (1 - 1e-9)).all():
                    found.append(exact)
        return found

    def best(self, shifts: tuple[int, ...]) -> UnitChoice:
        """The best unit for ``shifts``."""
        low = min(shifts)
        shifts = tuple(min(shift - low, self.max_shift) for shift in shifts)
        unit = min(self.units(shifts), key=lambda unit: self.cost(shifts, unit))
        return UnitChoice(shifts=shifts, unit=unit, cost=self.cost(shifts, unit))

    def run(self) -> UnitChoice:
        """Starts from each edge's own scale, then changes one shift at a time as long as that helps."""
        peaks = np.maximum(self.least.max(axis=1), self.least.max() / 2.0**self.max_shift)
        starts = {tuple(np.maximum(0, np.ceil(np.log2(peaks / peak))).astype(int).tolist()) for peak in peaks}
        choice = min((self.best(start) for start in sorted(starts)), key=lambda choice: choice.cost)
        improved = True
        while improved:
            improved = False
            for number, change in product(range(len(self.edges)), (-1, 1)):
                shifts = list(choice.shifts)
                shifts[number] += change
                other = self.best(tuple(shifts))
                if other.cost < choice.cost * (1 - 1e-9):
                    choice, improved = other, True
        return choice


def edge_weights(
    layer: FloatLayer,
    sources: list[Source],
    *,
    weight_bits: int,
    per_channel: bool,
    max_shift: int,
    observer: WeightObserver = "minmax",
) -> EdgeWeights:
    """Integer weights of ``weight_bits`` bits for ``layer``, whose edges read ``sources``.

    A single edge takes S = max |w| / (2^(b-1) - 1), or with ``observer`` "mse" the fraction of it that has the least
    squared error, which pays at few bits; an average pool (or weights of one magnitude) ones. For several
    edges, units that make an identity edge exact are tried too. Raises SdannError where all weights are zero.
    """
    limit = (1 << weight_bits - 1) - 1
    if len(layer.edges) == 1:
        return _single(layer, sources[0], limit, per_channel, observer)
    choice = UnitSearch(layer.edges, sources, limit, per_channel, max_shift, observer).run()
    weights, errors = [], []
    for edge, source, shift in zip(layer.edges, sources, choice.shifts, strict=True):
        scale = choice.unit * 2.0**shift / source.scale
        weights.append(_integers(edge, scale, limit))
        if edge.kind == "identity":
            errors.append(float(np.abs(weights[-1][:, 0, 0, 0] * scale - 1).max()))
    return EdgeWeights(
        weights=weights, shifts=list(choice.shifts), unit=choice.unit, skip_error=max(errors, default=None)
    )
