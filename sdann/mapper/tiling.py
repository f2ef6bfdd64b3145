"""Cuts feature maps into tiles: one tile is what one core holds.

A layer is cut over rows (whole map width) x output-channel groups; all tiles together form a rectangle of cores. The
network's input is cut the same way into input tiles, cores without edges.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hdl.config import ChipConfig
from sdann.errors import DoesNotFitError, UnsupportedError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork, Shape

__all__ = [
    "Region", "Tiling", "groups_of", "needed_span", "row_shift_of", "stages_of", "tiling_options",
    "weight_words_of",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Region:
    """Part of a feature map that one core holds: rows ``y0 .. y0 + height - 1``, all columns, some channel groups.

    ``group0, groups`` count groups of ``lanes`` channels; ``channels`` is the number of channels that exist in them.
    """

    y0: int
    height: int
    width: int
    group0: int
    groups: int
    channels: int

    @property
    def words(self) -> int:
        """Neuron words."""
        return self.height * self.width * self.groups

    @property
    def rows(self) -> range:
        """Rows of the layer's map."""
        return range(self.y0, self.y0 + self.height)


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """A map cut into ``row_tiles`` x ``channel_tiles`` regions; ``regions[r][c]`` in mesh order (row, column)."""

    name: str
    shape: Shape
    stage: int
    regions: tuple[tuple[Region, ...], ...]
    bundles: int
    """Bundles, per step and with all neurons spiking, that the busiest core receives."""

    @property
    def row_tiles(self) -> int:
        """Mesh rows."""
        return len(self.regions)

    @property
    def channel_tiles(self) -> int:
        """Mesh columns."""
        return len(self.regions[0])

    @property
    def cores(self) -> int:
        """Number of cores."""
        return self.row_tiles * self.channel_tiles


