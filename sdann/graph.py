"""The quantized layer graph: the integer network that every model, the mapper and the chip run.

A network is a list of layers in topological order. A layer sums over its edges, each of which reads the
activations of the input or of an earlier layer, and requantizes the sum once per neuron:

    acc = sum over edges of (sum_i w_i x_i) << shift,   a = requant(acc)

Shapes are (channels, height, width); a vector of n features is (n, 1, 1).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = [
    "INPUT", "BiasMode", "Edge", "EdgeKind", "FanIn", "IntArray", "Layer", "Pool", "QuantizedNetwork", "Scaled",
    "Shape",
]  # fmt: skip

INPUT = "input"
"""Name of the network's input as an edge's source."""

Shape = tuple[int, int, int]
IntArray = npt.NDArray[np.int64]
EdgeKind = Literal["conv", "depthwise", "linear"]
BiasMode = Literal["sum", "scaled"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Edge:
    """Synapses from one source to one layer.

    ``weight``: int64 array with values of the network's weight bits, [C_out, C_in, K_h, K_w] for ``conv``, [C, 1, K_h,
    K_w] for ``depthwise``, [C_out, C, H, W] for ``linear`` (a weight row per channel and position of the
    source map; output is 1 x 1, stride 1, padding 0). ``stride``: 1, 2 or 4, ``padding``: zeros on
    each side. ``shift``: k_e >= 0.
    """

    source: str
    kind: EdgeKind
    weight: IntArray
    stride: int = 1
    padding: int = 0
    shift: int = 0

    @property
    def channels(self) -> int:
        """Channels of its source."""
        return int(self.weight.shape[0 if self.kind == "depthwise" else 1])


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """Scaled integration (eqs. 15-18): V <- sat(2V + ((I * mult1 + half) >> shift1)), s_1 ~ mult1 * 2^-shift1.

    ``mult1 = 1, shift1 = 0`` stands for s_1 = 1: I enters V unchanged (the models and the chip bypass the scaling).
    """

    mult1: int
    shift1: int


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Max pooling of a layer's activations, after RoT (or truncation) and DRLO.

    Windows are ``kernel`` x ``kernel``, 1..4. ``stride``: 1, 2 or 4. ``padding``: zeros on each side, less than
    ``kernel``.
    """

    kernel: int
    stride: int
    padding: int = 0


@dataclass(frozen=True, kw_only=True)
class FanIn:
    """Some of a layer's synapses: source channels ``channel0 .. channel0 + channels - 1`` of edge number ``edge``.

    A depthwise edge's channel reaches the neurons of the same channel, any other reaches all.
    """

    edge: int
    channel0: int
    channels: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One layer of neurons.

    ``shape``: of its neurons, before pooling (see :attr:`output_shape`). ``mult, shift, bias``: int64 [C_out]
    requantization constants (shift >= 1). ``bias_mode``: "sum" adds the bias before the multiplication (eq. 9),
    "scaled" after it (eq. 10). ``lo, hi``: clamp. ``signed``: output is two's complement (only the last layer, whose
    clamp may then be up to 16 bits wide; every other clamp is of T bits).
    ``rot``: k of eq. 22 (0: off); ``drlo``: most significant spikes kept (0: off). ``truncate``: bits cleared at the
    bottom (0: off; not with ``rot``). ``pool``: max pooling (unsigned activations only). ``raw``: the layer's output is
    V(T-1) itself (only the last layer, and ``signed``; constants and clamp have no effect). ``scaled``: None for exact
    integration.
    ``parts``: how the fan-in is split; each part integrates into a membrane of its own, and requantization takes the
    sum of all. Empty: not split. It matters to the result only where parts round or saturate.
    """

    name: str
    shape: Shape
    edges: tuple[Edge, ...]
    mult: IntArray
    shift: IntArray
    bias: IntArray
    bias_mode: BiasMode
    lo: int
    hi: int
    signed: bool = False
    rot: int = 0
    drlo: int = 0
    truncate: int = 0
    pool: Pool | None = None
    raw: bool = False
    scaled: Scaled | None = None
    parts: tuple[tuple[FanIn, ...], ...] = ()

    @property
    def split(self) -> tuple[tuple[FanIn, ...], ...]:
        """``parts``, or where that is empty the one part that is the whole fan-in."""
        whole = (FanIn(edge=i, channel0=0, channels=edge.channels) for i, edge in enumerate(self.edges))
        return self.parts or (tuple(whole),)

    @property
    def output_shape(self) -> Shape:
        """Shape of its activations, after pooling."""
        if self.pool is None:
            return self.shape
        channels, *sides = self.shape
        pool = self.pool
        height, width = ((side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in sides)
        return channels, height, width


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedNetwork:
    """An integer network. ``time_steps`` T: bits of its input and activations.

    ``membrane_bits`` N: V saturates to N bits, in every model and layer (a wide N never does). ``input_signed``:
    input is two's complement. Real value of a unit of the input or a layer's activation: ``scales[name]`` (for
    reports).
    """

    name: str
    input_shape: Shape
    input_signed: bool
    time_steps: int
    membrane_bits: int
    weight_bits: int
    layers: tuple[Layer, ...]
    scales: dict[str, float] = field(default_factory=dict)

    def layer(self, name: str) -> Layer:
        """The layer called ``name``; raises KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def shape_of(self, source: str) -> Shape:
        """Output shape of the input or of a layer."""
        return self.input_shape if source == INPUT else self.layer(source).output_shape
