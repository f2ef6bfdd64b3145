"""Reads pickles of arrays, lists, dictionaries and strings, as Python 2 or 3 wrote them, and nothing else."""

import codecs
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileFormatError

__all__ = ["unpickle"]

_RECONSTRUCT: Any = np.zeros(0).__reduce__()[0]


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes for Python 2; other encodings could do more than that."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding!r} is not allowed")
    return codecs.encode(text, encoding)


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Only what an array needs: a pickle may otherwise call any function."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no data file needs") from None


def unpickle(path: Path) -> dict[bytes, Any]:
    """The dictionary in the file at ``path``, with Python 2's strings as bytes; raises FileFormatError."""
    try:
        value = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file; download and unpack the data set again") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise FileFormatError(f"{path}: not a readable data file ({error}); download and unpack it again") from None
    if not isinstance(value, dict):
        raise FileFormatError(f"{path}: holds a {type(value).__name__}, not a batch; download and unpack it again")
    return {key.encode() if isinstance(key, str) else key: entry for key, entry in value.items()}
