"""The program image: manifest and the words of every core's memories, as one file (format "sdann-image", version 1).

A safetensors file with the manifest as JSON in its metadata and a tensor ``<y>,<x>/<MEMORY>`` per memory, uint8
[words, bytes]: addresses 0 .. words-1, little-endian, in the layouts of :mod:`hdl.program`.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError
from safetensors.numpy import save_file

from hdl.config import ChipConfig
from hdl.program import Memory
from sdann.errors import FileFormatError, SdannError
from sdann.graph import INPUT, IntArray
from sdann.mapper.manifest import CoreEntry, LayerEntry, Manifest
from sdann.mapper.packing import Bytes, pack_array, to_bytes, to_ints
from sdann.mapper.tiling import groups_of
from sdann.network_file import read_tensors

__all__ = ["FORMAT", "PROGRAM_MEMORIES", "VERSION", "Coordinate", "ProgramImage", "checksum", "load_image"]

FORMAT: Final = "sdann-image"
VERSION: Final = 1
Coordinate = tuple[int, int]
"""Mesh coordinate (y, x)."""

PROGRAM_MEMORIES = (Memory.CORE, Memory.EDGE, Memory.ROUTE, Memory.REQUANT, Memory.WEIGHT)
"""Memories that an image fills."""


def checksum(blob: Bytes) -> int:
    """CRC-32 of a memory's bytes and of its number of words."""
    return zlib.crc32(blob.tobytes(), len(blob))


@dataclass(frozen=True, eq=False)
class ProgramImage:
    """A program for one chip. ``memories[y, x][memory]``: uint8 [words, bytes]."""

    manifest: Manifest
    memories: Mapping[Coordinate, Mapping[Memory, Bytes]]

    @cached_property
    def config(self) -> ChipConfig:
        """The chip that this program was made for."""
        return ChipConfig.from_dict(self.manifest.chip)

    @cached_property
    def cores(self) -> dict[Coordinate, CoreEntry]:
        """Programmed cores by coordinate, in the manifest's order."""
        return {(core.y, core.x): core for core in self.manifest.cores}

    @property
    def input_layer(self) -> LayerEntry:
        """The network's input."""
        return self.manifest.layers[0]

    @property
    def output_layer(self) -> LayerEntry:
        """The layer that is read out."""
        return self.manifest.layers[-1]

    @property
    def time_steps(self) -> int:
        """T of this program."""
        return self.manifest.registers.STEPS

    def layer(self, name: str) -> LayerEntry:
        """The layer (or :data:`sdann.graph.INPUT`) called ``name``; raises KeyError."""
        for entry in self.manifest.layers:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def cores_of(self, layer: str) -> list[CoreEntry]:
        """The cores that hold ``layer``, row-major in its rectangle."""
        return [core for core in self.manifest.cores if core.layer == layer]

    def words(self, core: Coordinate, memory: Memory) -> list[int]:
        """Words of a core's memory, addresses 0 .. n-1."""
        return to_ints(self.memories[core][memory])

    def with_word(self, core: Coordinate, memory: Memory, address: int, word: int) -> "ProgramImage":
        """A copy with one word replaced (and its checksum made to match): for fault injection."""
        blob = self.memories[core][memory].copy()
        blob[address] = to_bytes([word], blob.shape[1] * 8)[0]
        memories = {**self.memories, core: {**self.memories[core], memory: blob}}
        cores = [
            c.model_copy(update={"checksums": {**c.checksums, memory.name: checksum(blob)}})
            if (c.y, c.x) == core
            else c
            for c in self.manifest.cores
        ]
        return ProgramImage(self.manifest.model_copy(update={"cores": cores}), memories)

    # -- samples and read-outs ----------------------------------------------------------------------

    def encode_sample(self, x: IntArray) -> dict[Coordinate, list[tuple[int, int]]]:
        """ACT words (address, word) that one sample writes to each input tile, always all of them.

        ``x``: integers [C, H, W]. Signed inputs become two's complement of T bits. Raises :class:`SdannError` for
        another shape or range.
        """
        steps, layer = self.time_steps, self.input_layer
        low, high = (-(1 << (steps - 1)), (1 << (steps - 1)) - 1) if layer.signed else (0, (1 << steps) - 1)
        if x.shape != layer.shape:
            raise SdannError(f"a sample has shape {x.shape}, the program's input has {layer.shape}")
        if x.min() < low or x.max() > high:
            raise SdannError(f"a sample has values {x.min()}..{x.max()}, the program's input takes {low}..{high}")
        lanes, result = self.config.lanes, {}
        for core in self.cores_of(INPUT):
            r, groups = core.region, groups_of(core.region.channels, self.config.lanes)
            part = x[r.channel0 : r.channel0 + r.channels, r.y0 : r.y0 + r.height, r.x0 : r.x0 + r.width]
            words = np.zeros((r.height, r.width, groups * lanes), dtype=np.int64)
            words[:, :, : r.channels] = part.transpose(1, 2, 0) & ((1 << steps) - 1)
            ints = to_ints(pack_array(words.reshape(-1, lanes), self.config.act_bits))
            result[core.y, core.x] = list(enumerate(ints))
        return result

    def assemble(self, layer: str, words: Mapping[Coordinate, Sequence[int]]) -> IntArray:
        """Activations int64 [C, H, W] of ``layer`` from the ACT words of each of its cores (addresses 0 .. n-1).

        Raises :class:`SdannError` where words are missing.
        """
        entry, lanes = self.layer(layer), self.config.lanes
        bits = self.time_steps if layer == INPUT else self.config.act_bits
        result = np.zeros(entry.shape, dtype=np.int64)
        mask = (1 << self.config.act_bits) - 1
        for core in self.cores_of(layer):
            r, groups = core.region, groups_of(core.region.channels, lanes)
            own = words.get((core.y, core.x), ())
            if len(own) != r.height * r.width * groups:
                raise SdannError(
                    f"core {core.y, core.x} of {layer!r} delivered {len(own)} words, not {r.height * r.width * groups}"
                )
            values = np.array(
                [[word >> (lane * self.config.act_bits) & mask for lane in range(lanes)] for word in own],
                dtype=np.int64,
            ).reshape(r.height, r.width, groups * lanes)[:, :, : r.channels]
            if entry.signed:
                values = ((values + (1 << (bits - 1))) & ((1 << bits) - 1)) - (1 << (bits - 1))
            result[
                r.channel0 : r.channel0 + r.channels, r.y0 : r.y0 + r.height, r.x0 : r.x0 + r.width
            ] = values.transpose(2, 0, 1)  # fmt: skip
        return result

    def locate(self, layer: str, neuron: tuple[int, int, int]) -> tuple[Coordinate, int, int]:
        """(core, neuron word, lane) of neuron (channel, y, x) of ``layer``; raises KeyError where there is none."""
        c, y, x = neuron
        for core in self.cores_of(layer):
            r, lanes = core.region, self.config.lanes
            dc, dy, dx = c - r.channel0, y - r.y0, x - r.x0
            if 0 <= dc < r.channels and 0 <= dy < r.height and 0 <= dx < r.width:
                word = (dy * r.width + dx) * groups_of(r.channels, lanes) + dc // lanes
                return (core.y, core.x), word, dc % lanes
        raise KeyError((layer, neuron))

    # -- file -----------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Writes the image to ``path``."""
        tensors = {
            f"{y},{x}/{memory.name}": np.ascontiguousarray(blob)
            for (y, x), memories in self.memories.items()
            for memory, blob in memories.items()
        }
        metadata = {"format": FORMAT, "version": str(VERSION), "manifest": self.manifest.model_dump_json()}
        save_file(tensors, str(path), metadata=metadata)


