"""Choosing a range for values from a calibration set: the r_max of S_a = r_max / (2^T - 1)."""

from typing import Literal

import numpy as np

from .errors import SdannError
from .float_model import FloatArray

__all__ = ["Observer", "observe"]

Observer = Literal["minmax", "percentile", "mse"]


def observe(values: FloatArray, observer: Observer, *, levels: int, percentile: float = 99.9) -> float:
    """The range r_max of ``values`` (any shape; signs are ignored): larger magnitudes will be clipped to it.

    "minmax": the largest magnitude. "percentile": of the non-zero magnitudes. "mse": the range for which quantizing to
    0..``levels`` has the least mean squared error. Raises SdannError where all values are zero.
    """
    magnitudes = np.abs(values[values != 0])
    if magnitudes.size == 0:
        raise SdannError("all its values are zero on the calibration set; calibrate with other samples or retrain")
    largest = float(magnitudes.max())
    if observer == "minmax":
        return largest
    if observer == "percentile":
        if not 0 < percentile <= 100:
            raise SdannError(f"a percentile must be above 0 and at most 100, not {percentile}")
        return float(np.percentile(magnitudes, percentile))
    if observer != "mse":
        raise SdannError(f'unknown observer {observer!r}; use "minmax", "percentile" or "mse"')

    def error(limit: float) -> float:
        unit = limit / levels
        return float(np.square(np.minimum(np.rint(magnitudes / unit), levels) * unit - magnitudes).sum())

    return min((largest * step / 80 for step in range(80, 15, -1)), key=error)
