"""Chip, registers, layers and the regions of their cores."""

from itertools import combinations

from hdl.config import ChipConfig, ConfigError
from sdann.graph import INPUT
from sdann.mapper.check.decoded import Decoded, ImageError, need
from sdann.mapper.geometry import groups_of
from sdann.mapper.image import ProgramImage
from sdann.mapper.manifest import LayerEntry
from sdann.mapper.samples import readout_flits

__all__ = ["check_chip", "check_layers", "check_output"]


def check_chip(image: ProgramImage) -> None:
    """The configuration, and the registers against it."""
    manifest = image.manifest
    try:
        config = ChipConfig.from_dict(manifest.chip)
    except ConfigError as error:
        raise ImageError(f"chip configuration: {error}") from None
    found = manifest.fingerprint
    need(
        found == config.fingerprint,
        f"chip fingerprint is {found:#010x}, the configuration's is {config.fingerprint:#010x}",
    )
    registers = manifest.registers
    need(2 <= registers.STEPS <= config.time_steps, f"STEPS {registers.STEPS} is not in 2..{config.time_steps}")
    deepest = max(layer.stage for layer in manifest.layers)
    need(
        registers.STAGES == deepest <= config.stages,
        f"STAGES {registers.STAGES}, layers reach {deepest}, chip {config.stages}",
    )
    last = max((core.part for core in manifest.cores), default=0)
    need(
        registers.PARTS == last < config.parts,
        f"PARTS {registers.PARTS}, the cores' last part is {last}, chip {config.parts - 1}",
    )


def check_layers(image: ProgramImage) -> None:
    """Names, shapes and stages of the layers, and that their cores cover each output map exactly once."""
    layers, config = image.manifest.layers, image.config
    names = [layer.name for layer in layers]
    need(len(set(names)) == len(names), "two layers have the same name")
    last, number, passes = layers[-1], image.manifest.pass_number, image.manifest.passes
    need(number < passes, f"pass {number} of {passes}: passes count from 0")
    need(layers[0].stage == 0, f"layer {layers[0].name!r} is the first one, but in stage {layers[0].stage}, not 0")
    need(number > 0 or layers[0].name == INPUT, "the first layer of the first pass must be the input, in stage 0")
    need(number + 1 < passes or last.readout != "none", f"layer {last.name!r} is the last one, but has no read-out")
    need(
        last.readout == "none" or last.stage == image.manifest.registers.STAGES,
        f"layer {last.name!r} is read out in stage {last.stage}, the last stage is {image.manifest.registers.STAGES}",
    )
    need(len(image.cores) == len(image.manifest.cores), "two entries claim the same core")
    need(set(image.cores) == set(image.memories), "cores with an entry and cores with memory words differ")
    for core, entry in image.cores.items():
        where = f"core {core} ({entry.layer})"
        need(
            core in config.cores, f"{where}: not a core of the {config.rows}x{config.cols} mesh ((0, 0) is the host's)"
        )
        need(entry.layer in names, f"{where}: unknown layer")
    for layer in layers:
        name = f"layer {layer.name!r}"
        need(layer.name != INPUT or layer.stage == 0, f"{name}: the input is in stage {layer.stage}, not 0")
        need(
            layer.stage > 0 or number > 0 or layer.name == INPUT,
            f"{name}: in stage 0, but only a later pass can get it from the host",
        )
        need(
            layer.stage > 0 or layer.shape == layer.neurons,
            f"{name}: comes from the host in shape {layer.shape}, its neurons have {layer.neurons}",
        )
        need(layer is last or layer.readout == "none", f"{name}: only the last layer is read out")
        need(layer.stage > 0 or layer.readout == "none", f"{name}: comes from the host, and is read out")
        need(
            layer.name == INPUT or layer is last or not layer.signed,
            f"{name}: only the input and the last layer may be signed",
        )
        need(layer.held.inside(layer.shape), f"{name}: extent outside the map {layer.shape}")
        for shape in (layer.shape, layer.neurons):
            need(min(shape) >= 1, f"{name}: empty shape {shape}")
            need(max(shape[1:]) <= config.map_side, f"{name}: shape {shape} exceeds map_side {config.map_side}")
            groups = groups_of(shape[0], config.lanes)
            need(groups <= config.map_groups, f"{name}: {groups} channel groups exceed map_groups {config.map_groups}")
        _check_regions(image, layer)


def _check_regions(image: ProgramImage, layer: LayerEntry) -> None:
    name, lanes = f"layer {layer.name!r}", image.config.lanes
    cores = image.cores_of(layer.name)
    for core in cores:
        where = f"core {core.y, core.x} ({layer.name})"
        need(core.stage == layer.stage, f"{where}: stage is {core.stage}, its layer has {layer.stage}")
        need(core.region.inside(layer.neurons), f"{where}: region outside the layer's neurons {layer.neurons}")
        need(core.outputs.inside(layer.shape) or core.part > 0, f"{where}: outputs outside the map {layer.shape}")
        need(core.part > 0 or core.outputs.within(layer.held), f"{where}: outputs outside what the program is to hold")
        need(core.part == 0 or core.pooled is None, f"{where}: a part has no activations, but pooled ones are given")
        for region in (core.region, core.outputs):
            need(region.channel0 % lanes == 0, f"{where}: region starts inside a channel group")
        whole = (core.region.channel0 + core.region.channels) % lanes == 0
        ends = core.region.channel0 + core.region.channels == layer.neurons[0]
        need(whole or ends, f"{where}: region ends inside a channel group")
    holders = image.holders(layer.name)
    need(bool(holders), f"{name}: no core holds it")
    need(len({core.pooled is None for core in holders}) == 1, f"{name}: some of its cores pool, others do not")
    need(
        holders[0].pooled is not None or layer.neurons == layer.shape,
        f"{name}: not pooled, but its neurons have shape {layer.neurons}, its activations {layer.shape}",
    )
    for one, other in combinations(holders, 2):
        need(
            not one.outputs.overlaps(other.outputs),
            f"cores {one.y, one.x} and {other.y, other.x} ({layer.name}) hold the same neurons",
        )
    size, seen = layer.held.size, sum(core.outputs.size for core in holders)
    need(seen == size, f"{name}: cores hold {seen} of {size} neurons")


def check_output(decoded: Decoded) -> None:
    """READOUT_FLITS against what the cores send."""
    config, flits = decoded.config, readout_flits(decoded.image)
    found = decoded.image.manifest.registers.READOUT_FLITS
    need(found == flits, f"READOUT_FLITS is {found}, the cores send {flits}")
    need(flits <= config.readout_depth, f"{flits} read-out flits exceed readout_depth {config.readout_depth}")