def load_image(path: str | Path, *, checked: bool = True) -> ProgramImage:
    """Reads and checks an image. Raises :class:`FileFormatError` that names the file and the fault.

    ``checked=False`` leaves out the image checker (not the file's own structure): for a simulator's process, which
    must run a deliberately damaged program as it is.
    """
    from sdann.mapper.check import check_image  # the checker takes a ProgramImage

    metadata, tensors = read_tensors(path, FORMAT, VERSION, "write one with `sdann map`")
    try:
        manifest = Manifest.model_validate_json(metadata.get("manifest", ""))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise FileFormatError(f"{path}: damaged manifest: {place}: {first['msg']}") from None
    memories: dict[Coordinate, dict[Memory, Bytes]] = {}
    for name, blob in tensors.items():
        place, _, memory = name.partition("/")
        try:
            y, x = map(int, place.split(","))
            key = Memory[memory]
        except (ValueError, KeyError):
            raise FileFormatError(f"{path}: {name!r} is not a memory of a core") from None
        if blob.dtype != np.uint8 or blob.ndim != 2:
            raise FileFormatError(f"{path}: {name!r} must be a uint8 table, not {blob.dtype} {blob.shape}")
        memories.setdefault((y, x), {})[key] = np.asarray(blob, dtype=np.uint8)
    image = ProgramImage(manifest, memories)
    if checked:
        try:
            check_image(image)
        except FileFormatError as error:
            raise type(error)(f"{path}: {error}") from None
    return image
