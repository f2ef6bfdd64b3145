"""Samples into memory words, memory words into maps, and where a neuron is: an image's view of its data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hdl.pack import fields, pack_array, to_ints, unpack
from hdl.program import Memory, chunks_of, memory_layouts
from sdann.errors import SdannError
from sdann.graph import IntArray
from sdann.mapper.geometry import groups_of
from sdann.mapper.manifest import LayerEntry, RegionEntry

if TYPE_CHECKING:
    from sdann.mapper.image import Coordinate, ProgramImage

__all__ = [
    "Inputs",
    "Neuron",
    "assemble",
    "encode_sample",
    "inputs_by_name",
    "locate",
    "neurons_of",
    "readout_flits",
    "results_of",
    "words_of",
]

Inputs = IntArray | Mapping[str, IntArray]
"""What a program takes: an array where it has one source, else arrays by the sources' names."""


@dataclass(frozen=True)
class Neuron:
    """A neuron (channel, y, x) of a layer before pooling, and a place where it (or a part of it) is computed."""

    place: tuple[int, int, int]
    core: "Coordinate"
    word: int
    lane: int


def words_of(region: RegionEntry, lanes: int) -> int:
    """Memory words of a region."""
    return region.height * region.width * groups_of(region.channels, lanes)


def readout_flits(image: "ProgramImage") -> int:
    """Flits that the read-out of one sample takes."""
    if image.output_layer is None:
        return 0
    name = image.output_layer.name
    memory = image.result_memory(name)
    words = sum(image.word_count((core.y, core.x), memory) for core in image.holders(name))
    return words * chunks_of(image.config, memory)


def inputs_by_name(image: "ProgramImage", x: Inputs) -> dict[str, IntArray]:
    """``x`` by the sources' names; raises :class:`SdannError` where some are missing or unknown."""
    names = [layer.name for layer in image.sources]
    given = dict(x) if isinstance(x, Mapping) else dict.fromkeys(names[:1], x)
    if missing := [name for name in names if name not in given]:
        raise SdannError(f"the program takes {', '.join(names)}; {missing[0]!r} is not given")
    return {name: given[name] for name in names}


def encode_sample(image: "ProgramImage", x: Inputs) -> dict["Coordinate", list[tuple[int, int]]]:
    """ACT words (address, word) that one sample writes to each input tile, always all of them.

    ``x``: integers [C, H, W], whole maps, of the program's sources. Signed inputs become two's complement of T bits.
    Raises :class:`SdannError` for another shape or range.
    """
    result: dict[Coordinate, list[tuple[int, int]]] = {}
    for name, values in inputs_by_name(image, x).items():
        result |= _encode(image, image.layer(name), values)
    return result


def _encode(image: "ProgramImage", layer: LayerEntry, x: IntArray) -> dict["Coordinate", list[tuple[int, int]]]:
    steps, lanes = image.time_steps, image.config.lanes
    low, high = (-(1 << (steps - 1)), (1 << (steps - 1)) - 1) if layer.signed else (0, (1 << steps) - 1)
    if x.shape != layer.shape:
        raise SdannError(f"a sample has shape {x.shape}, the program's {layer.name!r} has {layer.shape}")
    if x.min() < low or x.max() > high:
        raise SdannError(f"a sample has values {x.min()}..{x.max()}, the program's {layer.name!r} takes {low}..{high}")
    result = {}
    for core in image.cores_of(layer.name):
        r = core.region
        part = x[r.channel0 : r.channel0 + r.channels, r.y0 : r.y0 + r.height, r.x0 : r.x0 + r.width]
        words = np.zeros((r.height, r.width, groups_of(r.channels, lanes) * lanes), dtype=np.int64)
        words[:, :, : r.channels] = part.transpose(1, 2, 0) & ((1 << steps) - 1)
        ints = to_ints(pack_array(words.reshape(-1, lanes), image.config.act_bits))
        result[core.y, core.x] = list(enumerate(ints))
    return result


