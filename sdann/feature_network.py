"""A small network that uses everything that the chip can do, on tiles chosen by hand: for tests of models and chip."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from hdl.config import ChipConfig, preset

from .assembler import Place, place_network
from .fixed_point import to_multiplier
from .golden import activate, edge_sum
from .graph import INPUT, Edge, EdgeKind, FanIn, IntArray, Layer, Pool, QuantizedNetwork, Shape
from .mapper import ProgramImage
from .membrane import with_membrane
from .random_networks import random_input

__all__ = ["FEATURE_CHIP", "SMALL_CHIP", "feature_image", "feature_network", "with_constants"]

FEATURE_CHIP = preset("test").replace(
    name="features", rows=4, cols=4, edges=3, routes=8, neuron_words=64, weight_words=256, membrane_bits=16,
    readout_depth=128,
)  # fmt: skip
"""A chip that the network fits; its membranes are those of Darwin3."""

SMALL_CHIP = FEATURE_CHIP.replace(name="features-small", rows=3, cols=3)
"""A chip that the small network fits."""

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

_SMALL_PLACES: Mapping[str, tuple[Place, ...]] = {
    INPUT: (Place(tile=(0, 1)),),
    "stem": (Place(tile=(0, 2), rows=(0, 1)), Place(tile=(1, 2), rows=(1, 1))),
    "d": (Place(tile=(1, 0)), Place(tile=(1, 1), part=1), Place(tile=(2, 0), part=2)),
    "out": (Place(tile=(2, 1)), Place(tile=(2, 2), part=1)),
}

Readout = Literal["act", "wide", "raw"]


def feature_network(
    readout: Readout = "act", *, small: bool = False, mode: Literal["exact", "scaled", "saturating"] = "exact",
    signed_input: bool = False, seed: int = 0,
) -> QuantizedNetwork:  # fmt: skip
    """The network; ``readout``: what its signed last layer gives, wide values with 12 bits.

    Input 3 x 7 x 7. ``stem``: 3 x 3, max pooling 3 x 3 with stride 2 and padding. ``a``: 3 x 3, and a strided 1 x 1
    edge from the input of a window before. ``b``: 3 x 3, and the identity from ``stem``. ``c``: 3 x 3 with stride 2.
    ``d``: 3 x 3, and a strided 1 x 1 edge from ``b``; three parts. ``mean``: average of the whole map. ``out``: linear,
    two parts. RoT, truncation and DRLO occur. ``small``: input 2 x 3 x 3 of 4 bits (T = 4), and only ``stem``,
    ``d`` (whose strided edge comes from the input) and ``out``.

    ``mode``, with membranes of 16 bits: weights so small that no sum can leave them; larger weights with scaled
    integration; the same without, so that V saturates.
    """
    steps = 4 if small else 8
    draw = _Draw(np.random.default_rng(seed), 1 if mode == "exact" else 30)
    drafts = _small_layers(draw) if small else _layers(draw)
    last = replace(drafts[-1], signed=True, raw=readout == "raw", parts=_two_parts())
    network = QuantizedNetwork(
        name=f"features-{readout}", input_shape=(2, 3, 3) if small else (3, 7, 7), input_signed=signed_input,
        time_steps=steps, membrane_bits=48, weight_bits=8, layers=(),
    )  # fmt: skip
    x = random_input(network, draw.rng, 32)
    values = {INPUT: x}
    for draft in (*drafts[:-1], last):
        v = np.sum([edge_sum(e, values[e.source]) for e in draft.edges], axis=0)
        layer = with_constants(draft, v, (12 if readout == "wide" else 8) if draft.signed else steps)
        values[layer.name] = activate(layer, v, steps)
        network = replace(network, layers=(*network.layers, layer))
    return with_membrane(network, FEATURE_CHIP.membrane_bits, scaled=mode == "scaled", calibration=x)


def feature_image(network: QuantizedNetwork, config: ChipConfig | None = None) -> ProgramImage:
    """The network's program for :data:`FEATURE_CHIP`, or the small one's for :data:`SMALL_CHIP`, or for ``config``."""
    small = len(network.layers) == len(_SMALL_PLACES) - 1
    chip = config or (SMALL_CHIP if small else FEATURE_CHIP)
    return place_network(network, chip, _SMALL_PLACES if small else _PLACES)


def with_constants(layer: Layer, v: IntArray, bits: int) -> Layer:
    """Constants that spread the values of ``v`` [N, C, H, W] over ``bits`` bits, some of them beyond the clamp."""
    lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if layer.signed else (0, (1 << bits) - 1)
    middle = np.zeros(v.shape[1]) if layer.signed else v.mean(axis=(0, 2, 3)) - v.std(axis=(0, 2, 3))
    spread = np.maximum(np.quantile(np.abs(v - middle[:, None, None]), 0.97, axis=(0, 2, 3)), 1)
    constants = np.array([to_multiplier(hi / s, mult_bits=16, max_shift=31) for s in spread], dtype=np.int64)
    bias = np.clip(np.rint(-middle * hi / spread), -(1 << 15), (1 << 15) - 1).astype(np.int64)
    return replace(layer, mult=constants[:, 0].copy(), shift=constants[:, 1].copy(), bias=bias, lo=lo, hi=hi)


class _Draw:
    """Draws weights around zero, of the given size, and makes edges and layers of them."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng, self.size = rng, size

    def edge(self, source: str, kind: EdgeKind, *shape: int, **options: int) -> Edge:
        limit = 127 if self.size > 1 else 2
        weight = np.clip(np.rint(self.rng.normal(0.07 * self.size, self.size, shape)), -limit, limit)
        return Edge(source=source, kind=kind, weight=weight.astype(np.int64), **options)

    def constant(self, source: str, value: int, *shape: int, shift: int = 0) -> Edge:
        """A depthwise edge of equal weights."""
        weight = np.full(shape, max(1, value * self.size // 30), dtype=np.int64)
        return Edge(source=source, kind="depthwise", weight=weight, shift=shift)


def _layer(name: str, shape: Shape, *edges: Edge, **options: Any) -> Layer:
    zeros = np.zeros(shape[0], dtype=np.int64)
    fields = {"lo": 0, "hi": 255} | options
    return Layer(
        name=name, shape=shape, edges=edges, mult=zeros, shift=zeros + 1, bias=zeros, bias_mode="scaled", **fields
    )


def _two_parts() -> tuple[tuple[FanIn, ...], ...]:
    return (FanIn(edge=0, channel0=0, channels=4),), (FanIn(edge=0, channel0=4, channels=4),)


def _layers(draw: _Draw) -> list[Layer]:
    edge, pool = draw.edge, Pool(kernel=3, stride=2, padding=1)
    return [
        _layer("stem", (6, 7, 7), edge(INPUT, "conv", 6, 3, 3, 3, padding=1), pool=pool, rot=1),
        _layer(
            "a", (6, 4, 4), edge("stem", "conv", 6, 6, 3, 3, padding=1),
            edge(INPUT, "conv", 6, 3, 1, 1, stride=2, shift=1), truncate=2,
        ),
        _layer(
            "b", (6, 4, 4), edge("a", "conv", 6, 6, 3, 3, padding=1), draw.constant("stem", 100, 6, 1, 1, 1, shift=1)
        ),
        _layer("c", (8, 2, 2), edge("b", "conv", 8, 6, 3, 3, stride=2, padding=1), drlo=4),
        _layer(
            "d", (8, 2, 2), edge("c", "conv", 8, 8, 3, 3, padding=1), edge("b", "conv", 8, 6, 1, 1, stride=2, shift=2),
            parts=(*_two_parts(), (FanIn(edge=1, channel0=0, channels=6),)),
        ),
        _layer("mean", (8, 1, 1), draw.constant("d", 64, 8, 1, 2, 2)),
        _layer("out", (5, 1, 1), edge("mean", "linear", 5, 8, 1, 1)),
    ]  # fmt: skip


def _small_layers(draw: _Draw) -> list[Layer]:
    edge, pool = draw.edge, Pool(kernel=3, stride=2, padding=1)
    return [
        _layer("stem", (8, 3, 3), edge(INPUT, "conv", 8, 2, 3, 3, padding=1), pool=pool, drlo=3),
        _layer(
            "d", (8, 2, 2), edge("stem", "conv", 8, 8, 3, 3, padding=1),
            edge(INPUT, "conv", 8, 2, 1, 1, stride=2, shift=2),
            parts=(*_two_parts(), (FanIn(edge=1, channel0=0, channels=2),)), truncate=1,
        ),
        _layer("out", (5, 1, 1), edge("d", "linear", 5, 8, 2, 2)),
    ]  # fmt: skip
