"""What one core of a program does with one sample: flits in, words and flits out, from the image and its models.

The core bench (:mod:`sim.benches.core_bench`) drives a core with such a case and compares.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hdl.config import ChipConfig
from hdl.flit import Flit, FlitKind
from hdl.pack import fields, pack, unpack
from hdl.program import Counter, Memory, Readout, chunks_of, memory_layouts
from sdann.graph import IntArray
from sdann.mapper import ProgramImage
from sdann.mapper.image import Coordinate
from sdann.tile_model import TileResult

__all__ = ["CoreCase", "core_case", "load_cases", "save_cases"]


@dataclass(frozen=True, kw_only=True)
class CoreCase:
    """One core's work on one sample. Words and flits are integers in the layouts of :mod:`hdl.program`,
    :mod:`hdl.flit`.

    ``program``: (memory number, address, word). ``spikes[t]``: bundles that arrive in step t; ``isums``: words of I(t)
    then, by step, of those steps that are read. ``partials[p]``, ``sent[p]``: flits of partial sums that arrive, and
    leave, in partial phase p + 1. ``activations``, ``membranes``: ACT and MEMBRANE words after requantization (None:
    not looked at). ``emitted[t]``: flits that leave in step t of the next window, in any order. ``stage``: the core's.
    ``counters``: values afterwards by :class:`hdl.program.Counter` name.
    """

    config: dict[str, Any]
    core: list[int]
    stage: int
    program: list[list[int]]
    spikes: list[list[int]]
    isums: dict[int, list[int]]
    partials: list[list[int]] = field(default_factory=list)
    sent: list[list[int]] = field(default_factory=list)
    activations: list[int] | None
    membranes: list[int] | None = None
    emitted: list[list[int]]
    counters: dict[str, int]
    name: str = ""


def save_cases(cases: Sequence[CoreCase], path: Path) -> None:
    """Writes cases for one core's design."""
    path.write_text(json.dumps([asdict(case) for case in cases]))


def load_cases(path: Path) -> list[CoreCase]:
    """Inverse of :func:`save_cases`."""
    found = []
    for entry in json.loads(path.read_text()):
        entry["isums"] = {int(step): words for step, words in entry["isums"].items()}
        found.append(CoreCase(**entry))
    return found


class _Flits:
    """Makes flits of one chip."""

    def __init__(self, config: ChipConfig) -> None:
        self.config, self.layout, self.layouts = config, Flit(config), memory_layouts(config)
        self.table = fields(self.layout)

    def spike(self, edge: int, place: Sequence[int], mask: int, dst: dict[str, int]) -> int:
        body = {"edge": edge, "y": place[0], "x": place[1], "group": place[2], "mask": mask}
        spike = {f"payload.spike.{name}": value for name, value in body.items()}
        return pack(self.layout, {"kind": FlitKind.SPIKE, **dst, **spike}, self.table)

    def chunks(self, kind: FlitKind, memory: Memory, address: int, word: int, **more: int) -> list[int]:
        """The flits of one memory word: WRITE to the tile ``dst_*``, or READOUT from the tile ``src_*``."""
        count, width = chunks_of(self.config, memory), self.config.data_bits
        found = []
        for chunk in range(count):
            body = {
                "mem": memory.value, "addr": address, "chunk": chunk,
                "data": (word >> (chunk * width)) & ((1 << width) - 1),
            }  # fmt: skip
            if kind is FlitKind.WRITE:
                body["last"] = int(chunk == count - 1)
                extra = {"dst.y0": more["y"], "dst.y1": more["y"], "dst.x0": more["x"], "dst.x1": more["x"]}
                prefix = "payload.memory."
            else:
                body |= {"src_y": more["y"], "src_x": more["x"]}
                extra, prefix = {}, "payload.readout."
            values = {prefix + name: value for name, value in body.items()}
            found.append(pack(self.layout, {"kind": kind, **extra, **values}, self.table))
        return found

    def words(self, values: IntArray, memory: Memory) -> list[int]:
        """Memory words of values [words, lanes]."""
        layout = self.layouts[memory]
        table = fields(layout)
        return [pack(layout, {str(n): int(v) for n, v in enumerate(row)}, table) for row in values]

    def partials(self, values: IntArray, target: Coordinate) -> list[int]:
        """Flits of V [words, lanes] to the core that adds it."""
        rows = self.words(values.reshape(-1, self.config.requant_lanes), Memory.PARTIAL)
        return [
            flit
            for address, word in enumerate(rows)
            for flit in self.chunks(FlitKind.WRITE, Memory.PARTIAL, address, word, y=target[0], x=target[1])
        ]


