"""Packing and unpacking of words in Python, from the same layouts that the RTL uses.

A word is an integer; many words are a table of bytes, uint8 [n, bytes], little-endian. Fields have dotted paths
("payload.memory.addr", "dst.x0", "3.mult").
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape
from amaranth.lib import data

__all__ = [
    "Bytes", "FieldError", "FieldRangeError", "Packed", "fields", "pack", "pack_array", "to_bytes", "to_ints", "unpack",
    "pack_rows", "unpack_array", "unpack_rows",
]  # fmt: skip

Bytes = npt.NDArray[np.uint8]


class FieldError(ValueError):
    """A field that a layout does not have, or one that is missing. ``path`` names it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class FieldRangeError(FieldError):
    """A value that its field cannot hold: ``value`` is not in ``low..high``."""

    def __init__(self, path: str, value: int, low: int, high: int) -> None:
        super().__init__(path, f"{path} is {value}, the chip's field holds {low}..{high}")
        self.value, self.low, self.high = value, low, high


@dataclass(frozen=True)
class Packed:
    """Place of one field: ``offset`` and ``width`` in bits, and whether it is two's complement."""

    offset: int
    width: int
    signed: bool

    @property
    def limits(self) -> tuple[int, int]:
        """Least and greatest value."""
        return (-(1 << self.width - 1), (1 << self.width - 1) - 1) if self.signed else (0, (1 << self.width) - 1)


@cache
def _fields(holder: "_Holder") -> dict[str, Packed]:
    found: dict[str, Packed] = {}

    def walk(layout: data.Layout, prefix: str, base: int) -> None:
        for name, field in layout:
            path, offset = f"{prefix}{name}", base + field.offset
            if isinstance(field.shape, data.Layout):
                walk(field.shape, path + ".", offset)
            else:
                shape = Shape.cast(field.shape)
                found[path] = Packed(offset, shape.width, shape.signed)

    walk(holder.layout, "", 0)
    return found


class _Holder:
    """Makes a layout hashable by its text, so that equal layouts share one table."""

    def __init__(self, layout: data.Layout) -> None:
        self.layout = layout
        self.text = repr(layout)

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Holder) and self.text == other.text


def fields(layout: data.Layout) -> dict[str, Packed]:
    """Every leaf field of ``layout`` by its dotted path."""
    return _fields(_Holder(layout))


def pack(
    layout: data.Layout, values: Mapping[str, Any], table: dict[str, Packed] | None = None, *, complete: bool = False
) -> int:
    """The word with the given fields (dotted paths), the rest zero.

    Raises :class:`FieldError` for an unknown field (and with ``complete`` for a missing one),
    :class:`FieldRangeError` for a value that its field cannot hold. ``table``: the result of :func:`fields`, where many
    words of one layout are packed.
    """
    table = fields(layout) if table is None else table
    if complete and (missing := sorted(set(table) - set(values))):
        raise FieldError(missing[0], f"no value is given for field {missing[0]}")
    word = 0
    for name, value in values.items():
        if name not in table:
            raise FieldError(name, f"there is no field {name}; the fields are {', '.join(table)}")
        place = table[name]
        number = int(value.value) if hasattr(value, "value") else int(value)
        low, high = place.limits
        if not low <= number <= high:
            raise FieldRangeError(name, number, low, high)
        word |= (number & ((1 << place.width) - 1)) << place.offset
    return word


def unpack(layout: data.Layout, word: int, table: dict[str, Packed] | None = None) -> dict[str, int]:
    """Every leaf field of ``word`` (a union's members all appear)."""
    table = fields(layout) if table is None else table
    values = {}
    for name, place in table.items():
        value = (word >> place.offset) & ((1 << place.width) - 1)
        values[name] = value - (1 << place.width) if place.signed and value >> (place.width - 1) else value
    return values


def pack_array(values: npt.NDArray[np.int64], bits: int) -> Bytes:
    """Words of equal elements, modulo 2^``bits``, element 0 lowest: int64 [n, elements] to uint8 [n, bytes]."""
    if bits == 8:
        return np.ascontiguousarray(values.astype(np.uint8))
    spread = ((values[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8)
    return np.packbits(spread.reshape(len(values), values.shape[1] * bits), axis=1, bitorder="little")


def unpack_array(blob: Bytes, bits: int, count: int, *, signed: bool = False) -> npt.NDArray[np.int64]:
    """Inverse of :func:`pack_array`: int64 [n, ``count``], two's complement where ``signed``."""
    spread = np.unpackbits(blob, axis=1, bitorder="little", count=bits * count).reshape(len(blob), count, bits)
    weights = 1 << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return np.asarray(spread.astype(np.int64) @ weights, dtype=np.int64)


def pack_rows(layout: data.Layout, values: Mapping[str, Any], count: int) -> npt.NDArray[np.uint32]:
    """Many words of ``layout`` as rows of 32-bit pieces, lowest first: uint32 [count, pieces].

    ``values``: by dotted path, a number for all rows or integers [count]; the rest is zero. Raises
    :class:`FieldError` for an unknown field, :class:`FieldRangeError` for a value that its field cannot hold.
    """
    table = fields(layout)
    rows = np.zeros((count, -(-layout.size // 32)), dtype=np.uint32)
    for name, value in values.items():
        if name not in table:
            raise FieldError(name, f"there is no field {name}; the fields are {', '.join(table)}")
        place = table[name]
        column = np.broadcast_to(np.asarray(getattr(value, "value", value), dtype=np.int64), (count,))
        low, high = place.limits
        if count and not low <= int(column.min()) <= int(column.max()) <= high:
            wrong = int(column.min() if column.min() < low else column.max())
            raise FieldRangeError(name, wrong, low, high)
        for bit in range(0, place.width, 16):  # so that no piece of it lies in more than two columns
            part = (column >> bit) & ((1 << min(16, place.width - bit)) - 1)
            piece, shift = divmod(place.offset + bit, 32)
            rows[:, piece] |= ((part << shift) & 0xFFFFFFFF).astype(np.uint32)
            if shift > 16 and piece + 1 < rows.shape[1]:
                rows[:, piece + 1] |= (part >> (32 - shift)).astype(np.uint32)
    return rows


def unpack_rows(layout: data.Layout, rows: npt.NDArray[np.uint32], name: str) -> npt.NDArray[np.int64]:
    """One field of every row, int64 [n]: inverse of :func:`pack_rows`."""
    place = fields(layout)[name]
    value = np.zeros(len(rows), dtype=np.int64)
    for bit in range(0, place.width, 16):
        piece, shift = divmod(place.offset + bit, 32)
        pair = rows[:, piece].astype(np.uint64)
        if piece + 1 < rows.shape[1]:
            pair |= rows[:, piece + 1].astype(np.uint64) << np.uint64(32)
        part = (pair >> np.uint64(shift)) & np.uint64((1 << min(16, place.width - bit)) - 1)
        value |= part.astype(np.int64) << bit
    return value - (((value >> (place.width - 1)) & 1) << place.width) if place.signed else value


def to_bytes(words: Iterable[int], size: int) -> Bytes:
    """Words of ``size`` bits as little-endian bytes, uint8 [n, ceil(size / 8)]."""
    width = -(-size // 8)
    blob = b"".join(word.to_bytes(width, "little") for word in words)
    return np.frombuffer(blob, dtype=np.uint8).reshape(-1, width).copy()


def to_ints(blob: Bytes) -> list[int]:
    """Inverse of :func:`to_bytes`."""
    return [int.from_bytes(row.tobytes(), "little") for row in blob]
