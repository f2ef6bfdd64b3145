"""How good a mapping is: fill of the memories, balance and traffic, beside lower bounds and a mapping made by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sdann.errors import DoesNotFitError
from sdann.graph import Layer, QuantizedNetwork
from sdann.mapper.build import MappedPass, NetworkMap, pass_on_tiles, with_parts
from sdann.mapper.feeds import Place, held, stages_in
from sdann.mapper.geometry import groups_of, split_evenly, weight_words_of
from sdann.mapper.grids import Grid, Piece
from sdann.mapper.image import Coordinate
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.placement import Block, row_placement
from sdann.mapper.traffic import Traffic
from sdann.mapper.work import Floats, Spikes, layer_work

__all__ = ["Balance", "LayerFit", "PassFit", "assess", "naive_pass", "piece_sops"]


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Synaptic operations per sample of the cores that have any to do: the busiest's and the mean."""

    busiest: float
    mean: float

    @property
    def ratio(self) -> float:
        """Busiest over mean; 1 is the least that any balance can reach."""
        return self.busiest / self.mean if self.mean else 1.0


@dataclass(frozen=True, kw_only=True)
class LayerFit:
    """One layer, or what the host sends, in one pass.

    ``used``: (used, available) of the fullest core by limit. ``sops``: per sample, all cores. ``load``: estimated
    cycles per window of the busiest core. ``binds``: the limit that is closest to full.
    """

    layer: str
    source: bool
    stage: int
    rows: int
    columns: int
    channels: int
    parts: int
    cores: int
    used: Mapping[str, tuple[int, int]]
    sops: float
    balance: Balance
    load: float

    @property
    def binds(self) -> str:
        """The limit of which the largest share is used."""
        return max(self.used, key=lambda name: self.used[name][0] / max(1, self.used[name][1]))


@dataclass(frozen=True, kw_only=True)
class PassFit:
    """``naive``: traffic of as many, but equal tiles, row by row; None where the routes do not suffice for that.

    ``naive_balance``: of the fewest cores for each layer, in equal tiles. ``window``: estimated cycles of its busiest
    core. ``sops``: per sample, of each core.
    """

    number: int
    cores: int
    available: int
    method: str
    layers: tuple[LayerFit, ...]
    balance: Balance
    traffic: Traffic
    naive: Traffic | None
    naive_balance: Balance
    window: float
    sops: Mapping[Coordinate, float]


