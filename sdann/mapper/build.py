"""From an integer network to a program image: tiles, their places, routes and words."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hdl.config import ChipConfig
from hdl.pack import Bytes
from hdl.program import Memory, Readout, chunks_of
from sdann.check import check_network
from sdann.errors import DoesNotFitError, UnsupportedError
from sdann.graph import INPUT, QuantizedNetwork
from sdann.mapper.check import check_image
from sdann.mapper.image import FORMAT, READOUT_NAMES, VERSION, Coordinate, ProgramImage, checksums
from sdann.mapper.layer_words import core_words, readout_of
from sdann.mapper.manifest import CoreEntry, LayerEntry, Manifest, RegionEntry, Registers
from sdann.mapper.placement import place
from sdann.mapper.routing import routes_of
from sdann.mapper.tiling import groups_of, stages_of, tiling_options

__all__ = ["map_network", "network_hash"]


def network_hash(network: QuantizedNetwork) -> str:
    """SHA-256 (hex) of everything in the network that decides its integers (not its name or scales)."""
    digest = hashlib.sha256()
    head: list[Any] = [network.input_shape, network.input_signed, network.time_steps, network.membrane_bits]
    for layer in network.layers:
        edges = [(e.source, e.kind, e.stride, e.padding, e.shift, e.weight.shape) for e in layer.edges]
        scaled = (layer.scaled.mult1, layer.scaled.shift1) if layer.scaled else None
        fields = [layer.name, layer.shape, edges, layer.bias_mode, layer.lo, layer.hi, layer.signed]
        pool = (layer.pool.kernel, layer.pool.stride, layer.pool.padding) if layer.pool else None
        parts = [[(f.edge, f.channel0, f.channels) for f in part] for part in layer.parts]
        head.append([*fields, layer.rot, layer.drlo, layer.truncate, pool, layer.raw, parts, scaled])
        for array in (layer.mult, layer.shift, layer.bias, *(e.weight for e in layer.edges)):
            digest.update(array.astype("<i8").tobytes())
    digest.update(json.dumps(head).encode())
    return digest.hexdigest()


def map_network(
    network: QuantizedNetwork, config: ChipConfig, overrides: Mapping[str, tuple[int, int]] | None = None
) -> ProgramImage:
    """The program of ``network`` for a chip. ``overrides``: (row tiles, channel tiles) of the input or a layer by name.

    The same arguments give the same image. Raises :class:`DoesNotFitError` that names layer, limit, needed and
    available, :class:`UnsupportedError` for a graph that no chip of this kind runs, and
    :class:`sdann.errors.SdannError` for a faulty network.
    """
    check_network(network)
    overrides = dict(overrides or {})
    if unknown := sorted(set(overrides) - {INPUT, *(layer.name for layer in network.layers)}):
        raise DoesNotFitError(f"a tiling is given for {unknown[0]!r}, which is not in the network")
    if network.membrane_bits != config.membrane_bits:
        raise UnsupportedError(
            f"network {network.name!r} has membrane_bits {network.membrane_bits}, the chip has {config.membrane_bits}: "
            "quantize it for this chip"
        )
    if not 2 <= network.time_steps <= config.time_steps:
        raise DoesNotFitError(
            f"network {network.name!r} needs time_steps {network.time_steps}, the chip has 2..{config.time_steps}"
        )
    for layer in network.layers:
        if layer.pool is not None or layer.parts:
            raise UnsupportedError(f"layer {layer.name!r} is pooled or split over cores: assemble its image by hand")
    stages = stages_of(network)
    if max(stages.values()) > config.stages:
        raise DoesNotFitError(
            f"network {network.name!r} needs stages {max(stages.values())}, the chip has {config.stages}"
        )
    options = [tiling_options(network, name, stage, config, overrides.get(name)) for name, stage in stages.items()]
    links: dict[tuple[str, str], int] = {}
    for layer in network.layers:
        # not a set: the solver must see the same model in every run
        for source in dict.fromkeys(edge.source for edge in layer.edges):
            channels, height, width = network.shape_of(source)
            links[source, layer.name] = height * width * groups_of(channels, config.lanes)
    placed = place(options, links, config)

    memories: dict[Coordinate, dict[Memory, Bytes]] = {}
    cores: list[CoreEntry] = []
    layers: list[LayerEntry] = []
    readout = 0
    for name, item in placed.items():
        own, t = None if name == INPUT else network.layer(name), item.tiling
        signed, kind = own.signed if own else network.input_signed, readout_of(network, own, config)
        layers.append(LayerEntry(
            name=name, shape=t.shape, neurons=t.shape, stage=t.stage, signed=signed,
            readout=READOUT_NAMES[kind], scale=network.scales.get(name),
        ))  # fmt: skip
        consumers = [placed[other.name] for other in network.layers if any(e.source == name for e in other.edges)]
        for core, region in zip(item.cores, (r for row in t.regions for r in row), strict=True):
            routes = routes_of(network, item, region, consumers, config)
            held = RegionEntry(
                y0=region.y0, height=region.height, x0=0, width=region.width,
                channel0=region.group0 * config.lanes, channels=region.channels,
            )  # fmt: skip
            memories[core] = core_words(network, own, held, t.stage, routes, config)
            cores.append(CoreEntry(
                y=core[0], x=core[1], layer=name, stage=t.stage, region=held, checksums=checksums(memories[core]),
            ))  # fmt: skip
            if kind is not Readout.NONE:
                memory = Memory.ACT if kind is Readout.ACT else Memory.MEMBRANE
                readout += region.words * chunks_of(config, memory)
    if readout > config.readout_depth:
        raise DoesNotFitError(
            f"layer {network.layers[-1].name!r} needs readout_depth {readout} flits per sample, "
            f"the chip has {config.readout_depth}"
        )
    image = ProgramImage(
        Manifest(
            format=FORMAT, version=VERSION, chip=config.as_dict(), fingerprint=config.fingerprint, network=network.name,
            network_hash=network_hash(network), layers=layers, cores=cores,
            registers=Registers(STEPS=network.time_steps, STAGES=max(stages.values()), READOUT_FLITS=readout),
        ),
        memories,
    )  # fmt: skip
    check_image(image)
    return image