def assemble(image: "ProgramImage", layer: str, words: Mapping["Coordinate", Sequence[int]]) -> IntArray:
    """Results int64 [C, H, W] of ``layer`` from its holders' words (addresses 0 .. n-1) of the layer's result memory.

    Zero outside the layer's extent. Raises :class:`SdannError` where words are missing.
    """
    entry = image.layer(layer)
    result = np.zeros(entry.shape, dtype=np.int64)
    for core in image.holders(layer):
        r = core.outputs
        part = results_of(image, (core.y, core.x), words.get((core.y, core.x), ()))
        result[r.channel0 : r.channel0 + r.channels, r.y0 : r.y0 + r.height, r.x0 : r.x0 + r.width] = part
    return result


def results_of(image: "ProgramImage", core: "Coordinate", words: Sequence[int]) -> IntArray:
    """Results int64 [C, H, W] of a holder's own region from its words (addresses 0 .. n-1) of its result memory.

    Raises :class:`SdannError` where words are missing.
    """
    holder, config, lanes = image.cores[core], image.config, image.config.lanes
    entry, memory, r = image.layer(holder.layer), image.result_memory(holder.layer), holder.outputs
    if len(words) != words_of(r, lanes):
        raise SdannError(f"core {core} of {entry.name!r} delivered {len(words)} words, not {words_of(r, lanes)}")
    layout = memory_layouts(config)[memory]
    table = fields(layout)
    values = np.array([list(unpack(layout, word, table).values()) for word in words], dtype=np.int64)
    if entry.signed and memory is Memory.ACT:
        half = 1 << ((image.time_steps if entry.stage == 0 else config.act_bits) - 1)
        values = ((values + half) & (2 * half - 1)) - half
    values = values.reshape(r.height, r.width, groups_of(r.channels, lanes) * lanes)[:, :, : r.channels]
    return values.transpose(2, 0, 1)


def _within(region: RegionEntry, place: tuple[int, int, int], lanes: int) -> tuple[int, int] | None:
    """(word, lane) of a position of the map in ``region``, None where it is outside."""
    c, y, x = place[0] - region.channel0, place[1] - region.y0, place[2] - region.x0
    if not (0 <= c < region.channels and 0 <= y < region.height and 0 <= x < region.width):
        return None
    return (y * region.width + x) * groups_of(region.channels, lanes) + c // lanes, c % lanes


def locate(image: "ProgramImage", layer: str, place: tuple[int, int, int]) -> tuple["Coordinate", int, int]:
    """(core, word of its result memory, lane) of the result (channel, y, x) of ``layer``; KeyError: there is none."""
    for core in image.holders(layer):
        if at := _within(core.outputs, place, image.config.lanes):
            return (core.y, core.x), *at
    raise KeyError((layer, place))


def neurons_of(image: "ProgramImage", layer: str, place: tuple[int, int, int]) -> list[Neuron]:
    """Every neuron that the result (channel, y, x) of ``layer`` is made of, in every core that holds a part of it.

    Without pooling and parts that is one. Of a neuron that several cores compute for neighbouring pooling windows,
    only those are listed that count for this result.
    """
    core = locate(image, layer, place)[0]
    config, holder = image.config, image.cores[core]
    places = [place]
    if holder.pooled:
        d = unpack(memory_layouts(config)[Memory.CORE], image.words(core, Memory.CORE)[0])
        out, region = holder.pooled, holder.region
        first = [
            region.y0 + ((place[1] - out.y0) << d["pool_stride_log2"]) - d["pool_y"],
            region.x0 + ((place[2] - out.x0) << d["pool_stride_log2"]) - d["pool_x"],
        ]
        window = range(d["pool_kernel"])
        places = [(place[0], first[0] + dy, first[1] + dx) for dy in window for dx in window]
    return [
        Neuron(at, (entry.y, entry.x), *spot)
        for entry in image.cores_of(layer)
        if _sums_into(image, (entry.y, entry.x)) == core
        for at in places
        if (spot := _within(entry.region, at, config.lanes))
    ]


def _sums_into(image: "ProgramImage", core: "Coordinate") -> "Coordinate":
    """The core that requantizes what ``core`` sums: itself, but for a part."""
    layout = memory_layouts(image.config)[Memory.CORE]
    for _ in image.cores:
        if not image.cores[core].part:
            break
        d = unpack(layout, image.words(core, Memory.CORE)[0])
        core = d["part_y"], d["part_x"]
    return core