def piece_sops(network: QuantizedNetwork, layer: Layer, grid: Grid, spikes: Spikes) -> list[float]:
    """Synaptic operations per sample of each piece of a layer's grid."""
    tables: list[Floats] = []
    for part in layer.split:
        work = layer_work(network, layer, spikes, part)
        tables.append(np.pad(work.cumsum(axis=0).cumsum(axis=1).cumsum(axis=2), ((1, 0), (1, 0), (1, 0))))
    found = []
    for piece in grid.pieces:
        place = _place(piece)
        region, _ = held(network, layer.name, layer, place)
        table, lanes = tables[piece.part], spikes.lanes
        g = (region.channel0 // lanes, groups_of(region.channel0 + region.channels, lanes))
        y, x = (region.y0, region.y0 + region.height), (region.x0, region.x0 + region.width)
        corners = table[np.ix_(g, y, x)]
        found.append(float(np.diff(np.diff(np.diff(corners, axis=0), axis=1), axis=2)[0, 0, 0]))
    return found


def _place(piece: Piece) -> Place:
    return Place(tile=(0, 0), rows=piece.rows, columns=piece.columns, channels=piece.channels, part=piece.part)


def _balance(sops: Sequence[float]) -> Balance:
    working = [value for value in sops if value > 0]
    return Balance(busiest=max(working, default=0.0), mean=sum(working) / len(working) if working else 0.0)


def _equal(grid: Grid, extent: RegionEntry) -> Grid:
    """The grid with as many rows and columns in equal parts; of boxes that are no grid, rows in about equal parts."""
    down, across = len(grid.rows), len(grid.columns)
    if down * across != len(grid.boxes):
        down, across = _about_square(len(grid.boxes), extent)
    rows, columns = split_evenly(extent.y0, extent.height, down), split_evenly(extent.x0, extent.width, across)
    return replace(grid, boxes=tuple((r, c) for r in rows for c in columns))


def _about_square(count: int, extent: RegionEntry) -> tuple[int, int]:
    """Rows and columns of the equal grid with the most pieces, ``count`` at most."""
    options = [
        (rows * columns, -abs(rows - columns), rows, columns)
        for rows in range(1, min(count, extent.height) + 1)
        for columns in [min(extent.width, count // rows)]
    ]
    return max(options)[2:]


def naive_pass(mapped: NetworkMap, one: MappedPass) -> MappedPass | None:
    """As many tiles of each layer, but equal ones, one row of them after the other; None where routes run out."""
    grids = {name: _equal(one.grids[name], extent) for name, extent in one.frame.extents.items()}
    blocks = [Block(name, grid.cores, grid.inner) for name, grid in grids.items()]
    network = with_parts(mapped.relayed, grids, one.frame)
    try:
        tiles = row_placement(blocks, mapped.config)
        return pass_on_tiles(network, one.frame, grids, tiles, mapped.config, mapped.spikes, "naive")
    except DoesNotFitError:
        return None


def _naive_balance(mapped: NetworkMap, one: MappedPass) -> Balance:
    """Of the fewest cores for each layer, in equal tiles."""
    network = with_parts(mapped.relayed, one.least, one.frame)
    sops: list[float] = []
    for name in one.frame.layers:
        sops += piece_sops(network, network.layer(name), _equal(one.least[name], one.frame.layers[name]), mapped.spikes)
    return _balance(sops)


def _sops(one: MappedPass, spikes: Spikes) -> dict[Coordinate, float]:
    """Of each core that computes."""
    found: dict[Coordinate, float] = {}
    for name in one.frame.layers:
        work = piece_sops(one.network, one.network.layer(name), one.grids[name], spikes)
        found |= dict(zip(one.tiles[name], work, strict=True))
    return found


def _used(mapped: NetworkMap, one: MappedPass, name: str, slots: int) -> dict[str, tuple[int, int]]:
    """(used, available) of the fullest of the layer's cores."""
    config, network, grid = mapped.config, one.network, one.grids[name]
    layer = network.layer(name) if name in one.frame.layers else None
    lanes = config.lanes
    neurons = ring = weights = edges = groups = routes = 0
    for place in one.places[name]:
        region, outputs = held(network, name, layer, place)
        own = groups_of(region.channels, lanes)
        groups = max(groups, own)
        neurons = max(neurons, region.height * region.width * own)
        ring = max(ring, slots * outputs.height * outputs.width * own)
        routes = max(routes, len(one.routes.get(place.tile, ())))
        if layer is not None:
            part = layer.split[place.part]
            edges = max(edges, len(part))
            needed = sum(weight_words_of(layer.edges[some.edge], some.channels, own, lanes) for some in part)
            weights = max(weights, needed)
    return {
        "neuron_words": (neurons, config.neuron_words), "act_words": (ring, config.act_words),
        "weight_words": (weights, config.weight_words), "group_words": (groups, config.group_words),
        "edges": (edges, config.edges), "routes": (routes, config.routes),
        "parts": (max(1, len(grid.parts)), config.parts),
    }  # fmt: skip


def assess(mapped: NetworkMap, number: int) -> PassFit:
    """Figures of one pass. They are estimates where the spikes are (:attr:`sdann.mapper.work.Spikes.samples` is 0)."""
    one = mapped.passes[number]
    stages = stages_in(mapped.relayed, list(one.frame.extents), set(one.frame.sources))
    slots = dict.fromkeys(stages, 2)
    for name in one.frame.layers:
        for edge in mapped.relayed.layer(name).edges:
            slots[edge.source] = max(slots[edge.source], stages[name] - stages[edge.source] + 1)
    sops = _sops(one, mapped.spikes)
    rows = []
    for name, grid in one.grids.items():
        own = [sops.get(tile, 0.0) for tile in one.tiles[name]]
        rows.append(LayerFit(
            layer=name, source=name in one.frame.sources, stage=stages[name], rows=len(grid.rows),
            columns=len(grid.columns), channels=len(grid.channels), parts=max(1, len(grid.parts)), cores=grid.cores,
            used=_used(mapped, one, name, slots[name]), sops=sum(own), balance=_balance(own), load=grid.load,
        ))  # fmt: skip
    naive = naive_pass(mapped, one)
    return PassFit(
        number=number, cores=one.cores, available=len(mapped.config.cores), method=one.method, layers=tuple(rows),
        balance=_balance(list(sops.values())), traffic=one.traffic, naive=naive.traffic if naive else None,
        naive_balance=_naive_balance(mapped, one),
        window=max(grid.load for grid in one.grids.values()), sops=sops,
    )  # fmt: skip
