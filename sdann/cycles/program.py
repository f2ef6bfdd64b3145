"""What a program image says about time: cycles of each core's passes, and visits that its bundles cost other cores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from hdl.config import ChipConfig
from hdl.pack import fields, to_ints, unpack
from hdl.program import Memory, Readout, chunks_of, memory_layouts
from sdann.graph import IntArray
from sdann.mapper.image import Coordinate, ProgramImage
from sdann.mesh_model import Rectangle, deliver

from .timing import PASS_DRAIN, POOL_DRAIN

__all__ = ["REJECTED", "UNREACHING", "CoreProgram", "Load", "Match", "Program", "Target"]

UNREACHING, REJECTED = -1, -2
"""Instead of a number of offsets: a bundle that reaches no neuron, one that no edge takes."""


class Target(NamedTuple):
    """What a bundle is to a core. ``offsets``: kernel offsets times output groups, or one of the values above.
    ``depthwise``: one visit for each of them, whatever the mask. ``neurons``: SOPs for each spike.
    """

    offsets: int
    depthwise: bool
    neurons: int


class Match(NamedTuple):
    """A route entry that takes a word: its number, where bundles go, and what they are to the cores there."""

    route: int
    rectangle: Rectangle
    targets: Mapping[Coordinate, Target]


@dataclass(frozen=True, kw_only=True)
class CoreProgram:
    """Fields of a core's descriptor, and ``matches[age][word]`` of its activations' words.

    ``membrane_pass``, ``pool_pass``: cycles of a pass. ``sends``: flits of its read-out, or of its partial sums.
    """

    at: Coordinate
    stage: int
    readout: Readout
    part: int
    target: Coordinate
    ages: int
    routes: int
    out_words: int
    membrane_pass: int
    pool_pass: int
    sends: int
    matches: Sequence[Sequence[Sequence[Match]]]


class Program:
    """``cores``: enabled cores. ``sample_flits``: (rectangle, flits) that one sample takes, in their order."""

    def __init__(self, image: ProgramImage) -> None:
        self.image, self.config = image, image.config
        self._descriptors = {at: self._decoded(at, Memory.CORE)[0] for at in image.cores}
        self._edges = {at: self._decoded(at, Memory.EDGE) for at in image.cores}
        self.cores = {at: self._core(at, d) for at, d in self._descriptors.items() if d["enable"]}
        chunks = chunks_of(self.config, Memory.ACT)
        self.sample_flits = [
            ((core.y, core.y, core.x, core.x), chunks * image.word_count((core.y, core.x), Memory.ACT))
            for layer in image.sources
            for core in image.holders(layer.name)
        ]

    def _decoded(self, at: Coordinate, memory: Memory) -> list[dict[str, int]]:
        layout = memory_layouts(self.config)[memory]
        table = fields(layout)
        blob = self.image.memories[at].get(memory)
        return [] if blob is None else [unpack(layout, word, table) for word in to_ints(blob)]

    def _core(self, at: Coordinate, d: Mapping[str, int]) -> CoreProgram:
        config, readout = self.config, Readout(d["readout"])
        subwords = d["words"] * config.requant_subwords
        pooled = d["out_words"] * config.requant_subwords * d["pool_kernel"] ** 2
        sends = 0
        if d["part"]:
            sends = subwords * chunks_of(config, Memory.PARTIAL)
        elif readout is Readout.ACT:
            sends = d["out_words"] * chunks_of(config, Memory.ACT)
        elif readout is not Readout.NONE:
            sends = d["words"] * chunks_of(config, Memory.MEMBRANE)
        routes = self._decoded(at, Memory.ROUTE)[: d["routes"]]
        return CoreProgram(
            at=at, stage=d["stage"], readout=readout, part=d["part"], target=(d["part_y"], d["part_x"]),
            ages=d["ages"], routes=d["routes"], out_words=d["out_words"],
            membrane_pass=subwords + PASS_DRAIN if subwords else 1,
            pool_pass=(pooled + POOL_DRAIN if pooled else 1) if d["pool"] else 0,
            sends=sends,
            matches=[[self._matches(at, d, routes, age, word) for word in range(d["out_words"])]
                     for age in range(d["ages"])],
        )  # fmt: skip

    def _matches(
        self, at: Coordinate, d: Mapping[str, int], routes: Sequence[Mapping[str, int]], age: int, word: int
    ) -> list[Match]:
        position, group = divmod(word, max(1, d["groups"]))
        row, column = divmod(position, max(1, d["out_width"]))
        y, x, g = d["y0"] + row, d["x0"] + column, d["group0"] + group
        found = []
        for number, r in enumerate(routes):
            phase = (1 << r["phase_log2"]) - 1
            if (
                r["age"] == age
                and r["y0"] <= y <= r["y1"] and r["x0"] <= x <= r["x1"] and r["group0"] <= g <= r["group1"]
                and not (y ^ r["phase_y"]) & phase and not (x ^ r["phase_x"]) & phase
            ):  # fmt: skip
                rectangle = r["dst.y0"], r["dst.y1"], r["dst.x0"], r["dst.x1"]
                way = deliver(self.config.rows, self.config.cols, at, rectangle)
                tiles = way.tiles if way else ()
                found.append(Match(number, rectangle, {tile: self._target(tile, r["edge"], y, x, g) for tile in tiles}))
        return found

    def _target(self, at: Coordinate, edge: int, y: int, x: int, group: int) -> Target:
        d, edges = self._descriptors.get(at), self._edges.get(at, [])
        e = edges[edge] if edge < len(edges) else None
        if d is None or e is None or not (d["enable"] and e["enable"]):
            return _target(REJECTED, False, 0)
        if not 0 <= group - e["group0"] < e["groups"]:
            return _target(REJECTED, False, 0)
        offsets = _offsets(y + e["y_offset"], e["kernel_h"], 1 << e["stride_log2"], d["height"]) * _offsets(
            x + e["x_offset"], e["kernel_w"], 1 << e["stride_log2"], d["width"]
        )
        if not offsets or not d["groups"]:
            return _target(UNREACHING, False, 0)
        if e["depthwise"]:
            return _target(offsets, True, offsets)
        neurons = (d["groups"] - 1) * self.config.lanes + d["last_lanes"]
        return _target(offsets * d["groups"], False, offsets * neurons)


@cache
def _target(offsets: int, depthwise: bool, neurons: int) -> Target:
    """One object for all that are equal: large programs have millions."""
    return Target(offsets, depthwise, neurons)


@cache
def _offsets(u: int, kernel: int, stride: int, size: int) -> int:
    """Kernel offsets k of position ``u`` that land on a row (u - k) / stride of ``size``."""
    return sum((u - k) % stride == 0 and 0 <= (u - k) // stride < size for k in range(kernel))


class Load:
    """Visits and SOPs that a core's bundles cost each core, by matrix products over its words."""

    def __init__(self, core: CoreProgram, config: ChipConfig) -> None:
        self._ports = config.weight_ports
        self.receivers = sorted(
            {at for age in core.matches for word in age for m in word for at, t in m.targets.items() if t.offsets > 0}
        )
        column = {at: n for n, at in enumerate(self.receivers)}
        shape = (core.ages, core.out_words, len(self.receivers))
        self._paired, self._single, self._sops = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        for age, words in enumerate(core.matches):
            for word, matches in enumerate(words):
                for match in matches:
                    for at, target in match.targets.items():
                        if target.offsets > 0:
                            where = age, word, column[at]
                            (self._single if target.depthwise else self._paired)[where] += target.offsets
                            self._sops[where] += target.neurons

    def of(self, age: int, counts: IntArray) -> tuple[Any, Any]:
        """(visits, SOPs) [receivers] of one step; ``counts`` [words]: set bits of each."""
        pairs = -(-counts // self._ports)
        visits = pairs @ self._paired[age] + (counts > 0) @ self._single[age]
        return visits, counts @ self._sops[age]
