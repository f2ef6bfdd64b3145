"""The shared library's functions."""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["load"]


def load(path: Path, functions: Mapping[str, tuple[Any, list[Any]]]) -> dict[str, Any]:
    """``functions`` of the library at ``path`` by name (there ``sdann_<name>``): (result type, argument types) each.

    They run without the interpreter's lock.
    """
    library = ctypes.CDLL(str(path))
    found = {}
    for name, (result, arguments) in functions.items():
        function = getattr(library, f"sdann_{name}")
        function.restype, function.argtypes = result, arguments
        found[name] = function
    return found
