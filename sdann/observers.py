"""Choosing a range for values from a calibration set: the r_max of S_a = r_max / (2^T - 1).

Statistics are collected batch by batch in a fixed amount of memory, so that a large network's activations need not be
kept.
"""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from .errors import SdannError
from .float_model import FloatArray

__all__ = ["Observer", "Statistics", "observe"]

Observer = Literal["minmax", "percentile", "mse"]

BINS = 1 << 14
"""Of the histogram, half of which at least lie below the largest magnitude."""


class Statistics:
    """Of all values given to :meth:`update`; signs are ignored.

    ``largest``: magnitude. ``mean_square``: of all values, ``alive``: share of those that are not zero.
    """

    def __init__(self) -> None:
        self.largest = 0.0
        self._limit = 0.0  # of the histogram's last bin
        self._histogram = np.zeros(BINS)  # of the magnitudes that are not zero
        self._count = 0
        self._squares = 0.0

    def update(self, values: torch.Tensor) -> None:
        """Take ``values`` (real, any shape) into account."""
        magnitudes = values.detach().abs().flatten().to(torch.float64)
        largest = float(magnitudes.max())
        self._count += magnitudes.numel()
        self._squares += float(magnitudes.square().sum())
        if largest == 0:
            return
        self.largest = max(self.largest, largest)
        if self._limit == 0:
            self._limit = 2.0 ** np.ceil(np.log2(largest))
        while self._limit < largest:  # twice the range: two bins become one
            self._limit *= 2
            self._histogram = np.concatenate([self._histogram.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2)])
        bins = torch.histc(magnitudes[magnitudes != 0], BINS, 0, self._limit)
        self._histogram += bins.numpy()

    @property
    def mean_square(self) -> float:
        return self._squares / max(self._count, 1)

    @property
    def alive(self) -> float:
        return float(self._histogram.sum()) / max(self._count, 1)

    def range(self, observer: Observer, *, levels: int, percentile: float = 99.9) -> float:
        """The range r_max: larger magnitudes will be clipped to it.

        "minmax": the largest magnitude. "percentile": of the non-zero magnitudes. "mse": the range for which quantizing
        to 0..``levels`` has the least mean squared error. The last two are as fine as the histogram, at most 1 / 8192
        of the largest magnitude. Raises SdannError where all values are zero.
        """
        if self.largest == 0:
            raise SdannError("all its values are zero on the calibration set; calibrate with other samples or retrain")
        if observer == "minmax":
            return self.largest
        if observer == "percentile":
            if not 0 < percentile <= 100:
                raise SdannError(f"a percentile must be above 0 and at most 100, not {percentile}")
            below = np.concatenate([[0], np.cumsum(self._histogram)]) / self._histogram.sum()
            edges = np.linspace(0, self._limit, BINS + 1)
            return min(self.largest, float(np.interp(percentile / 100, below, edges)))
        if observer != "mse":
            raise SdannError(f'unknown observer {observer!r}; use "minmax", "percentile" or "mse"')
        used = np.flatnonzero(self._histogram)
        return self._least_error(levels, (used + 0.5) * (self._limit / BINS), self._histogram[used])

    def _least_error(self, levels: int, centres: npt.NDArray[Any], counts: FloatArray) -> float:
        def error(limit: float) -> float:
            unit = limit / levels
            found = np.minimum(np.rint(centres / unit), levels) * unit
            return float(np.square(found - centres) @ counts)

        return min((self.largest * step / 80 for step in range(80, 15, -1)), key=error)


def observe(values: npt.ArrayLike, observer: Observer, *, levels: int, percentile: float = 99.9) -> float:
    """The range r_max of ``values`` (any shape), see :meth:`Statistics.range`."""
    statistics = Statistics()
    statistics.update(torch.as_tensor(np.asarray(values, dtype=np.float64)))
    return statistics.range(observer, levels=levels, percentile=percentile)
