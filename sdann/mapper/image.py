"""The program image: manifest and the words of every core's memories, as one file (format "sdann-image", version 3).

A safetensors file with the manifest as JSON in its metadata and a tensor ``<y>,<x>/<MEMORY>`` per memory, uint8
[words, bytes]: addresses 0 .. words-1, little-endian, in the layouts of :mod:`hdl.program`.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from pydantic import ValidationError
from safetensors.numpy import save_file

from hdl.config import ChipConfig
from hdl.pack import Bytes, to_bytes, to_ints
from hdl.program import Memory, Readout
from sdann.errors import FileFormatError
from sdann.graph import IntArray
from sdann.mapper import samples
from sdann.mapper.manifest import CoreEntry, LayerEntry, Manifest, ReadoutName
from sdann.network_file import read_tensors

__all__ = [
    "FORMAT", "PROGRAM_MEMORIES", "READOUT_NAMES", "VERSION", "Coordinate", "ProgramImage", "Tiles", "checksum",
    "checksums", "load_image",
]  # fmt: skip

FORMAT: Final = "sdann-image"
VERSION: Final = 3
Coordinate = tuple[int, int]
"""Mesh coordinate (y, x)."""

PROGRAM_MEMORIES = (Memory.CORE, Memory.EDGE, Memory.ROUTE, Memory.REQUANT, Memory.WEIGHT)
"""Memories that an image fills."""

READOUT_NAMES: Final[Mapping[Readout, ReadoutName]] = {
    Readout.NONE: "none", Readout.ACT: "act", Readout.WIDE: "wide", Readout.RAW: "raw",
}  # fmt: skip
"""How the manifest calls the kinds of read-out."""


def checksum(blob: Bytes) -> int:
    """CRC-32 of a memory's bytes and of its number of words."""
    return zlib.crc32(blob.tobytes(), len(blob))


def checksums(memories: Mapping[Memory, Bytes]) -> dict[str, int]:
    """:func:`checksum` of each of a core's memories, by name."""
    return {memory.name: checksum(blob) for memory, blob in memories.items()}


class Tiles(NamedTuple):
    """Pieces in which a layer lies on cores: rows, columns and channels of its map, and parts of its fan-in."""

    rows: int
    columns: int
    channels: int
    parts: int


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
    def sources(self) -> list[LayerEntry]:
        """What the host sends: the network's input, or activations of an earlier pass."""
        return [layer for layer in self.manifest.layers if layer.stage == 0]

    @property
    def computed(self) -> list[LayerEntry]:
        """The layers that this program computes."""
        return [layer for layer in self.manifest.layers if layer.stage > 0]

    @property
    def output_layer(self) -> LayerEntry | None:
        """The layer that is read out; None in a pass before the last, whose activations the host reads from memory."""
        last = self.manifest.layers[-1]
        return None if last.readout == "none" else last

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
        """All cores of ``layer``, those that hold partial sums included, in the manifest's order."""
        return [core for core in self.manifest.cores if core.layer == layer]

    def holders(self, layer: str) -> list[CoreEntry]:
        """The cores that hold activations of ``layer``: :meth:`cores_of` without those of a part."""
        return [core for core in self.cores_of(layer) if core.part == 0]

    def tiles_of(self, layer: str) -> "Tiles":
        """How the layer is cut."""
        outputs = [core.outputs for core in self.holders(layer)]
        return Tiles(
            rows=len({r.y0 for r in outputs}), columns=len({r.x0 for r in outputs}),
            channels=len({r.channel0 for r in outputs}), parts=len(self.cores_of(layer)) // max(1, len(outputs)),
        )  # fmt: skip

    def result_memory(self, layer: str) -> Memory:
        """Where a core has the layer's results after requantization: ACT, or MEMBRANE for a wide or raw read-out."""
        return Memory.MEMBRANE if self.layer(layer).readout in ("wide", "raw") else Memory.ACT

    def word_count(self, core: Coordinate, memory: Memory) -> int:
        """Words that a core's neurons take in ISUM and MEMBRANE, or its activations in ACT."""
        entry = self.cores[core]
        return samples.words_of(entry.outputs if memory is Memory.ACT else entry.region, self.config.lanes)

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

    # -- samples and read-outs (see :mod:`sdann.mapper.samples`) --------------------------------------

    def encode_sample(self, x: samples.Inputs) -> dict[Coordinate, list[tuple[int, int]]]:
        """ACT words (address, word) that sample ``x`` writes to each input tile, always all of them."""
        return samples.encode_sample(self, x)

    def assemble(self, layer: str, words: Mapping[Coordinate, Sequence[int]]) -> IntArray:
        """Results int64 [C, H, W] of ``layer`` from the words of :meth:`result_memory` in each of its holders."""
        return samples.assemble(self, layer, words)

    def locate(self, layer: str, place: tuple[int, int, int]) -> tuple[Coordinate, int, int]:
        """(core, word, lane) of the result (channel, y, x) of ``layer``; raises KeyError where there is none."""
        return samples.locate(self, layer, place)

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

    metadata, tensors = read_tensors(path, FORMAT, VERSION, "write one with `sdann map` or `sdann assemble`")
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
