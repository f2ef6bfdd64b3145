"""Packing and unpacking of words in Python, from the same layouts that the RTL uses."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from amaranth.hdl import Shape
from amaranth.lib import data

__all__ = ["Packed", "fields", "pack", "unpack"]


@dataclass(frozen=True)
class Packed:
    """Place of one field: ``offset`` and ``width`` in bits, and whether it is two's complement."""

    offset: int
    width: int
    signed: bool


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
    """Every leaf field of ``layout`` by its dotted path ("payload.memory.addr", "3.mult")."""
    return _fields(_Holder(layout))


def pack(layout: data.Layout, values: Mapping[str, Any], table: dict[str, Packed] | None = None) -> int:
    """The word with the given fields (dotted paths), the rest zero.

    Raises KeyError for an unknown field and ValueError for a value that its field cannot hold. ``table``: the
    result of :func:`fields`, where many words of one layout are packed.
    """
    table = fields(layout) if table is None else table
    word = 0
    for name, value in values.items():
        place = table[name]
        number = int(value.value) if hasattr(value, "value") else int(value)
        low, high = (
            (-(1 << place.width - 1), (1 << place.width - 1) - 1) if place.signed else (0, (1 << place.width) - 1)
        )
        if not low <= number <= high:
            raise ValueError(f"{name} = {number} is outside {low}..{high}")
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
