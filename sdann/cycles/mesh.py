"""The routers of one chip: where their queues and outputs are, and which way a flit takes (hdl/router.py)."""

import enum
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from hdl.config import ChipConfig
from hdl.router import QUEUES, Port
from sdann.mapper.image import Coordinate
from sdann.mesh_model import Rectangle

__all__ = ["CORE", "Copies", "Flit", "Kind", "Mesh"]


class Kind(enum.Enum):
    """What a flit carries."""

    SPIKE = enum.auto()
    SAMPLE = enum.auto()
    PARTIAL = enum.auto()
    READOUT = enum.auto()


class Flit(NamedTuple):
    """``rectangle``: y0, y1, x0, x1. ``spikes``: set bits of a bundle. ``targets``: what it is to each core."""

    rectangle: Rectangle
    kind: Kind
    spikes: int = 0
    targets: Mapping[Coordinate, Any] = {}


_OPPOSITE = {Port.NORTH: Port.SOUTH, Port.EAST: Port.WEST, Port.SOUTH: Port.NORTH, Port.WEST: Port.EAST}
_STEP = {Port.NORTH: (1, 0), Port.EAST: (0, 1), Port.SOUTH: (-1, 0), Port.WEST: (0, -1)}

Copies = tuple[tuple[int, int], ...]
"""Copies of a flit in a queue: (output, the queue's bit among that output's requests)."""

CORE = -1
"""Where an output leads that leads to no input of a router: the LOCAL one."""


class Mesh:
    """Tiles count row by row; input ``5 * tile + port``, output likewise; queues one after the other.

    ``stores``: the queues, of (flit, copies) each, ``depth`` at most. ``inputs``: queues of each input; ``entries``: by
    queue, its input; ``feeders``: by queue, the output that fills it, or ``-1 - tile`` for a core. ``ways``: what
    :meth:`way` has found, by input and rectangle. ``sources``: by output, the queues that turn to it, in
    the order of its arbiter's requests; ``last``: which of them was served last. ``leads``: by output, the input behind
    it. Between phases all queues are empty, and ``last`` stays.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.rows, self.cols, self.depth = config.rows, config.cols, config.queue_depth
        ports = 5 * self.rows * self.cols
        self.stores: list[deque[tuple[Flit, Copies]]] = []
        self.feeders: list[int] = []
        self.inputs: list[list[int]] = [[] for _ in range(ports)]
        self.sources: list[list[int]] = [[] for _ in range(ports)]
        self.last = [0] * ports
        self.leads = [self._beyond(output) for output in range(ports)]
        self._turns: dict[tuple[int, int], tuple[int, int]] = {}  # by (queue, output port)
        self.ways: list[dict[Rectangle, list[tuple[int, Copies]]]] = [{} for _ in range(ports)]
        self.entries: list[int] = []
        for tile in range(self.rows * self.cols):
            for port in Port:  # the order of the arbiters' requests
                for outs in QUEUES[port]:
                    self._add_queue(tile, port, outs)

    def _add_queue(self, tile: int, port: Port, outs: tuple[Port, ...]) -> None:
        queue = len(self.stores)
        self.stores.append(deque())
        self.inputs[5 * tile + port].append(queue)
        self.entries.append(5 * tile + port)
        near = CORE if port is Port.LOCAL else self._beyond(5 * tile + port)  # links go both ways
        self.feeders.append(-1 - tile if near == CORE else near)
        for out in outs:
            waiting = self.sources[5 * tile + out]
            self._turns[queue, out] = 5 * tile + out, 1 << len(waiting)
            waiting.append(queue)

    def _beyond(self, port_number: int) -> int:
        """The neighbour's port at the other end of a link; :data:`CORE` where there is none."""
        tile, number = divmod(port_number, 5)
        port = Port(number)
        if port is Port.LOCAL:
            return CORE
        y, x = tile // self.cols + _STEP[port][0], tile % self.cols + _STEP[port][1]
        return 5 * (y * self.cols + x) + _OPPOSITE[port] if 0 <= y < self.rows and 0 <= x < self.cols else CORE

    def tile(self, place: Coordinate) -> int:
        """Number of a tile."""
        return place[0] * self.cols + place[1]

    def way(self, entry: int, rectangle: Rectangle) -> list[tuple[int, Copies]]:
        """Queues that a flit gets into at an input, and its copies in each; none where it is dropped."""
        if rectangle not in self.ways[entry]:
            self.ways[entry][rectangle] = self._find(entry, rectangle)
        return self.ways[entry][rectangle]

    def _find(self, entry: int, rectangle: Rectangle) -> list[tuple[int, Copies]]:
        tile, port = divmod(entry, 5)
        y, x = divmod(tile, self.cols)
        y0, y1, x0, x1 = rectangle
        if port == Port.LOCAL and not (0 <= y0 <= y1 < self.rows and 0 <= x0 <= x1 < self.cols):
            return []
        in_columns = port in (Port.NORTH, Port.SOUTH) or x0 <= x <= x1
        wanted = {
            Port.LOCAL: in_columns and y0 <= y <= y1, Port.NORTH: in_columns and y1 > y,
            Port.SOUTH: in_columns and y0 < y, Port.EAST: x1 > x, Port.WEST: x0 < x,
        }  # fmt: skip
        found = []
        for outs, queue in zip(QUEUES[Port(port)], self.inputs[entry], strict=True):
            copies = tuple(self._turns[queue, out] for out in outs if wanted[out])
            if copies:
                found.append((queue, copies))
        return found

    def serve(self, source: Coordinate, target: Coordinate) -> None:
        """Gives every turn on the way from ``source`` to ``target`` to it, as a flit does that meets no other."""
        entry, (y, x) = 5 * self.tile(source), target
        while entry != CORE:
            ((_, ((output, bit),)),) = self.way(entry, (y, y, x, x))
            self.last[output] = bit.bit_length() - 1
            entry = self.leads[output]
