"""One core of the tile model: decodes its program words once, then accumulates, integrates and requantizes.

Knows nothing of networks: all behaviour comes from the words, read through the layouts of :mod:`hdl.program`.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.config import ChipConfig
from hdl.program import Counter, Memory, Readout, memory_layouts
from sdann.graph import IntArray

__all__ = ["TileCore", "TileEdge"]

Words = dict[Memory, list[int]]


def _table(words: list[int], bits: int, count: int, *, signed: bool = False) -> IntArray:
    """Equal elements of each word, element 0 lowest: int64 [n, count]."""
    width = -(-bits * count // 8)
    raw = np.frombuffer(b"".join(w.to_bytes(width, "little") for w in words), dtype=np.uint8).reshape(len(words), width)
    spread = np.unpackbits(raw, axis=1, bitorder="little", count=bits * count).reshape(len(words), count, bits)
    weights = 1 << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return np.asarray(spread.astype(np.int64) @ weights, dtype=np.int64)


@dataclass(kw_only=True)
class TileEdge:
    """An edge descriptor with its weights as matrices, and the spikes that it has received in this window."""

    enable: bool
    depthwise: bool
    signed: bool
    shift: int
    stride: int
    y_offset: int
    x_offset: int
    group0: int
    groups: int
    kernel: npt.NDArray[np.float64]
    """[kernel_h, kernel_w, groups * lanes, G * lanes], or [.., groups * lanes] of a depthwise edge."""
    spikes: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0, 0, 0)))
    """Number of spikes at [t, y, x, channel], channels counted from ``group0 * lanes``."""


class TileCore:
    """State and program of one core; arrays are [height, width, groups, lanes] with the words in address order."""

    def __init__(self, words: Words, config: ChipConfig, steps: int) -> None:
        self.config, self.steps = config, steps
        layouts: Any = memory_layouts(config)
        d: Any = layouts[Memory.CORE].from_bits(words[Memory.CORE][0])
        self.enable, self.stage, self.readout = bool(d.enable), int(d.stage), d.readout != Readout.NONE
        self.y0, self.x0, self.group0 = int(d.y0), int(d.x0), int(d.group0)
        self.shape = (int(d.height), int(d.width), int(d.groups), config.lanes)
        self.scaled, self.mult1, self.shift1 = bool(d.scaled), int(d.mult1), int(d.shift1)
        self.bias_in_sum, self.lo, self.hi = bool(d.bias_in_sum), int(d.lo), int(d.hi)
        self.rot, self.drlo = int(d.rot), int(d.drlo)
        self.exists = np.ones((self.shape[2], config.lanes), dtype=bool)
        self.exists[-1, int(d.last_lanes) :] = False
        self.routes: list[Any] = [layouts[Memory.ROUTE].from_bits(w) for w in words[Memory.ROUTE][: int(d.routes)]]
        weights = np.zeros((config.weight_words, config.lanes))
        weights[: len(words[Memory.WEIGHT])] = _table(
            words[Memory.WEIGHT], config.weight_bits, config.lanes, signed=True
        )
        self.edges = [self._edge(layouts[Memory.EDGE].from_bits(w), weights) for w in words[Memory.EDGE]]
        self._constants(words[Memory.REQUANT], layouts[Memory.REQUANT])
        self.slots = [np.zeros(self.shape, dtype=np.int64), np.zeros(self.shape, dtype=np.int64)]
        self.front = 0
        self.leftover = np.zeros(self.shape, dtype=np.int64)
        self.counters = dict.fromkeys(Counter, 0)

    def _edge(self, e: Any, weights: npt.NDArray[np.float64]) -> TileEdge:
        own, lanes, groups = self.shape[2], self.config.lanes, int(e.groups)
        ky, kx = np.ogrid[: int(e.kernel_h), : int(e.kernel_w)]
        offsets = ky * int(e.stride_y) + kx * own  # [ky, kx]
        base, depth = int(e.weight_base), len(weights)
        if e.depthwise:
            index = base + offsets[:, :, None] + np.arange(groups)
            kernel = weights[index % depth].reshape(*offsets.shape, groups * lanes)
        else:
            g, bit, og = np.ogrid[:groups, :lanes, :own]
            rows = (g * int(e.stride_g) + og + offsets[:, :, None, None, None]) << int(e.row_shift)
            kernel = weights[(base + rows + bit) % depth].reshape(*offsets.shape, groups * lanes, own * lanes)
        return TileEdge(
            enable=bool(e.enable), depthwise=bool(e.depthwise), signed=bool(e.signed), shift=int(e.shift),
            stride=1 << int(e.stride_log2), y_offset=int(e.y_offset), x_offset=int(e.x_offset), group0=int(e.group0),
            groups=groups, kernel=kernel,
        )  # fmt: skip

    def _constants(self, words: list[int], layout: Any) -> None:
        c = self.config
        wide = max(max(c.membrane_bits, c.bias_bits) + 1 + c.mult_bits, c.bias_bits + c.max_shift) > 61
        constants = np.zeros((3, self.shape[2] * c.lanes), dtype=object if wide else np.int64)  # object: any size
        for i, word in enumerate(words):
            for j, lane in enumerate(layout.from_bits(word)):
                if (at := i * c.requant_lanes + j) < constants.shape[1]:
                    constants[:, at] = int(lane.mult), int(lane.shift), int(lane.bias)
        self.mult, self.shift, self.bias = (row.reshape(self.shape[2:]) for row in constants)

    @property
    def act(self) -> IntArray:
        """The front slot: what the core emits in this window."""
        return self.slots[self.front]

    def receive(self, number: int, y: int, x: int, group: int, spikes: npt.NDArray[Any]) -> int:
        """Takes bundles of edge ``number``: 0/1 [t, rows, columns, groups, lanes] from (y, x, group) of the map on.

        All zero words are not bundles. Returns how many the core rejected.
        """
        bundles: npt.NDArray[np.bool_] = np.any(spikes, axis=4)  # [t, rows, columns, groups]
        edge = self.edges[number] if self.enable and number < len(self.edges) else None
        if edge is None or not edge.enable:
            return int(bundles.sum())
        accepted = [g for g in range(spikes.shape[3]) if edge.group0 <= group + g < edge.group0 + edge.groups]
        rejected = int(bundles.sum() - bundles[..., accepted].sum())
        self.counters[Counter.SPIKES_IN] += int(spikes[..., accepted, :].sum())
        steps, rows, columns, _, lanes = spikes.shape
        if edge.spikes.shape[1] < y + rows or edge.spikes.shape[2] < x + columns:
            old = edge.spikes
            size = (steps, max(old.shape[1], y + rows), max(old.shape[2], x + columns), edge.groups * lanes)
            edge.spikes = np.zeros(size)
            edge.spikes[tuple(map(slice, old.shape))] = old
        view = edge.spikes.reshape(*edge.spikes.shape[:3], edge.groups, lanes)
        for g in accepted:
            view[:, y : y + rows, x : x + columns, group + g - edge.group0] += spikes[:, :, :, g]
        return rejected

    def accumulate(self) -> IntArray:
        """I(t) from this window's bundles: int64 [t, height, width, groups, lanes], not yet wrapped. Counts SOPs."""
        total = np.zeros((self.steps, *self.shape[:2], self.shape[2] * self.shape[3]))
        exists = self.exists.reshape(-1)
        for edge in self.edges:
            if not edge.spikes.any():
                continue
            sign = np.full((self.steps, 1, 1, 1), float(1 << edge.shift))
            if edge.signed:
                sign[0] = -sign[0]
            source = edge.spikes * sign
            per_channel = edge.spikes.sum(axis=0)  # [y, x, channel]
            for ky in range(edge.kernel.shape[0]):
                rows = self._reached(self.shape[0], ky, edge.y_offset, edge.stride, source.shape[1])
                for kx in range(edge.kernel.shape[1]):
                    columns = self._reached(self.shape[1], kx, edge.x_offset, edge.stride, source.shape[2])
                    if rows is None or columns is None:
                        continue
                    hit, weights = source[:, rows[1], columns[1]], edge.kernel[ky, kx]
                    target = total[:, rows[0], columns[0]]
                    count = per_channel[rows[1], columns[1]]
                    if edge.depthwise:
                        target += hit * weights
                        self.counters[Counter.SOPS] += int(count[..., exists].sum())
                    else:
                        target += (hit.reshape(-1, hit.shape[-1]) @ weights).reshape(target.shape)
                        self.counters[Counter.SOPS] += int(count.sum()) * int(exists.sum())
            edge.spikes[:] = 0
        return total.astype(np.int64).reshape(self.steps, *self.shape)

    @staticmethod
    def _reached(size: int, offset: int, shift: int, stride: int, extent: int) -> tuple[slice, slice] | None:
        """(outputs, sources) that kernel row ``offset`` joins: output o and source o * stride + offset - shift."""
        hits = [o for o in range(size) if 0 <= o * stride + offset - shift < extent]
        if not hits:
            return None
        first, last = (o * stride + offset - shift for o in (hits[0], hits[-1]))
        return slice(hits[0], hits[-1] + 1), slice(first, last + 1, stride)

    def wrap(self, i: IntArray) -> IntArray:
        """Two's complement of ``isum_bits``."""
        half = 1 << (self.config.isum_bits - 1)
        return ((i + half) & (2 * half - 1)) - half

    def integrate(self, v: IntArray, i: IntArray) -> IntArray:
        """sat_N(2 v + s1(i)) of every neuron; counts saturations."""
        current = (i * self.mult1 + ((1 << self.shift1) >> 1)) >> self.shift1 if self.scaled else i
        low, high = -(1 << (self.config.membrane_bits - 1)), (1 << (self.config.membrane_bits - 1)) - 1
        exact = 2 * v + current
        saturated = int(((exact < low) | (exact > high)).sum())
        self.counters[Counter.SATURATIONS] += saturated
        self.counters[Counter.OVERFLOW] |= int(saturated > 0)
        return np.asarray(np.clip(exact, low, high), dtype=np.int64)

    def requantize(self, v: IntArray) -> IntArray:
        """Activation words' values (``act_bits`` bits, unsigned view) from V(T-1), with RoT and DRLO."""
        half = (1 << self.shift) >> 1
        if self.bias_in_sum:
            a = ((v + self.bias) * self.mult + half) >> self.shift
        else:
            a = (v * self.mult + (self.bias << self.shift) + half) >> self.shift
        a = np.asarray(np.minimum(np.maximum(a, self.lo), self.hi), dtype=np.int64)
        if self.rot:
            a = np.minimum(((a + (1 << (self.rot - 1))) >> self.rot) << self.rot, (self.hi >> self.rot) << self.rot)
        a &= (1 << self.config.act_bits) - 1
        if self.drlo:
            kept, count = np.zeros_like(a), np.zeros_like(a)
            for bit in reversed(range(self.config.act_bits)):
                keep = ((a >> bit) & 1) * (count < self.drlo)
                kept |= keep << bit
                count += keep
            a = kept
        return np.asarray(a, dtype=np.int64)
