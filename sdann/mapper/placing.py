"""A network, or what one pass computes of it, on given tiles: words and routes follow from the places."""

from collections.abc import Collection, Mapping, Sequence

from hdl.config import ChipConfig
from sdann.check import check_network
from sdann.errors import SdannError
from sdann.graph import INPUT, Layer, QuantizedNetwork
from sdann.mapper.feeds import Place, held, network_routes, stages_in
from sdann.mapper.hashing import network_hash
from sdann.mapper.image import READOUT_NAMES, Coordinate, ProgramImage
from sdann.mapper.layer_words import layer_core, readout_of, source_core
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.program import Program
from sdann.mapper.routing import RouteEntry
from sdann.mapper.words import CoreWords, Part

__all__ = ["Place", "place_network"]


def place_network(
    network: QuantizedNetwork, config: ChipConfig, places: Mapping[str, Sequence[Place]], *,
    sources: Collection[str] = (INPUT,), extents: Mapping[str, RegionEntry] | None = None, pass_number: int = 0,
    passes: int = 1, identity: str | None = None, checked: bool = True,
    routes: Mapping[Coordinate, Sequence[RouteEntry]] | None = None,
) -> ProgramImage:  # fmt: skip
    """The image of ``network`` with its input and layers (by name) in the given places.

    One pass of several: ``sources`` come from the host, the other layers of ``places`` are computed, and of those in
    ``extents`` only a part. ``identity``: the hash of the network that the user knows (this one's by default).
    ``routes``: of every core; those of :func:`sdann.mapper.feeds.network_routes` by default.

    Raises :class:`sdann.errors.SdannError` where places are missing or do not fit, and what the image checker raises.
    """
    check_network(network)
    extents = extents or {}
    names = [name for name in (INPUT, *(layer.name for layer in network.layers)) if name in places]
    if (passes == 1 and set(places) != {INPUT, *(layer.name for layer in network.layers)}) or len(names) != len(places):
        known = ", ".join((INPUT, *(layer.name for layer in network.layers)))
        raise SdannError(f"places are given for {', '.join(places)}; the network has {known}")
    names.sort(key=lambda name: name not in sources)  # what the host sends first
    program = Program(
        config, steps=network.time_steps, name=network.name, network_hash=identity or network_hash(network),
        pass_number=pass_number, passes=passes,
    )  # fmt: skip
    stages = stages_in(network, names, sources)
    cores: dict[Coordinate, CoreWords] = {}
    for name in names:
        layer = None if name in sources else network.layer(name)
        signed = network.input_signed if name == INPUT else network.layer(name).signed
        shape = network.shape_of(name)
        program.layer(
            name, layer.shape if layer else shape, stage=stages[name],
            signed=signed, pool=layer.pool if layer else None,
            readout=READOUT_NAMES[readout_of(network, layer, config)], scale=network.scales.get(name),
            extent=extents.get(name),
        )  # fmt: skip
        for place in places[name]:
            words = _core(network, name, layer, place, places[name], stages[name], config)
            cores[place.tile] = program.place(place.tile, name, words)
    if routes is None:
        routes = network_routes(network, places, sources, config)
    for tile, entries in routes.items():
        for entry in entries:
            (y0, y1), (x0, x1), (g0, g1) = entry.box
            log2, phase_y, phase_x = entry.kind.phase
            cores[tile].route(
                entry.dst, edge=entry.kind.edge, age=entry.kind.age,
                fields={
                    "y0": y0, "y1": y1, "x0": x0, "x1": x1, "group0": g0, "group1": g1,
                    "phase_log2": log2, "phase_y": phase_y, "phase_x": phase_x,
                },
            )  # fmt: skip
    return program.image(checked=checked)


def _core(
    network: QuantizedNetwork, name: str, layer: Layer | None, place: Place, others: Sequence[Place], stage: int,
    config: ChipConfig,
) -> CoreWords:  # fmt: skip
    region, outputs = held(network, name, layer, place)
    if layer is None:
        return source_core(network, name, outputs, config)
    part = None
    if place.part:
        target = [other.tile for other in others if other.where == place.where and other.part == 0]
        if not target:
            raise SdannError(f"part {place.part} in tile {place.tile}: no core of part 0 holds the same")
        part = Part(place.part, target[0])
    pooled = None if layer.pool is None or part else outputs
    return layer_core(network, layer, region, stage, config, pooled=pooled, part=part, fan_in=layer.split[place.part])
