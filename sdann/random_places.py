"""Random places for random networks: every way to cut a layer over rows, columns, channels and parts, for tests."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from hdl.config import ChipConfig

from .assembler import Place
from .graph import INPUT, FanIn, Layer, QuantizedNetwork
from .mapper.geometry import Span

__all__ = ["random_places", "with_chip_parts"]


def with_chip_parts(network: QuantizedNetwork, rng: np.random.Generator, config: ChipConfig) -> QuantizedNetwork:
    """``network`` with the fan-in of every layer that has parts split anew, between channel groups of the chip."""

    def split(layer: Layer) -> Layer:
        if not layer.parts:
            return layer
        runs = []
        for number, edge in enumerate(layer.edges):
            channels = edge.channels
            for first in range(0, channels, config.lanes):
                runs.append(FanIn(edge=number, channel0=first, channels=min(config.lanes, channels - first)))
        if len(runs) < 2:
            return replace(layer, parts=())
        count = int(rng.integers(2, min(len(runs), config.parts) + 1))
        parts: list[list[FanIn]] = [[] for _ in range(count)]
        for i, which in enumerate(rng.permutation(len(runs))):
            part = parts[i if i < count else int(rng.integers(count))]
            if len(part) < config.edges:
                part.append(runs[which])
            else:
                min(parts, key=len).append(runs[which])
        return replace(layer, parts=tuple(tuple(part) for part in parts))

    return replace(network, layers=tuple(split(layer) for layer in network.layers))


def _cut(rng: np.random.Generator, size: int, most: int, step: int = 1) -> list[Span]:
    """(first, count) of up to ``most`` pieces of 0 .. size - 1 that begin at multiples of ``step``."""
    starts = np.arange(step, size, step)
    cuts = sorted(rng.choice(starts, min(len(starts), int(rng.integers(0, most))), replace=False).tolist())
    bounds = [0, *cuts, size]
    return [(first, last - first) for first, last in pairwise(bounds)]


def random_places(
    network: QuantizedNetwork, rng: np.random.Generator, config: ChipConfig
) -> dict[str, list[Place]] | None:
    """Places of the input and every layer on random tiles of the chip; None where it has too few."""
    tiles: Iterator[tuple[int, int]] = iter([config.cores[i] for i in rng.permutation(len(config.cores))])
    places: dict[str, list[Place]] = {}
    for name in (INPUT, *(layer.name for layer in network.layers)):
        channels, height, width = network.shape_of(name)
        parts = 1 if name == INPUT else len(network.layer(name).split)
        places[name] = []
        for rows in _cut(rng, height, 3):
            for columns in _cut(rng, width, 2):
                for some in _cut(rng, channels, 2, config.lanes):
                    for part in range(parts):
                        tile = next(tiles, None)
                        if tile is None:
                            return None
                        places[name].append(Place(tile=tile, rows=rows, columns=columns, channels=some, part=part))
    return places
