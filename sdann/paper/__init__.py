"""The paper's tables and figures, each one command: ``sdann paper NAME``."""

from .experiment import Experiment, Result, Setup
from .registry import EXPERIMENTS, experiment

__all__ = ["EXPERIMENTS", "Experiment", "Result", "Setup", "experiment"]
