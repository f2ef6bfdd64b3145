"""A program image as host words, with what the driver declares about it: flits, checksum, flits of a sample."""

import zlib
from collections.abc import Iterable, Iterator

from hdl.config import ChipConfig
from hdl.core.check import CHECKED, limits
from hdl.flit import FlitKind, flit_bits
from hdl.host import HostIn, HostOp
from hdl.pack import fields, pack, unpack
from hdl.program import Memory, chunks_of, memory_depths, memory_layouts
from sdann.mapper import ProgramImage

__all__ = ["Core", "HostWords", "checksum", "out_of_range", "program_words", "word_faults"]

Core = tuple[int, int]
"""(y, x) of a tile."""


class HostWords:
    """Makes host words for one chip."""

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self.layout = HostIn(config)
        self._fields = fields(self.layout)

    def word(self, op: HostOp, **values: object) -> int:
        """A word with the given payload fields ("register__value" means "payload.register.value")."""
        named = {f"payload.{name.replace('__', '.')}": value for name, value in values.items()}
        return pack(self.layout, {"op": op} | named, self._fields)

    def memory_flit(
        self,
        op: HostOp,
        core: Core,
        kind: FlitKind,
        memory: Memory,
        address: int,
        chunk: int = 0,
        last: int = 0,
        data: int = 0,
    ) -> int:
        """A flit with a "memory" payload, to one tile."""
        y, x = core
        flit = "payload.flit."
        return pack(
            self.layout,
            {
                "op": op, flit + "kind": kind,
                flit + "dst.x0": x, flit + "dst.x1": x, flit + "dst.y0": y, flit + "dst.y1": y,
                flit + "payload.memory.mem": memory, flit + "payload.memory.addr": address,
                flit + "payload.memory.chunk": chunk, flit + "payload.memory.last": last,
                flit + "payload.memory.data": data,
            },
            self._fields,
        )  # fmt: skip

    def write(self, core: Core, memory: Memory, address: int, word: int, op: HostOp = HostOp.FLIT) -> list[int]:
        """The words that write one memory word, chunk by chunk."""
        count, width = chunks_of(self.config, memory), self.config.data_bits
        return [
            self.memory_flit(
                op, core, FlitKind.WRITE, memory, address, chunk, int(chunk == count - 1),
                (word >> (chunk * width)) & ((1 << width) - 1),
            )
            for chunk in range(count)
        ]  # fmt: skip

    def flit_of(self, word: int) -> int:
        """The flit that a host word carries, as bits."""
        offset: int = self.layout["payload"].offset
        return (word >> offset) & ((1 << flit_bits(self.config)) - 1)


def program_words(image: ProgramImage) -> Iterator[int]:
    """The host words that load ``image``.

    What the program does not use is switched off: memories come up unknown, or hold an earlier program.
    """
    config = image.config
    make = HostWords(config)
    for core in config.cores:
        programmed = core in image.memories
        for memory in image.memories[core] if programmed else (Memory.CORE,):
            for address, word in enumerate(image.words(core, memory) if programmed else [0]):
                yield from make.write(core, memory, address, word)
        used = len(image.memories[core][Memory.EDGE]) if programmed else 0
        for address in range(used, memory_depths(config)[Memory.EDGE]):
            yield from make.write(core, Memory.EDGE, address, 0)


def checksum(config: ChipConfig, words: Iterable[int]) -> int:
    """CRC-32 (zlib's) of the flits of ``words``, each as little-endian bytes: what the chip answers as LOADED_CHECKSUM
    after it was sent these program words.
    """
    make, size, value = HostWords(config), -(-flit_bits(config) // 8), 0
    for word in words:
        value = zlib.crc32(make.flit_of(word).to_bytes(size, "little"), value)
    return value


def out_of_range(image: ProgramImage) -> list[str]:
    """What the chip's cores find wrong with the words of an image, each with tile, memory, address and field."""
    config, found = image.config, []
    for core, memories in image.memories.items():
        for memory in CHECKED:
            for address, word in enumerate(image.words(core, memory) if memory in memories else ()):
                place = f"tile {core}, {memory.name} word {address}"
                found += [f"{place}: {fault}" for fault in word_faults(config, memory, word)]
    return found


def word_faults(config: ChipConfig, memory: Memory, word: int) -> list[str]:
    """Why a core refuses ``word`` of one of :data:`hdl.core.check.CHECKED`; empty where it does not."""
    values = unpack(memory_layouts(config)[memory], word)
    if not values.get("enable", 1):
        return []
    ranges = limits(config, memory)
    if memory is Memory.REQUANT:
        ranges = {f"{lane}.{name}": r for lane in range(config.requant_lanes) for name, r in ranges.items()}
    found = [
        f"{name} is {values[name]}, the chip takes {low}..{high}"
        for name, (low, high) in ranges.items()
        if not low <= values[name] <= high
    ]
    if memory is Memory.CORE:
        if values["pool"] and not values["pool_kernel"]:
            found.append("pool_kernel is 0 in a pooling core")
        if values["lo"] > values["hi"]:
            found.append(f"the clamp lo..hi is empty: {values['lo']}..{values['hi']}")
        if values["x0"] + values["out_width"] > config.map_side:
            found.append(f"x0 + out_width is {values['x0'] + values['out_width']}, above map_side {config.map_side}")
        if values["slots"] * values["out_words"] > config.act_words:
            found.append(
                f"{values['slots']} slots of {values['out_words']} words exceed the {config.act_words} activation words"
            )
    if memory in (Memory.CORE, Memory.EDGE) and values["group0"] + values["groups"] > config.map_groups:
        found.append(f"group0 + groups is {values['group0'] + values['groups']}, above map_groups {config.map_groups}")
    if memory is Memory.ROUTE:
        for name in ("phase_y", "phase_x"):
            if values[name] >> values["phase_log2"]:
                found.append(f"{name} is {values[name]}, not below 2^{values['phase_log2']}")
    return found
