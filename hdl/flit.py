"""Layouts of everything that travels on the spike network. Each flit is one packet."""

from functools import cache
from typing import TYPE_CHECKING

from amaranth.lib import data

from .config import ChipConfig, bits_for
from .program import Memory, address_bits, chunk_bits

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = ["Flit", "FlitKind", "Rect", "flit_bits", "payload_layouts"]


class FlitKind(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What a flit carries, and so which payload layout applies."""

    SPIKE = 0  # payload "spike": one bundle of 1-bit spikes
    WRITE = 1  # payload "memory": one chunk of a word for a core's memory
    READ = 2  # payload "memory": asks a core for one memory word (chunk, last and data unused)
    READOUT = 3  # payload "readout": one chunk of a memory word, to the host


@cache
def Rect(config: ChipConfig) -> data.StructLayout:
    """Destination rectangle: columns x0..x1 and rows y0..y1, both inclusive."""
    xb, yb = bits_for(config.cols - 1), bits_for(config.rows - 1)
    return data.StructLayout({"x0": xb, "x1": xb, "y0": yb, "y1": yb})


@cache
def payload_layouts(config: ChipConfig) -> dict[str, data.StructLayout]:
    """The payloads by name.

    ``spike``: spikes of channels ``group * lanes + bit`` at feature-map position (y, x) of edge ``edge``.
    ``memory``: chunk number ``chunk`` of the word at ``addr``; they come in order, and ``last`` marks the last one.
    ``readout``: chunk number ``chunk`` of the word at ``addr`` of memory ``mem`` in tile (src_y, src_x). What both have
    lies at one place, which saves multiplexers.
    """
    side, xb, yb = bits_for(config.map_side - 1), bits_for(config.cols - 1), bits_for(config.rows - 1)
    addr = address_bits(config)
    return {
        "spike": data.StructLayout({
            "edge": bits_for(config.edges - 1), "y": side, "x": side,
            "group": bits_for(config.map_groups - 1), "mask": config.lanes,
        }),
        "memory": data.StructLayout({
            "mem": Memory, "addr": addr, "chunk": chunk_bits(config), "data": config.data_bits, "last": 1,
        }),
        "readout": data.StructLayout({
            "mem": Memory, "addr": addr, "chunk": chunk_bits(config), "data": config.data_bits,
            "src_y": yb, "src_x": xb,
        }),
    }  # fmt: skip


@cache
def Flit(config: ChipConfig) -> data.StructLayout:
    """The flit: kind, destination rectangle, payload (a union of :func:`payload_layouts`)."""
    return data.StructLayout({
        "kind": FlitKind,
        "dst": Rect(config),
        "payload": data.UnionLayout(payload_layouts(config)),
    })  # fmt: skip


def flit_bits(config: ChipConfig) -> int:
    """Width of a link."""
    return Flit(config).size
