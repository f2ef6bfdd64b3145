"""Functional coverage of descriptors: which combinations of what a core can do have been run.

Measured on the words of program images, not on what their author meant. One record per edge of a core; the bins are all
pairs of values of two dimensions that the image checker accepts together, and the full cross of :data:`SHAPES`.
"""

from collections import Counter as Multiset
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from hdl.pack import unpack
from hdl.program import Memory, Readout, memory_layouts
from sdann.mapper import ProgramImage
from sdann.mapper.image import Coordinate

__all__ = ["DIMENSIONS", "SHAPES", "Bin", "Coverage", "Record", "bins", "feasible", "records"]

Value = str | int
Record = Mapping[str, Value]
"""A value of each dimension."""
Bin = tuple[tuple[str, Value], ...]
"""Dimensions with a value of each."""

DIMENSIONS: Mapping[str, tuple[Value, ...]] = {
    "kind": ("conv", "depthwise", "linear"),
    "kernel_h": (1, 2, 3, 4, 5, 6, 7),
    "kernel_w": (1, 2, 3, 4, 5, 6, 7),
    "stride": (1, 2, 4),
    "padding": (0, 1, 2, 3),
    "source": ("unsigned", "signed"),
    "edges": (1, 2, 3, 4),
    "pool": (0, 2, 3, 4),  # kernel, 0: none
    "pool_stride": (1, 2, 4),  # counts where there is a pool
    "parts": (1, 2, 3, 4),  # cores that one neuron's fan-in is split over
    "role": ("whole", "adds", "sends"),  # sums by itself, adds others' sums to its own, sends its own
    "mode": ("exact", "scaled"),
    "readout": ("none", "unsigned", "signed", "wide", "raw"),  # the two in the middle: of activations
}

SHAPES = ("kind", "kernel_h", "kernel_w", "stride")
"""Dimensions whose full cross is covered, for square kernels."""


def feasible(values: Record) -> bool:
    """Whether a program may have these values (of some of the dimensions) together."""
    linear = values.get("kind") == "linear"
    if linear and (values.get("stride", 1) != 1 or values.get("padding", 0) != 0):
        return False
    if "role" in values and "parts" in values and (values["role"] == "whole") != (values["parts"] == 1):
        return False
    pooled = values.get("pool", 0) != 0 or ("pool_stride" in values and "pool" not in values)
    if values.get("role") == "sends" and (pooled or values.get("readout", "none") != "none"):
        return False  # it has no activations
    return not (pooled and values.get("readout", "none") in ("signed", "wide", "raw"))


def bins() -> list[Bin]:
    """Every bin."""
    found: list[Bin] = [
        ((a, x), (b, y))
        for a, b in combinations(DIMENSIONS, 2)
        for x, y in product(DIMENSIONS[a], DIMENSIONS[b])
        if feasible({a: x, b: y}) and not ("pool_stride" in (a, b) and ("pool", 0) in ((a, x), (b, y)))
    ]
    for values in product(*(DIMENSIONS[name] for name in SHAPES)):
        shape = dict(zip(SHAPES, values, strict=True))
        if shape["kernel_h"] == shape["kernel_w"] and feasible(shape):
            found.append(tuple(shape.items()))
    return found


def records(image: ProgramImage, cores: Collection[Coordinate] | None = None) -> list[Record]:
    """One record per edge of every core, or of the given ones, from their descriptors."""
    layouts = memory_layouts(image.config)
    found: list[Record] = []
    for core, entry in image.cores.items():
        if cores is not None and core not in cores:
            continue
        words = {memory: [unpack(layouts[memory], word) for word in image.words(core, memory)] for memory in (
            Memory.CORE, Memory.EDGE,
        )}  # fmt: skip
        d = words[Memory.CORE][0]
        holder, kind = _holder(image, core), Readout(d["readout"])
        plain = {Readout.NONE: "none", Readout.ACT: "signed" if d["lo"] < 0 else "unsigned"}
        parts = sum(_holder(image, other) == holder for other in image.cores)
        shared: dict[str, Value] = {
            "edges": len(words[Memory.EDGE]), "pool": d["pool_kernel"] if d["pool"] else 0, "parts": parts,
            "role": "sends" if entry.part else "adds" if parts > 1 else "whole",
            "mode": "scaled" if d["scaled"] else "exact", "readout": plain.get(kind, kind.name.lower()),
        }  # fmt: skip
        if d["pool"]:
            shared["pool_stride"] = 1 << d["pool_stride_log2"]
        for e in words[Memory.EDGE]:
            stride, r = 1 << e["stride_log2"], entry.region
            padding = e["y_offset"] + r.y0 * stride
            single = (d["height"], d["width"], stride, padding) == (1, 1, 1, 0)
            found.append({
                "kind": "depthwise" if e["depthwise"] else "linear" if single else "conv",
                "kernel_h": e["kernel_h"], "kernel_w": e["kernel_w"], "stride": stride, "padding": padding,
                "source": "signed" if e["signed"] else "unsigned", **shared,
            })  # fmt: skip
    return found


def _holder(image: ProgramImage, core: Coordinate) -> Coordinate:
    """The core that requantizes what ``core`` sums."""
    layout = memory_layouts(image.config)[Memory.CORE]
    while image.cores[core].part:
        d = unpack(layout, image.words(core, Memory.CORE)[0])
        core = d["part_y"], d["part_x"]
    return core


@dataclass
class Coverage:
    """How often each bin was hit, and how many cores and edges were run."""

    hits: Multiset[Bin] = field(default_factory=Multiset)
    cores: int = 0
    edges: int = 0

    def __post_init__(self) -> None:
        self._bins = bins()

    def hit_by(self, found: Iterable[Record]) -> set[Bin]:
        """The bins that these records hit."""
        return {
            some for record in found for some in self._bins if all(record.get(name) == value for name, value in some)
        }

    def gain(self, image: ProgramImage, cores: Collection[Coordinate]) -> int:
        """Bins that these cores would be the first to hit."""
        return sum(not self.hits[some] for some in self.hit_by(records(image, cores)))

    def add(self, image: ProgramImage, cores: Collection[Coordinate] | None = None) -> None:
        """Counts what the cores of ``image``, or some of them, have run."""
        found = records(image, cores)
        self.hits.update(self.hit_by(found))
        self.cores += len(image.cores if cores is None else cores)
        self.edges += len(found)

    @property
    def missing(self) -> list[Bin]:
        """Bins that nothing has hit."""
        return [some for some in self._bins if not self.hits[some]]

    def rows(self) -> list[tuple[str, int, int]]:
        """(cross, bins hit, bins in all) for each pair of dimensions, for the shapes, and for all."""
        table: dict[str, list[int]] = {}
        for some in self._bins:
            name = " x ".join(name for name, _ in some)
            for key in (name, "all"):
                counts = table.setdefault(key, [0, 0])
                counts[0] += bool(self.hits[some])
                counts[1] += 1
        everything = table.pop("all")
        return [*((name, hit, total) for name, (hit, total) in table.items()), ("all", everything[0], everything[1])]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cores": self.cores, "edges": self.edges,
            "bins": [{"cross": name, "hit": hit, "bins": total} for name, hit, total in self.rows()],
            "missing": [dict(some) for some in self.missing],
        }  # fmt: skip
