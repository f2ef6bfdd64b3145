"""Which chip a network wants: cores against cycles, for cores of several sizes."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from hdl.config import ChipConfig
from hdl.program import Memory, memory_depths, memory_layouts
from sdann.errors import DoesNotFitError, SdannError
from sdann.graph import QuantizedNetwork
from sdann.mapper.limits import check_limits
from sdann.mapper.plan import Planner, allocate
from sdann.mapper.relays import with_relays
from sdann.mapper.work import Spikes, with_repeated

__all__ = ["Size", "best_sizes", "memory_bits", "mesh_for", "sizes"]

LARGEST = 64 * 64 - 1
"""Cores of the largest mesh."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """A chip that runs the network in one pass.

    ``cores``: in use, of a mesh of ``rows`` x ``cols`` tiles. ``window``: estimated cycles of the busiest core in a
    window, so of one sample in steady state. ``memory``: bits of memory of all cores of the mesh.
    """

    config: ChipConfig
    cores: int
    window: float
    memory: int

    @property
    def mesh(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.config.rows, self.config.cols


def memory_bits(config: ChipConfig) -> int:
    """Bits of memory of one core."""
    layouts, depths = memory_layouts(config), memory_depths(config)
    return sum(
        layouts[memory].size * depths[memory] for memory in layouts if memory not in (Memory.COUNTER, Memory.PARTIAL)
    )


def mesh_for(cores: int) -> tuple[int, int]:
    """A mesh with few tiles, and about square, that has so many cores beside the host's tile."""
    tiles = cores + 1
    options = [(rows, max(2, -(-tiles // rows))) for rows in range(1, math.isqrt(tiles) + 1)]
    return min(options, key=lambda mesh: (mesh[0] * mesh[1] + mesh[1] - mesh[0], mesh[1]))


def _chips(config: ChipConfig, lanes: Sequence[int]) -> Iterator[ChipConfig]:
    """The same core with other lanes, and with a quarter of the memory up to twice as much."""
    for count, weights, neurons in product(lanes, (1, 2, 4, 8), (1, 2, 4, 8)):
        # the same number of weights and of neurons, whatever the lanes
        weight_words = config.weight_words * config.lanes * weights // (4 * count)
        neuron_words = config.neuron_words * config.lanes * neurons // (4 * count)
        yield config.replace(
            rows=64, cols=64, lanes=count, requant_lanes=min(config.requant_lanes, count),
            weight_words=max(4, weight_words), neuron_words=max(2, neuron_words),
            map_groups=max(1, config.map_groups * config.lanes // count),
        )  # fmt: skip


def sizes(
    network: QuantizedNetwork, config: ChipConfig, spikes: Callable[[int], Spikes], *, lanes: Sequence[int],
    most: int = LARGEST, progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Size]:  # fmt: skip
    """Chips with cores like those of ``config`` that hold the network at once, from the fewest cores to ``most``.

    ``spikes``: of a number of lanes. ``lanes``: to try. A chip that cannot hold the network is left out; raises
    :class:`SdannError` that says why where none can.
    """
    found: list[Size] = []
    refusal: SdannError | None = None
    chips = list(_chips(config, lanes))
    for number, chip in enumerate(chips):
        progress(number, len(chips))
        try:
            check_limits(network, chip)
            relayed = with_relays(network, chip.slots - 1)
            known = with_repeated(spikes(chip.lanes), relayed)
            planner = Planner(relayed, chip, known, {}, most)
            options = planner.grids(planner.frame(relayed.layers))
            fewest = sum(grids[0].cores for grids in options.values())
            budgets = sorted({min(most, round(fewest * factor)) for factor in (1, 1.25, 1.5, 2, 3, 4, 6, 8)})
            for budget in budgets if fewest <= most else ():
                grids = allocate(options, budget)
                cores = sum(grid.cores for grid in grids.values())
                rows, cols = mesh_for(cores)
                own = chip.replace(rows=rows, cols=cols)
                found.append(Size(
                    config=own, cores=cores, window=max(grid.load for grid in grids.values()),
                    memory=memory_bits(own) * (rows * cols - 1),
                ))  # fmt: skip
            if fewest > most:
                refusal = refusal or DoesNotFitError(f"the network needs {fewest} cores, at most {most} are allowed")
        except SdannError as error:
            refusal = refusal or error
    progress(len(chips), len(chips))
    if not found:
        assert refusal is not None
        raise refusal
    return found


def best_sizes(found: Sequence[Size]) -> list[Size]:
    """Those that no other beats in both memory and cycles, smallest memory first."""
    front: list[Size] = []
    for size in sorted(found, key=lambda size: (size.memory, size.window, size.cores)):
        if not front or size.window < front[-1].window:
            front.append(size)
    return front
