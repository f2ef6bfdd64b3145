"""Bits of memory words: named fields to integers and back, and rows of weights to bytes, by the chip's layouts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape
from amaranth.lib import data

from sdann.errors import DoesNotFitError

__all__ = ["Bytes", "pack", "pack_array", "to_bytes", "to_ints", "unpack"]

Bytes = npt.NDArray[np.uint8]
Fields = Mapping[str, Any] | Sequence[Any] | int


def pack(layout: Any, fields: Fields, where: str = "") -> int:
    """The word of ``layout`` (an Amaranth layout or shape) with the given fields; every field must be given.

    Raises :class:`DoesNotFitError` that names the field which a value does not fit.
    """
    if isinstance(layout, data.Layout):
        pairs = fields.items() if isinstance(fields, Mapping) else enumerate(cast(Sequence[Any], fields))
        items: dict[Any, Any] = dict(pairs)
        if set(items) != {name for name, _ in layout}:
            raise KeyError(f"{where}: fields {sorted(map(str, items))} are not those of the layout")
        return sum(pack(f.shape, items[name], f"{where}.{name}") << f.offset for name, f in layout)
    shape, value = Shape.cast(layout), int(cast(int, fields))
    mask: int = (1 << shape.width) - 1
    low, high = (-(mask + 1) // 2, mask // 2) if shape.signed else (0, mask)
    if not low <= value <= high:
        raise DoesNotFitError(f"{where} is {value}, the chip's field holds {low}..{high}")
    return value & mask


def unpack(layout: Any, word: int) -> Any:
    """Inverse of :func:`pack`: a dict for a structure, a list for an array, else an integer."""
    if isinstance(layout, data.Layout):
        items = {name: unpack(f.shape, word >> f.offset) for name, f in layout}
        return list(items.values()) if isinstance(layout, data.ArrayLayout) else items
    shape = Shape.cast(layout)
    value = word & ((1 << shape.width) - 1)
    return value - (1 << shape.width) if shape.signed and value >> (shape.width - 1) else value


def pack_array(values: npt.NDArray[np.int64], bits: int) -> Bytes:
    """Words of equal elements of ``bits`` bits, element 0 lowest: int [n, elements] to uint8 [n, bytes]."""
    if bits == 8:
        return np.ascontiguousarray(values.astype(np.uint8))
    spread = ((values[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8)
    return np.packbits(spread.reshape(len(values), values.shape[1] * bits), axis=1, bitorder="little")


def to_bytes(words: Iterable[int], size: int) -> Bytes:
    """Words of ``size`` bits as little-endian bytes, uint8 [n, ceil(size / 8)]."""
    width = -(-size // 8)
    blob = b"".join(word.to_bytes(width, "little") for word in words)
    return np.frombuffer(blob, dtype=np.uint8).reshape(-1, width).copy()


def to_ints(blob: Bytes) -> list[int]:
    """Inverse of :func:`to_bytes`."""
    return [int.from_bytes(row.tobytes(), "little") for row in blob]
