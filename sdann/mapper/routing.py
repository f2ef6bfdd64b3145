"""Which bundles of a core go to which rectangle of cores: its route entries."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from hdl.config import ChipConfig
from sdann.errors import DoesNotFitError
from sdann.graph import Edge, QuantizedNetwork
from sdann.mapper.placement import Placed
from sdann.mapper.tiling import Region, needed_span

__all__ = ["RouteEntry", "routes_of"]


@dataclass(frozen=True, kw_only=True)
class RouteEntry:
    """Map rows ``y``, columns ``x`` and channel groups ``group`` (first, last) go to mesh rows and columns."""

    y: tuple[int, int]
    x: tuple[int, int]
    group: tuple[int, int]
    edge: int
    mesh_y: tuple[int, int]
    mesh_x: tuple[int, int]


def _row_ranges(region: Region, edge: Edge, consumer: Placed, height: int) -> list[tuple[int, int, int, int]]:
    """(first row, last row, first row tile, last row tile) for every run of rows that the same row tiles need."""
    spans = [needed_span(row[0].y0, row[0].y0 + row[0].height - 1, edge, 0, height) for row in consumer.tiling.regions]
    ranges: list[tuple[int, int, int, int]] = []
    for y in region.rows:
        tiles = [r for r, (first, last) in enumerate(spans) if first <= y <= last]
        if not tiles:
            continue
        # row tiles follow each other, so the tiles that need one row are neighbours
        previous = ranges[-1] if ranges else None
        if previous and previous[1] == y - 1 and previous[2:] == (tiles[0], tiles[-1]):
            ranges[-1] = (previous[0], y, tiles[0], tiles[-1])
        else:
            ranges.append((y, y, tiles[0], tiles[-1]))
    return ranges


def _column_ranges(region: Region, edge: Edge, consumer: Placed) -> list[tuple[int, int, int, int]]:
    """(first group, last group, first channel tile, last channel tile): all groups to all tiles, or each to its own."""
    last = region.group0 + region.groups - 1
    if edge.kind != "depthwise":
        return [(region.group0, last, 0, consumer.tiling.channel_tiles - 1)]
    ranges = []
    for c, other in enumerate(consumer.tiling.regions[0]):
        first, final = max(region.group0, other.group0), min(last, other.group0 + other.groups - 1)
        if first <= final:  # a bundle of another tile's channels would be rejected there
            ranges.append((first, final, c, c))
    return ranges


def _merge_one(entries: list[RouteEntry]) -> bool:
    """Joins the two neighbouring row ranges that cost the fewest needless deliveries; False where there are none."""
    best: tuple[int, int] | None = None
    for i, (a, b) in enumerate(pairwise(entries)):
        if (a.edge, a.mesh_x, a.group, a.x) != (b.edge, b.mesh_x, b.group, b.x):
            continue
        tiles = max(a.mesh_y[1], b.mesh_y[1]) - min(a.mesh_y[0], b.mesh_y[0]) + 1
        useful = sum((e.y[1] - e.y[0] + 1) * (e.mesh_y[1] - e.mesh_y[0] + 1) for e in (a, b))
        cost = (b.y[1] - a.y[0] + 1) * tiles - useful
        if best is None or cost < best[0]:
            best = (cost, i)
    if best is None:
        return False
    a, b = entries[best[1]], entries[best[1] + 1]
    mesh_y = min(a.mesh_y[0], b.mesh_y[0]), max(a.mesh_y[1], b.mesh_y[1])
    entries[best[1] : best[1] + 2] = [replace(a, y=(a.y[0], b.y[1]), mesh_y=mesh_y)]
    return True


def routes_of(
    network: QuantizedNetwork, producer: Placed, region: Region, consumers: Sequence[Placed], config: ChipConfig
) -> list[RouteEntry]:
    """Route entries of the core of ``producer`` that holds ``region``, for all layers ``consumers``.

    Exact where the entries suffice: a bundle goes to the tiles that need its row (halo included) and no others. Else
    neighbouring row ranges are joined (a bundle that hits no neuron is harmless). Raises :class:`DoesNotFitError`
    where even that needs more entries than the chip has.
    """
    name, (_, height, width) = producer.tiling.name, producer.tiling.shape
    entries: list[RouteEntry] = []
    for consumer in consumers:
        layer = network.layer(consumer.tiling.name)
        for number, edge in enumerate(layer.edges):
            if edge.source != name:
                continue
            columns = needed_span(0, layer.shape[2] - 1, edge, 1, width)
            if columns[0] > columns[1]:  # the layer reads padding only
                continue
            for group0, group1, c0, c1 in _column_ranges(region, edge, consumer):
                for y0, y1, r0, r1 in _row_ranges(region, edge, consumer, height):
                    entries.append(RouteEntry(
                        y=(y0, y1), x=columns, group=(group0, group1), edge=number,
                        mesh_y=(consumer.y + r0, consumer.y + r1), mesh_x=(consumer.x + c0, consumer.x + c1),
                    ))  # fmt: skip
    needed = len(entries)
    while len(entries) > config.routes:
        if not _merge_one(entries):
            raise DoesNotFitError(
                f"{name!r} needs routes {needed} per core ({len(entries)} with joined rows), "
                f"the chip has {config.routes}: use fewer channel tiles or more route entries"
            )
    return entries
