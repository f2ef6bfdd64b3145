"""Who reads what of whom: cores in places, and the route entries that follow."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hdl.config import ChipConfig
from sdann.errors import SdannError
from sdann.graph import INPUT, Layer, QuantizedNetwork
from sdann.mapper.geometry import Span, groups_of, needed_span, pooled_neurons
from sdann.mapper.image import Coordinate
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.routing import Kind, Need, RouteEntry, routes_of

__all__ = ["Place", "held", "network_routes", "stages_in"]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A core in ``tile`` (y, x) with the activations ``rows``, ``columns``, ``channels`` (first, count; None: all).

    ``part``: which of the layer's parts it sums (an index into ``Layer.parts``); part 0 adds up and requantizes, part p
    sends its sums in phase p.
    """

    tile: Coordinate
    rows: Span | None = None
    columns: Span | None = None
    channels: Span | None = None
    part: int = 0

    @property
    def where(self) -> tuple[Span | None, Span | None, Span | None]:
        """What it holds."""
        return self.rows, self.columns, self.channels


def held(network: QuantizedNetwork, name: str, layer: Layer | None, place: Place) -> tuple[RegionEntry, RegionEntry]:
    """The neurons and the activations that a core in ``place`` holds. ``layer``: None for what the host sends."""
    shape = network.shape_of(name)
    rows, columns, channels = (
        span or (0, size) for span, size in zip(place.where, (*shape[1:], shape[0]), strict=True)
    )
    outputs = RegionEntry(
        y0=rows[0], height=rows[1], x0=columns[0], width=columns[1], channel0=channels[0], channels=channels[1]
    )
    if layer is None or layer.pool is None:
        return outputs, outputs
    y, x = (pooled_neurons(s, n, layer.pool) for s, n in zip((rows, columns), layer.shape[1:], strict=True))
    return outputs.model_copy(update={"y0": y[0], "height": y[1], "x0": x[0], "width": x[1]}), outputs


def stages_in(network: QuantizedNetwork, names: Sequence[str], sources: Collection[str]) -> dict[str, int]:
    """Pipeline stages of ``names`` (in graph order): 0 for ``sources``, else one more than the sources of its edges.

    Raises :class:`SdannError` where one of those is missing.
    """
    stages: dict[str, int] = {name: 0 for name in names if name in sources}
    for name in names:
        if name in sources:
            continue
        edges = network.layer(name).edges
        if missing := [edge.source for edge in edges if edge.source not in stages]:
            raise SdannError(f"layer {name!r} reads {missing[0]!r}, for which no places are given")
        stages[name] = 1 + max(stages[edge.source] for edge in edges)
    return stages


@dataclass(frozen=True)
class _Reads:
    """What each core of a layer reads of one source: ``ends`` int64 [cores, 6], first and last row, column, group."""

    kind: Kind
    tiles: list[Coordinate]
    ends: npt.NDArray[np.int64]


def _reads(network: QuantizedNetwork, name: str, stages: Mapping[str, int], layer: Layer, places: Sequence[Place],
           lanes: int) -> list[_Reads]:  # fmt: skip
    shape = network.shape_of(name)
    found: dict[Kind, tuple[list[Coordinate], list[tuple[int, ...]]]] = {}
    for place in places:
        r, _ = held(network, layer.name, layer, place)
        for number, some in enumerate(layer.split[place.part]):
            edge = layer.edges[some.edge]
            if edge.source != name:
                continue
            low, high = some.channel0 // lanes, (some.channel0 + some.channels - 1) // lanes
            if edge.kind == "depthwise":
                low = max(low, r.channel0 // lanes)
                high = min(high, (r.channel0 + r.channels - 1) // lanes)
            # a strided 1 x 1 kernel reads one position of stride x stride
            log2 = edge.stride.bit_length() - 1 if edge.weight.shape[2:] == (1, 1) else 0
            phase = -edge.padding % (1 << log2)
            kind = Kind(
                layer=layer.name, edge=number, age=stages[layer.name] - stages[name] - 1, phase=(log2, phase, phase)
            )
            tiles, ends = found.setdefault(kind, ([], []))
            tiles.append(place.tile)
            ends.append((
                *needed_span(r.y0, r.y0 + r.height - 1, edge, 0, shape[1]),
                *needed_span(r.x0, r.x0 + r.width - 1, edge, 1, shape[2]), low, high,
            ))  # fmt: skip
    return [_Reads(kind, tiles, np.array(ends)) for kind, (tiles, ends) in found.items()]


def network_routes(
    network: QuantizedNetwork, places: Mapping[str, Sequence[Place]], sources: Collection[str], config: ChipConfig,
    wanted: Callable[[str, RegionEntry], int | None] = lambda name, held: None,
) -> dict[Coordinate, list[RouteEntry]]:  # fmt: skip
    """The route entries of every core in ``places``: to each core that needs it, together where tiles make a rectangle.

    ``wanted``: entries that a core with such activations of a layer should not have more of, see
    :func:`sdann.mapper.routing.routes_of`.
    Raises :class:`sdann.errors.DoesNotFitError` where a core needs more than the chip has.
    """
    names = [name for name in (INPUT, *(layer.name for layer in network.layers)) if name in places]
    stages, lanes = stages_in(network, names, sources), config.lanes
    found: dict[Coordinate, list[RouteEntry]] = {}
    for name in names:
        layer = None if name in sources else network.layer(name)
        reads = [
            some
            for other in names
            if other not in sources
            for some in _reads(network, name, stages, network.layer(other), places[other], lanes)
        ]
        takes = {
            some.kind: {
                tile: (int(low), int(high))
                for tile, (low, high) in zip(some.tiles, some.ends[:, 4:].tolist(), strict=True)
            }
            for some in reads
        }
        for place in places[name]:
            if place.part:
                continue
            own = held(network, name, layer, place)[1]
            group0 = own.channel0 // lanes
            first = np.array([own.y0, own.x0, group0])
            last = first + np.array([own.height, own.width, groups_of(own.channels, lanes)]) - 1
            needs = []
            for some in reads:
                low, high = np.maximum(some.ends[:, 0::2], first), np.minimum(some.ends[:, 1::2], last)
                for index in np.flatnonzero((low <= high).all(axis=1)).tolist():
                    (y0, x0, g0), (y1, x1, g1) = low[index].tolist(), high[index].tolist()
                    needs.append(Need(kind=some.kind, tile=some.tiles[index], box=((y0, y1), (x0, x1), (g0, g1))))
            words = own.height * own.width * groups_of(own.channels, lanes)
            found[place.tile] = routes_of(name, words, needs, takes, config.routes, wanted(name, own))
    return found
