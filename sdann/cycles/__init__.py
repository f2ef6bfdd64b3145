"""Predicts the chip's cycles from a program image and samples."""

from .model import predict
from .report import CycleReport, LayerCycles, PhaseCycles

__all__ = ["CycleReport", "LayerCycles", "PhaseCycles", "predict"]
