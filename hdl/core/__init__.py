"""The neuron core: accumulation, membrane passes, emission, and the memories that they share."""

from .core import Core

__all__ = ["Core"]
