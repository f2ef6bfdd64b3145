"""Tile mode: each tile of a program alone on the RTL, for networks too large to run whole.

A tile is given its program, and in each step the spikes that its sources emit there; then its results, its counters
and every flit that it sends are held against what they must be. Since what one tile must send is what the others are
given, a program of which every tile passes would do the same as a whole, but for the network between them.

What a tile is given follows from activations (a tile's source emits those of a finished sample) and from the routes in
the program image: the tile model's own delivery of spikes is not used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.config import ChipConfig
from hdl.flit import Flit, FlitKind
from hdl.host import Command
from hdl.pack import Bytes, fields, pack_array, pack_rows, unpack, unpack_rows
from hdl.program import Counter, Memory, Readout, chunks_of, memory_depths, memory_layouts
from sdann.mapper import ProgramImage
from sdann.mapper.image import PROGRAM_MEMORIES, Coordinate
from sdann.tile_model import TileResult

from .compiled.tile import Flits, LoneTile

__all__ = ["COUNTED", "TileOutcome", "TileProgram", "run_tile"]

COUNTED = (
    Counter.SOPS, Counter.SPIKES_IN, Counter.SPIKES_OUT, Counter.SATURATIONS, Counter.OVERFLOW, Counter.REJECTED,
    Counter.DROPPED,
)  # fmt: skip
"""Counters that are those of the whole chip. HOPS is not: no flit passes through a lone tile."""

NORTH, EAST, SOUTH, WEST = range(4)


@dataclass(frozen=True, kw_only=True)
class TileOutcome:
    """``words``: of the memory that holds the core's results, as they were read. ``cycles``: of the tile, program and
    reading included; ``steps``: those from a step's command until the tile was idle, summed. ``sent``: flits that left.
    ``problems``: a line for everything that is not as it must be; empty: all is well.
    """

    core: Coordinate
    layer: str
    words: tuple[int, ...]
    counters: Mapping[str, int]
    cycles: int
    steps: int
    sent: int
    problems: tuple[str, ...]


class TileProgram:
    """A program and one sample, seen from its tiles.

    ``result``: what the tile model finds for that sample alone (N = 1).
    """

    def __init__(self, image: ProgramImage, result: TileResult) -> None:
        self.image, self.config, self.result = image, image.config, result
        self.steps = image.time_steps
        self.parts = image.manifest.registers.PARTS
        self._emitted: dict[Coordinate, list[tuple[tuple[int, int, int, int], npt.NDArray[np.int64], Flits]]] = {}

    @cached_property
    def descriptors(self) -> dict[Coordinate, dict[str, int]]:
        """Core descriptors by core."""
        layout = memory_layouts(self.config)[Memory.CORE]
        return {core: unpack(layout, self.image.words(core, Memory.CORE)[0]) for core in self.image.cores}

    @cached_property
    def routes(self) -> dict[Coordinate, list[dict[str, int]]]:
        """Routes in use, by core."""
        layout = memory_layouts(self.config)[Memory.ROUTE]
        table = fields(layout)
        return {
            core: [unpack(layout, word, table) for word in self.image.words(core, Memory.ROUTE)[: d["routes"]]]
            for core, d in self.descriptors.items()
        }

    @cached_property
    def _reach(self) -> tuple[list[tuple[Coordinate, int]], npt.NDArray[np.int64]]:
        """All routes (core, number), and their rectangles [n, (y0, y1, x0, x1)]."""
        names = [(core, n) for core, routes in self.routes.items() for n in range(len(routes))]
        rectangles = [[self.routes[c][n][f"dst.{end}"] for end in ("y0", "y1", "x0", "x1")] for c, n in names]
        return names, np.array(rectangles, dtype=np.int64).reshape(-1, 4)

    # -- what a tile is given -------------------------------------------------------------------------

    def load(self, core: Coordinate) -> Flits:
        """The flits that write the core's program; what it does not use is switched off."""
        parts = []
        for memory in PROGRAM_MEMORIES:
            blob = self.image.memories[core].get(memory)
            if blob is not None:
                parts.append(self.write(core, memory, blob))
        used = len(self.image.memories[core].get(Memory.EDGE, ()))
        size = -(-memory_layouts(self.config)[Memory.EDGE].size // 8)
        unused = np.zeros((memory_depths(self.config)[Memory.EDGE] - used, size), dtype=np.uint8)
        return np.concatenate([*parts, self.write(core, Memory.EDGE, unused, first=used)])

    def write(self, core: Coordinate, memory: Memory, words: Bytes, first: int = 0) -> Flits:
        """The flits that write ``words`` from address ``first`` on."""
        count, chunks = chunks_of(self.config, memory), self._chunks(words, memory)
        return self._flits(
            FlitKind.WRITE, (core[0], core[0], core[1], core[1]), len(chunks),
            {
                "memory.mem": memory.value, "memory.addr": first + np.repeat(np.arange(len(words)), count),
                "memory.chunk": np.tile(np.arange(count), len(words)), "memory.data": chunks,
                "memory.last": np.tile(np.arange(count) == count - 1, len(words)),
            },
        )  # fmt: skip

    def _chunks(self, words: Bytes, memory: Memory) -> npt.NDArray[np.int64]:
        """The chunks of ``words``, one word after the other."""
        width, count = self.config.data_bits, chunks_of(self.config, memory)
        padded = np.zeros((len(words), max(words.shape[1], -(-count * width // 8))), dtype=np.uint8)
        padded[:, : words.shape[1]] = words
        bits = np.unpackbits(padded, axis=1, bitorder="little", count=count * width).reshape(-1, width)
        return np.asarray(bits.astype(np.int64) @ (1 << np.arange(width, dtype=np.int64)))

    def sample(self, core: Coordinate) -> Flits:
        """The flits that write an input tile's activations."""
        words = self.result.words[core][0] & ((1 << self.config.act_bits) - 1)
        return self.write(core, Memory.ACT, pack_array(words, self.config.act_bits))

    def spikes(self, core: Coordinate) -> list[Flits]:
        """The flits that reach the core in each step of the window in which its stage integrates the sample."""
        names, rectangles = self._reach
        y, x = core
        hit = (
            (rectangles[:, 0] <= y) & (y <= rectangles[:, 1]) & (rectangles[:, 2] <= x) & (x <= rectangles[:, 3])
        ).nonzero()[0]
        window = self.descriptors[core]["stage"] - 1
        found: list[list[tuple[npt.NDArray[np.int64], Flits]]] = [[] for _ in range(self.steps)]
        for index in hit:
            source, number = names[index]
            if self.descriptors[source]["stage"] + self.routes[source][number]["age"] != window:
                continue
            _, step, flits = self.emitted(source)[number]
            for t in range(self.steps):
                own = flits[step == t]
                found[t].append((np.arange(len(own)), own))
        return [self._merged(each, core) for each in found]

    def partials(self, core: Coordinate, phase: int) -> Flits:
        """The partial sums that reach the core in one partial phase."""
        senders = [
            other
            for other, d in self.descriptors.items()
            if d["part"] == phase and d["enable"] and (d["part_y"], d["part_x"]) == core
        ]
        return self._merged([(np.arange(len(own)), own) for own in map(self.partial, senders)], core)

    def _merged(self, found: list[tuple[npt.NDArray[np.int64], Flits]], core: Coordinate) -> Flits:
        """Flits of several senders in turn, all to ``core`` alone."""
        nothing = np.zeros((0, -(-Flit(self.config).size // 32)), dtype=np.uint32)
        ranks = np.concatenate([rank for rank, _ in found] or [np.zeros(0, dtype=np.int64)])
        flits = np.concatenate([flits for _, flits in found] or [nothing])
        return self._to(flits[np.argsort(ranks, kind="stable")], core)

    def _to(self, flits: Flits, core: Coordinate) -> Flits:
        rectangle = _rectangle(core)
        mask = pack_rows(Flit(self.config), {f"dst.{end}": _ones(self.config, f"dst.{end}") for end in rectangle}, 1)
        return (flits & ~mask) | pack_rows(Flit(self.config), {f"dst.{e}": v for e, v in rectangle.items()}, 1)

    # -- what a tile must send ------------------------------------------------------------------------

    def emitted(self, core: Coordinate) -> list[tuple[tuple[int, int, int, int], npt.NDArray[np.int64], Flits]]:
        """By route: its rectangle (y0, y1, x0, x1), and the spike bundles of the sample that it sends, with the step of
        each.
        """
        if core not in self._emitted:
            self._emitted[core] = [self._along(core, route) for route in self.routes[core]]
        return self._emitted[core]

    def _along(self, core: Coordinate, route: Mapping[str, int]) -> tuple[Any, npt.NDArray[np.int64], Flits]:
        d, lanes = self.descriptors[core], self.config.lanes
        words = self.result.words[core][0]  # [words, lanes]
        number = np.arange(len(words))
        group = d["group0"] + number % d["groups"]
        x = d["x0"] + number // d["groups"] % d["out_width"]
        y = d["y0"] + number // (d["groups"] * d["out_width"])
        wanted = np.ones(len(words), dtype=bool)
        for name, at in (("y", y), ("x", x), ("group", group)):
            wanted &= (route[f"{name}0"] <= at) & (at <= route[f"{name}1"])
        every = (1 << route["phase_log2"]) - 1
        wanted &= ((y & every) == (route["phase_y"] & every)) & ((x & every) == (route["phase_x"] & every))
        planes = np.arange(self.steps - 1, -1, -1)[:, None, None]
        masks = ((words[None] >> planes) & 1) @ (1 << np.arange(lanes, dtype=np.int64))  # [t, words]
        step, word = (masks.astype(bool) & wanted).nonzero()
        rectangle = tuple(route[f"dst.{end}"] for end in ("y0", "y1", "x0", "x1"))
        flits = self._flits(
            FlitKind.SPIKE, rectangle, len(word),
            {
                "spike.edge": route["edge"], "spike.y": y[word], "spike.x": x[word], "spike.group": group[word],
                "spike.mask": masks[step, word],
            },
        )  # fmt: skip
        return rectangle, step, flits

    def partial(self, core: Coordinate) -> Flits:
        """The flits with which a core of a part hands over its sums."""
        d, bits = self.descriptors[core], self.config.membrane_word_bits
        sums = self.result.membranes[core][0].reshape(-1, self.config.requant_lanes)
        return self.write((d["part_y"], d["part_x"]), Memory.PARTIAL, pack_array(sums, bits))

    def readout(self, core: Coordinate) -> Flits:
        """The flits of the core's read-out; none where it has none."""
        kind = Readout(self.descriptors[core]["readout"])
        if kind is Readout.NONE:
            return np.zeros((0, -(-Flit(self.config).size // 32)), dtype=np.uint32)
        memory = Memory.ACT if kind is Readout.ACT else Memory.MEMBRANE
        values = self.result.words[core][0] if memory is Memory.ACT else self.result.membranes[core][0]
        layout, count = memory_layouts(self.config)[memory], chunks_of(self.config, memory)
        rows = pack_rows(layout, dict(zip(fields(layout), values.T, strict=True)), len(values))
        chunks = self._chunks(rows.astype("<u4").view(np.uint8).reshape(len(rows), -1), memory)
        return self._flits(
            FlitKind.READOUT, (0, 0, 0, 0), len(chunks),
            {
                "readout.mem": memory.value, "readout.addr": np.repeat(np.arange(len(rows)), count),
                "readout.chunk": np.tile(np.arange(count), len(rows)), "readout.data": chunks,
                "readout.src_y": core[0], "readout.src_x": core[1],
            },
        )  # fmt: skip

    def _flits(
        self, kind: FlitKind, rectangle: tuple[int, ...], count: int, payload: Mapping[str, int | npt.NDArray[Any]]
    ) -> Flits:
        to = dict(zip(("dst.y0", "dst.y1", "dst.x0", "dst.x1"), rectangle, strict=True))
        values = {f"payload.{name}": value for name, value in payload.items()}
        return pack_rows(Flit(self.config), {"kind": kind, **to, **values}, count)


def _rectangle(core: Coordinate) -> dict[str, int]:
    y, x = core
    return {"y0": y, "y1": y, "x0": x, "x1": x}


def _ones(config: ChipConfig, name: str) -> int:
    return (1 << fields(Flit(config))[name].width) - 1


def _copies(config: ChipConfig, core: Coordinate, flits: Flits) -> tuple[npt.NDArray[np.int64], Flits]:
    """Sides at which ``flits`` of ``core`` leave its router, and the flits, once for each side: along X first, and into
    Y at every column of the rectangle.
    """
    y, x = core
    y0, y1, x0, x1 = (unpack_rows(Flit(config), flits, f"dst.{end}") for end in ("y0", "y1", "x0", "x1"))
    here = (x0 <= x) & (x <= x1)
    leaves = {NORTH: here & (y1 > y), EAST: x1 > x, SOUTH: here & (y0 < y), WEST: x0 < x}
    sides = np.concatenate([np.full(int(some.sum()), side) for side, some in leaves.items()])
    return sides, np.concatenate([flits[some] for some in leaves.values()])


def _same(found: tuple[npt.NDArray[np.int64], Flits], wanted: tuple[npt.NDArray[np.int64], Flits]) -> str:
    """What is different, in any order; "" if nothing."""
    rows = [np.column_stack([sides.astype(np.uint32), flits]) for sides, flits in (found, wanted)]
    rows = [each[np.lexsort(each.T[::-1])] for each in rows]
    if rows[0].shape == rows[1].shape and (rows[0] == rows[1]).all():
        return ""
    sets = [set(map(tuple, each.tolist())) for each in rows]
    missing, surplus = sorted(sets[1] - sets[0]), sorted(sets[0] - sets[1])
    example = f"; the first that is missing: {missing[0]}" if missing else ""
    example += f"; the first that should not be: {surplus[0]}" if surplus else ""
    return f"{len(rows[0])} flits left, expected {len(rows[1])}{example}"


class _Bench:
    """One tile's run; collects what is wrong."""

    def __init__(self, tile: LoneTile, program: TileProgram, core: Coordinate) -> None:
        self.tile, self.program, self.core, self.config = tile, program, core, program.config
        self.problems: list[str] = []
        self.sent = self.hops = 0
        self.steps = 0

    def give(self, command: Mapping[str, Any] | None, flits: Flits | None, wanted: list[Flits], when: str) -> None:
        """Runs, and holds what leaves against ``wanted``."""
        before = self.tile.cycles
        found = self.tile.run(command, flits)
        if command is not None:
            self.steps += self.tile.cycles - before
        self.sent += len(found[0])
        expected = _copies(
            self.config, self.core, np.concatenate([*wanted, self.program._flits(FlitKind.READ, (0,) * 4, 0, {})])
        )
        spikes = unpack_rows(Flit(self.config), found[1], "kind") == FlitKind.SPIKE.value
        self.hops += int(spikes.sum())
        if different := _same(found, expected):
            self.problems.append(f"{when}: {different}")

    def read(self, memory: Memory, count: int) -> list[int]:
        """Words 0 .. count - 1 of a memory."""
        layout, width, chunks = Flit(self.config), self.config.data_bits, chunks_of(self.config, memory)
        rectangle = _rectangle(self.core)
        asked = pack_rows(
            layout,
            {
                "kind": FlitKind.READ, **{f"dst.{end}": v for end, v in rectangle.items()},
                "payload.memory.mem": memory.value, "payload.memory.addr": np.arange(count),
            },
            count,
        )  # fmt: skip
        answers = [self.tile.run(None, asked[n : n + 1])[1] for n in range(count)]
        if any(len(answer) != chunks for answer in answers):
            self.problems.append(f"reading {memory.name}: {[len(a) for a in answers]} chunks, expected {chunks} a word")
            return [0] * count
        rows = np.concatenate(answers)
        prefix = "payload.readout."
        address, chunk = (unpack_rows(layout, rows, prefix + name) for name in ("addr", "chunk"))
        data = unpack_rows(layout, rows, prefix + "data")
        if (address != np.repeat(np.arange(count), chunks)).any() or (chunk != np.tile(np.arange(chunks), count)).any():
            self.problems.append(f"reading {memory.name}: answers are not in order")
        return [
            sum(int(part) << (width * k) for k, part in enumerate(data[n * chunks : (n + 1) * chunks]))
            for n in range(count)
        ]


def run_tile(tile: LoneTile, program: TileProgram, core: Coordinate) -> TileOutcome:
    """Runs one tile of ``program`` from its loading to the last step in which it emits the sample."""
    d, steps, parts = program.descriptors[core], program.steps, program.parts
    bench, stage = _Bench(tile, program, core), d["stage"]
    begun = tile.cycles
    tile.place(*core)
    bench.give({"op": Command.LOAD}, None, [], "LOAD")
    bench.give(None, program.load(core), [], "loading")
    if not tile.sound:
        bench.problems.append("the core refuses its program")
    bench.give({"op": Command.CLEAR}, None, [], "CLEAR")

    def window(number: int, given: list[Flits] | None, sent: list[list[Flits]], partial: list[Flits]) -> None:
        """One window, in which the sample is in stage ``number``."""
        valid = 1 << number
        for t in range(steps):
            command = {"op": Command.STEP, "first": int(t == 0), "plane": steps - 1 - t, "valid": valid}
            bench.give(command, given[t] if given else None, sent[t], f"window {number}, step {t}")
        for part in range(1, parts + 1):
            command = {"op": Command.PARTIAL, "first": int(part == 1), "plane": part, "valid": valid}
            flits = program.partials(core, part) if given else None
            bench.give(command, flits, partial if part == d["part"] else [], f"window {number}, partial phase {part}")
        command = {"op": Command.REQUANT, "first": int(parts == 0), "plane": 0, "valid": valid}
        bench.give(command, None, [], f"window {number}, requantization")

    nothing: list[list[Flits]] = [[] for _ in range(steps)]
    words: list[int] = []
    memory = Memory.ACT if Readout(d["readout"]) in (Readout.NONE, Readout.ACT) else Memory.MEMBRANE
    if stage:
        window(stage - 1, program.spikes(core), nothing, [program.partial(core)] if d["part"] else [])
        if not d["part"]:
            words = bench.read(memory, program.image.word_count(core, memory))
    else:
        bench.give(None, program.sample(core), [], "sample")
        words = bench.read(Memory.ACT, program.image.word_count(core, Memory.ACT))
    if not d["part"]:
        last = program.image.manifest.registers.STAGES
        for age in range(max(1, d["ages"])):
            if stage + age > last:
                break
            sent: list[list[Flits]] = [[] for _ in range(steps)]
            if Readout(d["readout"]) is not Readout.NONE:
                if age == 0:
                    sent[0].append(program.readout(core))
            else:
                for route, (_, step, flits) in zip(program.routes[core], program.emitted(core), strict=True):
                    for t in range(steps) if route["age"] == age else ():
                        sent[t].append(flits[step == t])
            window(stage + age, None, sent, [])
    values = bench.read(Memory.COUNTER, len(Counter))
    counters = {counter.name: value for counter, value in zip(Counter, values, strict=True)}
    expected = {c.name: n for c, n in program.result.counters[core].items() if c in COUNTED} | {"HOPS": bench.hops}
    for name, number in expected.items():
        if counters[name] != number:
            bench.problems.append(f"{name} is {counters[name]}, expected {number}")
    return TileOutcome(
        core=core, layer=program.image.cores[core].layer, words=tuple(words), counters=counters,
        cycles=tile.cycles - begun, steps=bench.steps, sent=bench.sent, problems=tuple(bench.problems),
    )  # fmt: skip
