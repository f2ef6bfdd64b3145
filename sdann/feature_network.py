"""A small network that uses everything that the chip can do, on tiles chosen by hand: for tests of models and chip."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from hdl.config import ChipConfig, preset

from .assembler import Place, place_network
from .fixed_point import to_multiplier
from .golden import activate, edge_sum
from .graph import INPUT, Edge, EdgeKind, FanIn, IntArray, Layer, Pool, QuantizedNetwork, Shape
from .mapper import ProgramImage
from .membrane import with_membrane
from .random_networks import random_input

__all__ = ["FEATURE_CHIP", "feature_image", "feature_network", "with_constants"]

FEATURE_CHIP = preset("test").replace(
    rows=4, cols=4, edges=3, routes=8, neuron_words=64, weight_words=256, readout_depth=128
)
"""A chip that the network fits."""

_PLACES: Mapping[str, tuple[Place, ...]] = {
    INPUT: (Place(tile=(0, 1)),),
    "stem": (Place(tile=(0, 2), rows=(0, 2)), Place(tile=(0, 3), rows=(2, 2))),
    "a": (Place(tile=(1, 0)),),
    "b": (Place(tile=(1, 1)),),
    "c": (Place(tile=(1, 2), channels=(0, 4)), Place(tile=(1, 3), channels=(4, 4))),
    "d": (Place(tile=(2, 0)), Place(tile=(2, 1), part=1), Place(tile=(2, 2), part=2)),
    "mean": (Place(tile=(2, 3)),),
    "out": (Place(tile=(3, 1)), Place(tile=(3, 3), part=1)),
}


def _layer(name: str, shape: Shape, edges: tuple[Edge, ...]) -> Layer:
    zeros = np.zeros(shape[0], dtype=np.int64)
    return Layer(
        name=name, shape=shape, edges=edges, mult=zeros, shift=zeros + 1, bias=zeros, bias_mode="scaled", lo=0, hi=255
    )


def feature_network(
    readout: Literal["act", "wide", "raw"] = "act",
    *,
    signed_input: bool = False,
    membrane_bits: int = 32,
    scaled: bool = False,
    out_bits: int = 12,
    seed: int = 0,
) -> QuantizedNetwork:
    """The network; ``readout``: what its signed last layer gives, wide values with ``out_bits`` bits.

    Input 3 x 7 x 7. ``stem``: 3 x 3, max pooling 3 x 3 with stride 2 and padding. ``a``: 3 x 3, and a strided 1 x 1
    edge from the input of a window before. ``b``: 3 x 3, and the identity from ``stem``. ``c``: 3 x 3 with stride 2.
    ``d``: 3 x 3, and a strided 1 x 1 edge from ``b``; three parts. ``mean``: average of the whole map. ``out``: linear,
    two parts. RoT, truncation and DRLO occur. ``membrane_bits, scaled``: as :func:`sdann.membrane.with_membrane`.
    """
    rng = np.random.default_rng(seed)

    def edge(source: str, kind: EdgeKind, *shape: int, stride: int = 1, padding: int = 0, shift: int = 0) -> Edge:
        weight = np.clip(np.rint(rng.normal(2, 30, shape)), -127, 127).astype(np.int64)
        return Edge(source=source, kind=kind, weight=weight, stride=stride, padding=padding, shift=shift)

    identity = Edge(source="stem", kind="depthwise", weight=np.full((6, 1, 1, 1), 100, dtype=np.int64), shift=1)
    mean = Edge(source="d", kind="depthwise", weight=np.full((8, 1, 2, 2), 64, dtype=np.int64))
    drafts = [
        replace(
            _layer("stem", (6, 7, 7), (edge(INPUT, "conv", 6, 3, 3, 3, padding=1),)),
            pool=Pool(kernel=3, stride=2, padding=1), rot=1,
        ),
        replace(_layer("a", (6, 4, 4), (
            edge("stem", "conv", 6, 6, 3, 3, padding=1), edge(INPUT, "conv", 6, 3, 1, 1, stride=2, shift=1),
        )), truncate=2),
        _layer("b", (6, 4, 4), (edge("a", "conv", 6, 6, 3, 3, padding=1), identity)),
        replace(_layer("c", (8, 2, 2), (edge("b", "conv", 8, 6, 3, 3, stride=2, padding=1),)), drlo=4),
        replace(
            _layer("d", (8, 2, 2), (
                edge("c", "conv", 8, 8, 3, 3, padding=1), edge("b", "conv", 8, 6, 1, 1, stride=2, shift=2),
            )),
            parts=(
                (FanIn(edge=0, channel0=0, channels=4),), (FanIn(edge=0, channel0=4, channels=4),),
                (FanIn(edge=1, channel0=0, channels=6),),
            ),
        ),
        _layer("mean", (8, 1, 1), (mean,)),
        replace(
            _layer("out", (5, 1, 1), (edge("mean", "linear", 5, 8, 1, 1),)),
            parts=((FanIn(edge=0, channel0=0, channels=4),), (FanIn(edge=0, channel0=4, channels=4),)),
            signed=True, raw=readout == "raw",
        ),
    ]  # fmt: skip
    network = QuantizedNetwork(
        name=f"features-{readout}", input_shape=(3, 7, 7), input_signed=signed_input, time_steps=8,
        membrane_bits=48, weight_bits=8, layers=(),
    )  # fmt: skip
    x = random_input(network, rng, 32)
    values = {INPUT: x}
    for draft in drafts:
        v = np.sum([edge_sum(e, values[e.source]) for e in draft.edges], axis=0)
        layer = with_constants(draft, v, out_bits if readout == "wide" and draft.signed else 8)
        values[layer.name] = activate(layer, v, 8)
        network = replace(network, layers=(*network.layers, layer))
    return with_membrane(network, membrane_bits, scaled=scaled, calibration=x)


def with_constants(layer: Layer, v: IntArray, bits: int) -> Layer:
    """Constants that spread the values of ``v`` [N, C, H, W] over ``bits`` bits, some of them beyond the clamp."""
    lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if layer.signed else (0, (1 << bits) - 1)
    middle = np.zeros(v.shape[1]) if layer.signed else v.mean(axis=(0, 2, 3)) - v.std(axis=(0, 2, 3))
    spread = np.maximum(np.quantile(np.abs(v - middle[:, None, None]), 0.97, axis=(0, 2, 3)), 1)
    constants = np.array([to_multiplier(hi / s, mult_bits=16, max_shift=31) for s in spread], dtype=np.int64)
    bias = np.clip(np.rint(-middle * hi / spread), -(1 << 15), (1 << 15) - 1).astype(np.int64)
    return replace(layer, mult=constants[:, 0].copy(), shift=constants[:, 1].copy(), bias=bias, lo=lo, hi=hi)


def feature_image(network: QuantizedNetwork, config: ChipConfig = FEATURE_CHIP) -> ProgramImage:
    """The network's program for :data:`FEATURE_CHIP`, or one like it with the network's ``membrane_bits``."""
    return place_network(network, config.replace(membrane_bits=network.membrane_bits), _PLACES)
