"""Runs quantized neural networks bit for bit on a spiking many-core chip.

    import sdann

    network = sdann.quantize(model, images)      # a torch module, and images to calibrate with
    network.verify(chip="demo")                  # every model and the RTL, every neuron

docs/api.md describes what this module offers. Its names are looked up on first use, because torch takes seconds to
import: ``import sdann`` by itself takes none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hdl.config import PRESETS, ChipConfig, ConfigError, preset
    from sdann.api import Network, Program, Spiking, load, quantize
    from sdann.errors import MismatchError, SdannError
    from sdann.finetune import FinetuneOptions

    __version__: str

__all__ = [
    "PRESETS", "ChipConfig", "ConfigError", "FinetuneOptions", "MismatchError", "Network", "Program", "SdannError",
    "Spiking", "__version__", "load", "preset", "quantize",
]  # fmt: skip

_HOMES = {
    "hdl.config": ("PRESETS", "ChipConfig", "ConfigError", "preset"),
    "sdann.api": ("Network", "Program", "Spiking", "load", "quantize"),
    "sdann.errors": ("MismatchError", "SdannError"),
    "sdann.finetune": ("FinetuneOptions",),
    "sdann.version": ("__version__",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
