"""What a program uses of its chip, as tables for people."""

from collections.abc import Mapping
from dataclasses import dataclass

from hdl.program import Memory, memory_depths
from sdann.mapper.image import Coordinate, ProgramImage

__all__ = ["LayerUse", "map_table", "mesh_text"]


@dataclass(frozen=True, kw_only=True)
class LayerUse:
    """One row of the map: memory use is the busiest core's (used, available) words; ``sops`` as counted, if known."""

    layer: str
    stage: int
    shape: tuple[int, int, int]
    row_tiles: int
    channel_tiles: int
    cores: tuple[Coordinate, ...]
    neuron_words: tuple[int, int]
    weight_words: tuple[int, int]
    edges: tuple[int, int]
    routes: tuple[int, int]
    sops: int | None


def map_table(image: ProgramImage, sops: Mapping[Coordinate, int] | None = None) -> list[LayerUse]:
    """One :class:`LayerUse` per layer, the input first. ``sops``: synaptic operations per core, from a run."""
    depths = memory_depths(image.config)
    rows = []
    for layer in image.manifest.layers:
        entries = image.cores_of(layer.name)
        cores = tuple((c.y, c.x) for c in entries)

        def used(memory: Memory, cores: tuple[Coordinate, ...] = cores) -> tuple[int, int]:
            return max(len(image.memories[core][memory]) for core in cores), depths[memory]

        neurons, tiles = max(image.word_count(core, Memory.MEMBRANE) for core in cores), image.tiles_of(layer.name)
        rows.append(LayerUse(
            layer=layer.name, stage=layer.stage, shape=layer.shape, row_tiles=tiles.rows,
            channel_tiles=tiles.channels, cores=cores, neuron_words=(neurons, image.config.neuron_words),
            weight_words=used(Memory.WEIGHT), edges=used(Memory.EDGE), routes=used(Memory.ROUTE),
            sops=None if sops is None else sum(sops.get(core, 0) for core in cores),
        ))  # fmt: skip
    return rows


def mesh_text(image: ProgramImage) -> list[list[str]]:
    """The mesh, row ``y`` then column ``x``: the layer in each tile, "host" in tile (0, 0), "" where a core is free."""
    grid = [["" for _ in range(image.config.cols)] for _ in range(image.config.rows)]
    grid[0][0] = "host"
    for (y, x), core in image.cores.items():
        grid[y][x] = core.layer
    return grid
