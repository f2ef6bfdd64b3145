"""A network on tiles that one chooses by hand: words and routes follow from the places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hdl.config import ChipConfig
from sdann.assembler.program import Program, Span, pooled_neurons
from sdann.check import check_network
from sdann.errors import SdannError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.mapper.build import network_hash
from sdann.mapper.image import READOUT_NAMES, Coordinate, ProgramImage
from sdann.mapper.layer_words import layer_core, readout_of
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.tiling import groups_of
from sdann.mapper.words import CoreWords, Part

__all__ = ["Place", "place_network"]


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


@dataclass(frozen=True)
class _Placed:
    place: Place
    words: CoreWords
    outputs: RegionEntry


def place_network(
    network: QuantizedNetwork, config: ChipConfig, places: Mapping[str, Sequence[Place]], *, checked: bool = True
) -> ProgramImage:
    """The image of ``network`` with its input and layers (by name) in the given places.

    Raises :class:`sdann.errors.SdannError` where places are missing or do not fit, and what the image checker raises.
    """
    check_network(network)
    names = [INPUT, *(layer.name for layer in network.layers)]
    if set(places) != set(names):
        raise SdannError(f"places are given for {', '.join(places)}; the network has {', '.join(names)}")
    program = Program(config, steps=network.time_steps, name=network.name, network_hash=network_hash(network))
    stages = {INPUT: 0}
    placed: dict[str, list[_Placed]] = {}
    for name in names:
        layer = None if name == INPUT else network.layer(name)
        if layer is not None:
            stages[name] = 1 + max(stages[edge.source] for edge in layer.edges)
        program.layer(
            name, layer.shape if layer else network.input_shape, stage=stages[name],
            signed=layer.signed if layer else network.input_signed, pool=layer.pool if layer else None,
            readout=READOUT_NAMES[readout_of(network, layer, config)], scale=network.scales.get(name),
        )  # fmt: skip
        placed[name] = []
        for place in places[name]:
            words, outputs = _core(network, layer, place, places[name], stages[name], config)
            program.place(place.tile, name, words)
            placed[name].append(_Placed(place, words, outputs))
    for name in names:
        _route(network, name, stages, placed)
    return program.image(checked=checked)


def _core(
    network: QuantizedNetwork, layer: Layer | None, place: Place, others: Sequence[Place], stage: int,
    config: ChipConfig,
) -> tuple[CoreWords, RegionEntry]:  # fmt: skip
    shape = network.input_shape if layer is None else layer.output_shape
    rows, columns, channels = (
        span or (0, size) for span, size in zip(place.where, (*shape[1:], shape[0]), strict=True)
    )
    outputs = RegionEntry(
        y0=rows[0], height=rows[1], x0=columns[0], width=columns[1], channel0=channels[0], channels=channels[1]
    )
    region, pooled, part = outputs, None, None
    if layer is not None and layer.pool is not None:
        y, x = (pooled_neurons(s, n, layer.pool) for s, n in zip((rows, columns), layer.shape[1:], strict=True))
        region = outputs.model_copy(update={"y0": y[0], "height": y[1], "x0": x[0], "width": x[1]})
        pooled = None if place.part else outputs
    if place.part:
        target = [other.tile for other in others if other.where == place.where and other.part == 0]
        if not target:
            raise SdannError(f"part {place.part} in tile {place.tile}: no core of part 0 holds the same")
        part = Part(place.part, target[0])
    if layer is None:
        return layer_core(network, None, region, stage, config), outputs
    words = layer_core(network, layer, region, stage, config, pooled=pooled, part=part, fan_in=layer.split[place.part])
    return words, outputs


def _needed(span: Span, edge: Edge, axis: int, size: int) -> Span:
    """First and last source row (``axis`` 0) or column (1) that the neurons ``span`` (first, count) read."""
    first = span[0] * edge.stride - edge.padding
    last = (span[0] + span[1] - 1) * edge.stride - edge.padding + edge.weight.shape[2 + axis] - 1
    return max(0, first), min(size - 1, last)


def _route(
    network: QuantizedNetwork, name: str, stages: Mapping[str, int], placed: Mapping[str, Sequence[_Placed]]
) -> None:
    """Adds the routes of every core of ``name``: to each core that needs it, together where tiles make a rectangle."""
    for source in placed[name]:
        if source.place.part:
            continue
        own, lanes = source.outputs, source.words.config.lanes
        group0 = own.channel0 // lanes
        bounds = (
            (own.y0, own.y0 + own.height - 1), (own.x0, own.x0 + own.width - 1),
            (group0, group0 + groups_of(own.channels, lanes) - 1),
        )  # fmt: skip
        found: dict[tuple[int, ...], list[Coordinate]] = {}
        for layer in network.layers:
            for target in placed[layer.name]:
                for number, some in enumerate(layer.split[target.place.part]):
                    edge, r = layer.edges[some.edge], target.words.region
                    if edge.source != name:
                        continue
                    shape = network.shape_of(name)
                    low, high = some.channel0 // lanes, (some.channel0 + some.channels - 1) // lanes
                    if edge.kind == "depthwise":
                        low = max(low, r.channel0 // lanes)
                        high = min(high, (r.channel0 + r.channels - 1) // lanes)
                    needs = (
                        _needed((r.y0, r.height), edge, 0, shape[1]), _needed((r.x0, r.width), edge, 1, shape[2]),
                        (low, high),
                    )  # fmt: skip
                    spans = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(needs, bounds, strict=True)]
                    if any(a > b for a, b in spans):
                        continue
                    # a strided 1 x 1 kernel reads one position of stride x stride
                    log2 = edge.stride.bit_length() - 1 if edge.weight.shape[2:] == (1, 1) else 0
                    key = (
                        number, stages[layer.name] - stages[name] - 1, log2, -edge.padding % (1 << log2),
                        *(end for span in spans for end in span),
                    )  # fmt: skip
                    found.setdefault(key, []).append(target.place.tile)
        for key, tiles in found.items():
            number, age, log2, phase, y0, y1, x0, x1, g0, g1 = key
            fields = {
                "y0": y0, "y1": y1, "x0": x0, "x1": x1, "group0": g0, "group1": g1, "phase_log2": log2,
                "phase_y": phase, "phase_x": phase,
            }  # fmt: skip
            for rectangle in _rectangles(tiles):
                source.words.route(rectangle, edge=number, age=age, fields=fields)


def _rectangles(tiles: Sequence[Coordinate]) -> list[tuple[int, int, int, int]]:
    """(y0, y1, x0, x1) of one rectangle where the tiles fill it, else of each tile."""
    ys, xs = [y for y, _ in tiles], [x for _, x in tiles]
    y0, y1, x0, x1 = min(ys), max(ys), min(xs), max(xs)
    if (y1 - y0 + 1) * (x1 - x0 + 1) == len(tiles):
        return [(y0, y1, x0, x1)]
    return [(y, y, x, x) for y, x in tiles]
