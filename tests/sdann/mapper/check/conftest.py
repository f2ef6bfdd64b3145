"""A mapped image, a hand-made one with everything that a core can do, and ways to damage them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hdl.config import ChipConfig, preset
from hdl.pack import pack, unpack
from hdl.program import Memory, memory_layouts
from sdann.assembler import Program
from sdann.graph import Pool, QuantizedNetwork
from sdann.mapper import ProgramImage, map_network
from sdann.mapper.image import Coordinate
from sdann.mapper.manifest import Manifest
from sdann.mapper.words import Part

CONFIG = preset("test").replace(rows=4, cols=4)
RICH = preset("test").replace(rows=3, cols=4, edges=3, neuron_words=96, weight_words=512)


def core_of(image: ProgramImage, layer: str, index: int = 0) -> Coordinate:
    entry = image.cores_of(layer)[index]
    return entry.y, entry.x


def with_field(
    image: ProgramImage, core: Coordinate, memory: Memory, address: int, changes: dict[str, int]
) -> ProgramImage:
    layout = memory_layouts(image.config)[memory]
    fields = unpack(layout, image.words(core, memory)[address])
    assert set(changes) <= set(fields)
    return image.with_word(core, memory, address, pack(layout, fields | changes))


def with_manifest(image: ProgramImage, change: Callable[[dict[str, Any]], Any]) -> ProgramImage:
    fields = image.manifest.model_dump()
    change(fields)
    return ProgramImage(Manifest.model_validate(fields), image.memories)


@pytest.fixture(scope="session")
def image(residual: QuantizedNetwork) -> ProgramImage:
    return map_network(residual, CONFIG, {"sum": (3, 2), "input": (2, 1)})


def rich_program(config: ChipConfig = RICH, **out: Any) -> Program:
    """Input; a pooled layer on two row tiles; a layer of three parts with a strided skip; a last layer."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Any:
        return rng.integers(-9, 10, shape)

    def constants(channels: int) -> Any:
        return np.full(channels, 40000), np.full(channels, 20), np.arange(channels)

    program = Program(config, name="rich")
    program.layer("input", (5, 6, 6))
    program.layer("conv", (6, 6, 6), pool=Pool(kernel=3, stride=2, padding=1))
    program.layer("sum", (8, 3, 3))
    program.layer("out", (3, 1, 1), **({"signed": True, "readout": "act"} | out))
    source = program.core((0, 1), "input")
    source.route((0, 0, 2, 3))
    # even rows and columns only, one window later
    source.route((1, 1, 1, 1), age=1, edge=1, fields={"phase_log2": 1, "y1": 5, "x1": 5})
    for x, rows in ((2, (0, 2)), (3, (2, 1))):
        core = program.core((0, x), "conv", rows=rows)
        core.edge(weight(6, 5, 3, 3), padding=1).constants(*constants(6))
        core.route((1, 1, 0, 0), fields={"group1": 0}).route((1, 1, 2, 2), fields={"group0": 1})
        core.route((1, 1, 1, 1), fields={"group1": 0})
    core = program.core((1, 0), "sum").edge(weight(8, 4, 3, 3), padding=1).constants(*constants(8)).route((2, 2, 0, 0))
    core = program.core((1, 1), "sum", part=Part(1, (1, 0)))
    core.edge(weight(8, 4, 1, 1)).edge(weight(8, 5, 1, 1), stride=2)
    program.core((1, 2), "sum", part=Part(2, (1, 0))).edge(weight(8, 2, 3, 3), padding=1, channel0=4)
    program.core((2, 0), "out").edge(weight(3, 8, 3, 3), kind="linear").constants(*constants(3))
    return program


@pytest.fixture(scope="session")
def rich() -> ProgramImage:
    return rich_program().image()