def core_case(
    image: ProgramImage, core: Coordinate, result: TileResult, *, sample: int = 0, isums: Sequence[int] = (),
    name: str = "",
) -> CoreCase:  # fmt: skip
    """The case of one core (no input tile) and one sample of a run of the tile model, with its traces.

    ``isums``: steps whose I(t) the bench reads.
    """
    make, entry, steps = _Flits(image.config), image.cores[core], image.time_steps
    layouts = memory_layouts(image.config)
    d = unpack(layouts[Memory.CORE], image.words(core, Memory.CORE)[0])
    trace = result.traces[core]
    arriving: list[list[int]] = [[] for _ in range(steps)]
    for source in image.cores:
        for t, (route, place, mask) in _bundles(image, source, result, sample):
            if route["dst.y0"] <= core[0] <= route["dst.y1"] and route["dst.x0"] <= core[1] <= route["dst.x1"]:
                arriving[t].append(make.spike(route["edge"], place, mask, {}))
    emitted: list[list[int]] = [[] for _ in range(steps)]
    for t, (route, place, mask) in _bundles(image, core, result, sample):
        dst = {path: value for path, value in route.items() if path.startswith("dst.")}
        emitted[t].append(make.spike(route["edge"], place, mask, dst))
    kind, memory = Readout(d["readout"]), image.result_memory(entry.layer)
    acts, v = result.words[core][sample], result.membranes[core][sample]
    results = make.words(acts, Memory.ACT) if memory is Memory.ACT else make.words(v, Memory.MEMBRANE)
    if kind is not Readout.NONE:
        for address, word in enumerate(results):
            emitted[0] += make.chunks(FlitKind.READOUT, memory, address, word, y=core[0], x=core[1])
    phases = image.manifest.registers.PARTS
    partials: list[list[int]] = [[] for _ in range(phases)]
    sent: list[list[int]] = [[] for _ in range(phases)]
    for other, its in image.cores.items():
        if its.part:
            fields_ = unpack(layouts[Memory.CORE], image.words(other, Memory.CORE)[0])
            target = fields_["part_y"], fields_["part_x"]
            flits = make.partials(result.membranes[other][sample], target)
            if target == core:
                partials[its.part - 1] += flits
            if other == core:
                sent[its.part - 1] += flits
    own = result.counters[core]
    return CoreCase(
        config=image.config.as_dict(), core=list(core), stage=entry.stage, name=name or f"core {core} ({entry.layer})",
        program=[[m.value, a, w] for m in image.memories[core] for a, w in enumerate(image.words(core, m))],
        spikes=arriving, isums={t: make.words(trace.isum[sample, t], Memory.ISUM) for t in isums},
        partials=partials, sent=sent, activations=None if entry.part else make.words(acts, Memory.ACT),
        membranes=make.words(v, Memory.MEMBRANE), emitted=emitted,
        counters={c.name: own[c] for c in own if c not in (Counter.HOPS, Counter.DROPPED)},
    )  # fmt: skip


def _bundles(
    image: ProgramImage, core: Coordinate, result: TileResult, sample: int
) -> list[tuple[int, tuple[dict[str, int], tuple[int, int, int], int]]]:
    """(step, (route, (y, x, group), mask)) of every bundle that ``core`` sends of its activations of ``sample``."""
    layouts, lanes, entry = memory_layouts(image.config), image.config.lanes, image.cores[core]
    routes = [unpack(layouts[Memory.ROUTE], word) for word in image.words(core, Memory.ROUTE)]
    out, groups = entry.outputs, -(-entry.outputs.channels // lanes)
    found = []
    for address, word in enumerate(result.words[core][sample]):
        row, group = divmod(address, groups)
        y, x = divmod(row, out.width)
        place = out.y0 + y, out.x0 + x, out.channel0 // lanes + group
        for t in range(image.time_steps):
            mask = sum(1 << lane for lane, a in enumerate(word) if int(a) >> (image.time_steps - 1 - t) & 1)
            for r in routes if mask else ():
                inside = all(
                    r[f"{axis}0"] <= at <= r[f"{axis}1"] for axis, at in zip(("y", "x", "group"), place, strict=True)
                )
                step = 1 << r["phase_log2"]
                if inside and (place[0] % step, place[1] % step) == (r["phase_y"], r["phase_x"]):
                    found.append((t, (r, place, mask)))
    return found
