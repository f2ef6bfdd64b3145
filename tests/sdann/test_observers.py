"""sdann.observers: the three ways to choose a range."""

import numpy as np
import pytest

from sdann.errors import SdannError
from sdann.observers import observe

VALUES = np.concatenate([np.zeros(1000), np.linspace(0.01, 1, 1000), [50.0]])


def test_minmax_is_the_largest_magnitude() -> None:
    assert observe(VALUES, "minmax", levels=255) == 50
    assert observe(-VALUES, "minmax", levels=255) == 50


def test_percentile_drops_outliers_and_ignores_zeros() -> None:
    assert observe(VALUES, "percentile", levels=255, percentile=99.0) == pytest.approx(0.99, abs=0.02)
    assert observe(VALUES, "percentile", levels=255, percentile=100) == 50
    for bad in (0, 101):
        with pytest.raises(SdannError):
            observe(VALUES, "percentile", levels=255, percentile=bad)


def test_mse_has_the_least_error() -> None:
    values = np.abs(np.random.default_rng(0).laplace(size=5000))
    levels = 15
    chosen = observe(values, "mse", levels=levels)

    def error(limit: float) -> float:
        unit = limit / levels
        return float(((np.clip(np.round(values / unit), 0, levels) * unit - values) ** 2).sum())

    assert chosen < values.max()
    assert error(chosen) < 0.8 * error(values.max())
    assert error(chosen) <= min(error(f * values.max()) for f in np.linspace(0.2, 1, 17)) * 1.02


def test_nothing_to_observe() -> None:
    with pytest.raises(SdannError, match="zero on the calibration set"):
        observe(np.zeros(5), "minmax", levels=255)
    with pytest.raises(SdannError, match="unknown observer"):
        observe(VALUES, "other", levels=255)  # type: ignore[arg-type]
