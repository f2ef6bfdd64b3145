"""Predicts the chip's cycles from a program image and samples."""

from .bounds import Bounds, LayerBounds, WindowShares, bounds_of, layer_bounds, shares_of
from .model import predict
from .report import CycleReport, LayerCycles, PhaseCycles

__all__ = [
    "Bounds", "CycleReport", "LayerBounds", "LayerCycles", "PhaseCycles", "WindowShares", "bounds_of", "layer_bounds",
    "predict", "shares_of",
]  # fmt: skip
