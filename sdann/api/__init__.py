"""The Python API: a network, its spiking model, its programs, and the check of all of them. See docs/api.md."""

from .from_float import Options, quantize
from .network import Network, load
from .program import Program
from .spiking import Spiking

__all__ = ["Network", "Options", "Program", "Spiking", "load", "quantize"]
