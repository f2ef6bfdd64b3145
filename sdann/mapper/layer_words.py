"""From the graph's fields to a core's words: what one core of a layer, or of the input, is to do."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hdl.config import ChipConfig
from hdl.program import Readout
from sdann.graph import INPUT, Edge, FanIn, Layer, QuantizedNetwork
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.words import CoreWords, Part

__all__ = ["layer_core", "readout_of", "source_core"]


def readout_of(network: QuantizedNetwork, layer: Layer | None, config: ChipConfig) -> Readout:
    """What a layer's cores send to the host; None stands for the input."""
    if layer is None or layer is not network.layers[-1]:
        return Readout.NONE
    half = 1 << (config.act_bits - 1)
    fits = -half <= layer.lo and layer.hi < half if layer.signed else layer.hi < 2 * half
    return Readout.RAW if layer.raw else Readout.ACT if fits else Readout.WIDE


def _of_part(edge: Edge, channel0: int, channels: int) -> Edge:
    """The edge without the source channels that another part takes; a depthwise one keeps its shape, with zeros."""
    if edge.kind != "depthwise":
        return replace(edge, weight=edge.weight[:, channel0 : channel0 + channels])
    inside = (np.arange(len(edge.weight)) >= channel0) & (np.arange(len(edge.weight)) < channel0 + channels)
    return replace(edge, weight=np.where(inside[:, None, None, None], edge.weight, 0))


def source_core(network: QuantizedNetwork, name: str, region: RegionEntry, config: ChipConfig) -> CoreWords:
    """A core without its routes: the activations ``region`` of what the host sends."""
    return CoreWords(config, region=region, stage=0, where=name, fields={"hi": (1 << network.time_steps) - 1})


def layer_core(
    network: QuantizedNetwork,
    layer: Layer,
    region: RegionEntry,
    stage: int,
    config: ChipConfig,
    *,
    pooled: RegionEntry | None = None,
    part: Part | None = None,
    fan_in: Sequence[FanIn] | None = None,
) -> CoreWords:
    """A core without its routes: the neurons ``region`` of ``layer``.

    ``pooled``: the region of activations, of a pooled layer. ``fan_in``: the source channels that this core sums (None:
    all), in the order of its edges. ``part``: set for the cores that send their sums to another one.
    """
    scaled = layer.scaled
    if scaled is not None and scaled.shift1 == 0 and scaled.mult1 == 1:
        scaled = None  # s_1 = 1 is the exact mode
    core = CoreWords(
        config, region=region, stage=stage, where=layer.name, pool=None if part else layer.pool, pooled=pooled,
        part=part,
        fields={
            "scaled": int(scaled is not None), "mult1": scaled.mult1 if scaled else 0,
            "shift1": scaled.shift1 if scaled else 0, "bias_in_sum": int(layer.bias_mode == "sum"),
            "lo": 0 if layer.raw else layer.lo, "hi": 0 if layer.raw else layer.hi,
            "rot": layer.rot or layer.truncate, "truncate": int(layer.truncate > 0), "drlo": layer.drlo,
            "readout": Readout.NONE.value if part else readout_of(network, layer, config).value,
        },
    )  # fmt: skip
    everything = [FanIn(edge=n, channel0=0, channels=network.shape_of(e.source)[0]) for n, e in enumerate(layer.edges)]
    own = slice(region.channel0, region.channel0 + region.channels)
    for take in everything if fan_in is None else fan_in:
        edge = _of_part(layer.edges[take.edge], take.channel0, take.channels)
        core.edge(
            edge.weight[own], kind=edge.kind, stride=edge.stride, padding=edge.padding,
            channel0=0 if edge.kind == "depthwise" else take.channel0,
            fields={"shift": edge.shift, "signed": int(edge.source == INPUT and network.input_signed)},
        )  # fmt: skip
    if part is not None:
        return core  # it requantizes nothing
    if layer.raw:
        zeros = np.zeros(region.channels, dtype=np.int64)
        return core.constants(zeros, zeros + 1, zeros)
    return core.constants(layer.mult[own], layer.shift[own], layer.bias[own])