def groups_of(channels: int, lanes: int) -> int:
    """Groups of ``lanes`` channels that hold ``channels``."""
    return -(-channels // lanes)


def row_shift_of(channels: int, lanes: int) -> int:
    """log2 of the weight rows kept per source group: all lanes, or the next power of two where fewer channels exist."""
    return (min(channels, lanes) - 1).bit_length()


def weight_words_of(edge: Edge, source: Shape, groups: int, lanes: int) -> int:
    """Weight words of ``edge`` in a core that holds ``groups`` output groups."""
    kernel = int(edge.weight.shape[2] * edge.weight.shape[3])
    if edge.kind == "depthwise":
        return kernel * groups
    return (groups_of(source[0], lanes) * kernel * groups) << row_shift_of(source[0], lanes)


def needed_span(first: int, last: int, edge: Edge, axis: int, size: int) -> tuple[int, int]:
    """First and last source row (``axis`` 0) or column (1) that outputs ``first .. last`` read; empty if first > last.

    ``size`` is the source map's extent: padding does not count.
    """
    kernel = int(edge.weight.shape[2 + axis])
    return max(0, first * edge.stride - edge.padding), min(size - 1, last * edge.stride - edge.padding + kernel - 1)


def stages_of(network: QuantizedNetwork) -> dict[str, int]:
    """Pipeline stage of the input (0) and of every layer (1 + its sources' stage).

    Raises :class:`UnsupportedError` where an edge skips a stage, or where a layer other than the last has no reader.
    """
    stages = {INPUT: 0}
    read: set[str] = set()
    for layer in network.layers:
        sources = {edge.source for edge in layer.edges}
        if not sources:
            raise UnsupportedError(f"layer {layer.name!r} has no edges")
        if unknown := sorted(sources - set(stages)):
            raise UnsupportedError(f"layer {layer.name!r} reads {unknown[0]!r}, which is not an earlier layer")
        stages[layer.name] = 1 + max(stages[s] for s in sources)
        if late := sorted(s for s in sources if stages[s] != stages[layer.name] - 1):
            raise UnsupportedError(
                f"layer {layer.name!r} reads {late[0]!r} over {stages[layer.name] - stages[late[0]]} stages; "
                "cores keep activations for one: insert identity layers (1x1 depthwise, weight 1) on the shorter path"
            )
        read |= sources
    if unread := [layer.name for layer in network.layers[:-1] if layer.name not in read]:
        raise UnsupportedError(f"layer {unread[0]!r} is read by no layer; only the last one is read out: remove it")
    return stages


def _split(total: int, parts: int) -> list[tuple[int, int]]:
    """(start, count) of ``parts`` nearly equal parts, the larger ones first."""
    base, extra = divmod(total, parts)
    counts = [base + (i < extra) for i in range(parts)]
    return [(sum(counts[:i]), count) for i, count in enumerate(counts)]


def _limit(where: str, what: str, needed: int, available: int, remedy: str = "") -> None:
    if needed > available:
        raise DoesNotFitError(f"{where} needs {what} {needed}, the chip has {available}{remedy}")


def _check_map(name: str, shape: Shape, config: ChipConfig) -> None:
    channels, height, width = shape
    _limit(f"{name!r}", "map_side", max(height, width), config.map_side)
    _limit(f"{name!r} with {channels} channels", "map_groups", groups_of(channels, config.lanes), config.map_groups)


def _check_layer(layer: Layer, network: QuantizedNetwork, config: ChipConfig) -> None:
    """Limits that no tiling changes."""
    where = f"layer {layer.name!r}"
    _check_map(layer.name, layer.shape, config)
    _limit(where, "edges", len(layer.edges), config.edges)
    total = np.zeros(layer.shape[0], dtype=np.int64)
    for edge in layer.edges:
        _limit(where, "max_edge_shift", edge.shift, config.max_edge_shift)
        _limit(where, "map_side (kernel side)", max(edge.weight.shape[2:]), config.map_side)
        low, high = -(1 << (config.weight_bits - 1)), (1 << (config.weight_bits - 1)) - 1
        if edge.weight.min() < low or edge.weight.max() > high:
            found = int(edge.weight.min()), int(edge.weight.max())
            raise DoesNotFitError(
                f"{where} has weights {found[0]}..{found[1]}, the chip holds {low}..{high} (weight_bits)"
            )
        if edge.stride not in (1, 2, 4, 8):
            raise UnsupportedError(f"{where} has stride {edge.stride}; the chip has 1, 2, 4 and 8")
        total += np.abs(edge.weight).reshape(len(edge.weight), -1).sum(axis=1) << edge.shift
    _limit(where, "sum of |w| << shift of one neuron (isum_bits)", int(total.max()), (1 << (config.isum_bits - 1)) - 1)
    for what, values, low, high in (
        ("mult (mult_bits)", layer.mult, 0, (1 << config.mult_bits) - 1),
        ("shift (max_shift)", layer.shift, 1, config.max_shift),
        ("bias (bias_bits)", layer.bias, -(1 << (config.bias_bits - 1)), (1 << (config.bias_bits - 1)) - 1),
    ):
        if values.min() < low or values.max() > high:
            found = int(values.min()), int(values.max())
            raise DoesNotFitError(f"{where} has {what} {found[0]}..{found[1]}, the chip holds {low}..{high}")
    if layer.scaled is not None:
        _limit(where, "mult1 (mult_bits)", layer.scaled.mult1, (1 << config.mult_bits) - 1)
        _limit(where, "shift1 (max_shift)", layer.scaled.shift1, config.max_shift)
    low, high = (-(1 << (config.act_bits - 1)), (1 << (config.act_bits - 1)) - 1) if layer.signed else (
        0, (1 << network.time_steps) - 1
    )  # fmt: skip
    if not low <= layer.lo <= 0 <= layer.hi <= high:
        raise DoesNotFitError(
            f"{where} clamps to {layer.lo}..{layer.hi}, the chip needs {low} <= lo <= 0 <= hi <= {high}"
        )
    if layer.signed and (layer is not network.layers[-1] or layer.rot or layer.drlo):
        raise UnsupportedError(f"{where} is signed: only the last layer may be, without RoT and DRLO")
    _limit(where, "rot", layer.rot, config.time_steps - 1)
    _limit(where, "drlo", layer.drlo, config.time_steps)


def _regions(shape: Shape, rows: int, columns: int, lanes: int) -> tuple[tuple[Region, ...], ...]:
    channels, height, width = shape
    return tuple(
        tuple(
            Region(y0=y0, height=count, width=width, group0=group0, groups=groups,
                   channels=min(channels, (group0 + groups) * lanes) - group0 * lanes)
            for group0, groups in _split(groups_of(channels, lanes), columns)
        )
        for y0, count in _split(height, rows)
    )  # fmt: skip


def _received(region: Region, edges: Iterable[Edge], network: QuantizedNetwork, lanes: int) -> int:
    total = 0
    for edge in edges:
        channels, height, width = network.shape_of(edge.source)
        first, last = needed_span(region.y0, region.y0 + region.height - 1, edge, 0, height)
        groups = region.groups if edge.kind == "depthwise" else groups_of(channels, lanes)
        total += max(0, last - first + 1) * width * groups
    return total


def tiling_options(
    network: QuantizedNetwork, name: str, stage: int, config: ChipConfig, override: tuple[int, int] | None = None
) -> list[Tiling]:
    """Every way to cut the input or layer ``name`` that fits, best first: fewest cores, bundles, channel tiles.

    ``override``: (row tiles, channel tiles) instead. Raises :class:`DoesNotFitError` that names layer, limit, needed
    and available where no cut fits.
    """
    shape, edges = network.shape_of(name), tuple[Edge, ...]()
    if name != INPUT:
        layer = network.layer(name)
        _check_layer(layer, network, config)
        edges = layer.edges
    else:
        _check_map(name, shape, config)
    groups = groups_of(shape[0], config.lanes)
    if override is not None:
        if not (1 <= override[0] <= shape[1] and 1 <= override[1] <= groups):
            raise DoesNotFitError(
                f"{name!r} cannot be cut into {override}: it has {shape[1]} rows, {groups} channel groups"
            )
        candidates = [override]
    else:
        rows, columns = min(shape[1], config.rows), min(groups, config.cols)
        candidates = [(r, c) for r in range(1, rows + 1) for c in range(1, columns + 1)]
    fitting: list[Tiling] = []
    refusal: DoesNotFitError | None = None
    for rows, columns in candidates:
        try:
            where = f"{name!r} cut into {rows} row x {columns} channel tile(s)"
            _limit(where, "mesh rows", rows, config.rows)
            _limit(where, "mesh columns", columns, config.cols)
            regions = _regions(shape, rows, columns, config.lanes)
            largest = regions[0][0]
            _limit(where, "neuron_words", largest.words, config.neuron_words, " per core")
            _limit(where, "group_words", largest.groups, config.group_words, " per core")
            needed = sum(weight_words_of(e, network.shape_of(e.source), largest.groups, config.lanes) for e in edges)
            _limit(where, "weight_words", needed, config.weight_words, " per core")
        except DoesNotFitError as error:
            refusal = error  # the last candidate is the finest cut, so its refusal is the one to report
            continue
        bundles = max(_received(r, edges, network, config.lanes) for row in regions for r in row)
        fitting.append(Tiling(name=name, shape=shape, stage=stage, regions=regions, bundles=bundles))
    if not fitting:
        assert refusal is not None
        raise refusal
    return sorted(fitting, key=lambda t: (t.cores, t.bundles, t.channel_tiles))
