"""Routes: where they lead, and that every edge gets each spike that it needs exactly once."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from hdl.config import ChipConfig
from sdann.mapper.check.decoded import Decoded, Fields, need
from sdann.mapper.image import Coordinate

__all__ = ["check_routes"]

Feeds = dict[tuple[Coordinate, int], list[tuple[Coordinate, int]]]
"""(core, edge) to the (core, route) that feed it."""


def check_routes(decoded: Decoded) -> None:
    """Every route by itself, then what reaches each edge."""
    feeds: Feeds = defaultdict(list)
    for core in decoded.image.cores:
        for number, route in enumerate(decoded.routes[core]):
            _check_route(decoded, core, number, route, feeds)
    for core in decoded.image.cores:
        for number, edge in enumerate(decoded.edges[core]):
            if sources := feeds.get((core, number)):
                _check_feed(decoded, core, number, sources)
            else:
                _check_unfed(decoded, core, number, edge)


def _check_route(decoded: Decoded, core: Coordinate, number: int, r: Fields, feeds: Feeds) -> None:
    config, d = decoded.config, decoded.core[core]
    place = f"{decoded.where(core)} route {number}"
    need(not d["readout"], f"{place}: a core that is read out emits no spikes")
    for low, high in (("y0", "y1"), ("x0", "x1"), ("group0", "group1")):
        need(r[low] <= r[high], f"{place}: {low} {r[low]} is above {high} {r[high]}")
    need(r["age"] < d["ages"], f"{place}: age {r['age']}, the core emits ages below {d['ages']}")
    for axis in ("y", "x"):
        phase, log2 = r[f"phase_{axis}"], r["phase_log2"]
        need(phase < 1 << log2, f"{place}: phase_{axis} {phase} is not below 2^phase_log2 (phase_log2 {log2})")
    for tile in _tiles(r, config, place):
        need(tile in decoded.core, f"{place}: goes to tile {tile}, which holds no program")
        stage, wanted = decoded.core[tile]["stage"], d["stage"] + r["age"] + 1
        need(
            stage == wanted,
            f"{place}: goes from stage {d['stage']} with age {r['age']} to core {tile} of stage {stage}, not {wanted}",
        )
        need(r["edge"] < len(decoded.edges[tile]), f"{place}: core {tile} has no edge {r['edge']}")
        e = decoded.edges[tile][r["edge"]]
        first, last = max(r["group0"], d["group0"]), min(r["group1"], d["group0"] + d["groups"] - 1)
        taken = e["group0"] <= first and last < e["group0"] + e["groups"]
        need(
            taken or first > last,
            f"{place}: sends groups {first}..{last} to core {tile}, whose edge {r['edge']} takes "
            f"{e['group0']}..{e['group0'] + e['groups'] - 1}",
        )
        feeds[tile, r["edge"]].append((core, number))


def _tiles(r: Fields, config: ChipConfig, place: str) -> list[Coordinate]:
    rectangle = {name.removeprefix("dst."): value for name, value in r.items() if name.startswith("dst.")}
    for low, high, size in (("y0", "y1", config.rows), ("x0", "x1", config.cols)):
        need(
            rectangle[low] <= rectangle[high] < size, f"{place}: rectangle {rectangle} is inverted or outside the mesh"
        )
    rows, columns = range(rectangle["y0"], rectangle["y1"] + 1), range(rectangle["x0"], rectangle["x1"] + 1)
    return [(y, x) for y in rows for x in columns]


def _needed(offset: int, size: int, kernel: int, stride: int, extent: int) -> npt.NDArray[np.bool_]:
    """Which of a map's rows (or columns) 0 .. extent - 1 some neuron of the region reads."""
    u = np.arange(extent) + offset
    first = np.maximum(0, -(-(u - kernel + 1) // stride))  # lowest output row that could
    return np.asarray((u >= 0) & (first <= np.minimum(u // stride, size - 1)), dtype=np.bool_)


def _is_split(decoded: Decoded, core: Coordinate, e: Fields) -> bool:
    """Whether it is a depthwise edge of a split layer, of which each part may get some of the groups, or none."""
    return bool(e["depthwise"]) and decoded.image.tiles_of(decoded.image.cores[core].layer).parts > 1


def _check_unfed(decoded: Decoded, core: Coordinate, number: int, e: Fields) -> None:
    """An edge without a route may read nothing but padding, whichever layer's it is."""
    d = decoded.core[core]
    shapes = [layer.shape for layer in decoded.image.manifest.layers if layer.stage < d["stage"]]
    rows, columns = (
        _needed(e[f"{axis}_offset"], d[size], e[kernel], 1 << e["stride_log2"], min(shape[n] for shape in shapes)).any()
        for n, axis, size, kernel in ((1, "y", "height", "kernel_h"), (2, "x", "width", "kernel_w"))
    )
    need(
        not (rows and columns) or _is_split(decoded, core, e), f"{decoded.where(core)} edge {number}: no route feeds it"
    )


def _check_feed(decoded: Decoded, core: Coordinate, number: int, sources: list[tuple[Coordinate, int]]) -> None:
    """Spikes of the source's map that reach edge ``number`` of ``core``: what it needs once, all from one layer."""
    image, d, e = decoded.image, decoded.core[core], decoded.edges[core][number]
    place = f"{decoded.where(core)} edge {number}"
    names = {image.cores[source].layer for source, _ in sources}
    need(len(names) == 1, f"{place}: gets spikes of several layers: {', '.join(sorted(names))}")
    layer = image.layer(names.pop())
    need(
        bool(e["signed"]) == layer.signed,
        f"{place}: signed is {e['signed']}, but {layer.name!r} is {'' if layer.signed else 'un'}signed",
    )
    _, height, width = layer.shape
    groups = min(e["group0"] + e["groups"], -(-layer.shape[0] // decoded.config.lanes)) - e["group0"]
    count = np.zeros((height, width, max(0, groups)), dtype=np.int32)
    for source, which in sources:
        r, out, own = decoded.routes[source][which], image.cores[source].outputs, decoded.core[source]
        step = 1 << r["phase_log2"]
        spans = []
        for axis, start, size in (("y", out.y0, out.height), ("x", out.x0, out.width)):
            first = max(start, r[f"{axis}0"])
            first += (r[f"phase_{axis}"] - first) % step
            spans.append(slice(first, max(first, min(start + size, r[f"{axis}1"] + 1)), step))
        low, high = max(own["group0"], r["group0"]), min(own["group0"] + own["groups"], r["group1"] + 1)
        count[spans[0], spans[1], low - e["group0"] : max(low, high) - e["group0"]] += 1
    rows = _needed(e["y_offset"], d["height"], e["kernel_h"], 1 << e["stride_log2"], height)
    columns = _needed(e["x_offset"], d["width"], e["kernel_w"], 1 << e["stride_log2"], width)
    wrong = (
        ((count > 1) if _is_split(decoded, core, e) else (count != 1)) & rows[:, None, None] & columns[None, :, None]
    )
    if wrong.any():
        y, x, group = (int(i) for i in np.argwhere(wrong)[0])
        times = int(count[y, x, group])
        need(
            False,
            f"{place}: gets spikes of {layer.name!r} at (y, x) = {y, x}, group {group + e['group0']} {times} times",
        )
