"""Neurons of one core in the tile model: integration, requantization, sparsity and pooling, by its descriptor."""

from collections.abc import Mapping

import numpy as np

from hdl.config import ChipConfig
from sdann.graph import IntArray

__all__ = ["TileNeurons"]


class TileNeurons:
    """What a core descriptor and its constants say about neurons. Arrays are [height, width, groups, lanes].

    ``d``: the fields of its descriptor; ``constants``: rows of (mult, shift, bias), channel by channel of the region.
    """

    def __init__(self, d: Mapping[str, int], constants: list[tuple[int, int, int]], config: ChipConfig) -> None:
        self.config = config
        self.scaled, self.mult1, self.shift1 = bool(d["scaled"]), d["mult1"], d["shift1"]
        self.bias_in_sum, self.lo, self.hi = bool(d["bias_in_sum"]), d["lo"], d["hi"]
        self.rot, self.truncate, self.drlo = d["rot"], bool(d["truncate"]), d["drlo"]
        self.kernel, self.stride = d["pool_kernel"], 1 << d["pool_stride_log2"]
        self.padding = d["pool_y"], d["pool_x"]
        lanes, groups = config.lanes, d["groups"]
        widest = max(config.membrane_word_bits, config.bias_bits) + 1 + config.mult_bits
        wide = max(widest, config.bias_bits + config.max_shift) > 61
        table = np.zeros((groups * lanes, 3), dtype=object if wide else np.int64)  # object: integers of any size
        count = min(len(constants), len(table))
        if count:
            table[:count] = constants[:count]
        self.mult, self.shift, self.bias = (column.reshape(groups, lanes) for column in table.T)

    def wrap(self, values: IntArray, bits: int) -> IntArray:
        """Two's complement of ``bits`` bits."""
        half = 1 << (bits - 1)
        return ((values + half) & (2 * half - 1)) - half

    def integrate(self, v: IntArray, i: IntArray) -> tuple[IntArray, int]:
        """sat_N(2 v + s1(i)) of every neuron, and how many saturate."""
        current = (i * self.mult1 + ((1 << self.shift1) >> 1)) >> self.shift1 if self.scaled else i
        high = (1 << (self.config.membrane_bits - 1)) - 1
        exact = 2 * v + current
        kept = np.asarray(np.clip(exact, -high - 1, high), dtype=np.int64)
        return kept, int((kept != exact).sum())

    def requantize(self, v: IntArray) -> IntArray:
        """Clamped values from V(T-1), with RoT or truncation and DRLO."""
        half = (1 << self.shift) >> 1
        if self.bias_in_sum:
            exact = ((v + self.bias) * self.mult + half) >> self.shift
        else:
            exact = (v * self.mult + (self.bias << self.shift) + half) >> self.shift
        a = np.asarray(np.minimum(np.maximum(exact, self.lo), self.hi), dtype=np.int64)
        if self.rot and self.truncate:
            a = (a >> self.rot) << self.rot
        elif self.rot:
            a = np.minimum(((a + (1 << (self.rot - 1))) >> self.rot) << self.rot, (self.hi >> self.rot) << self.rot)
        if self.drlo:
            kept, count = np.zeros_like(a), np.zeros_like(a)
            for bit in reversed(range(self.config.act_bits)):
                keep = ((a >> bit) & 1) * (count < self.drlo)
                kept |= keep << bit
                count += keep
            a = kept
        return a

    def pool(self, a: IntArray, height: int, width: int) -> IntArray:
        """The largest value of each window, [height, width, groups, lanes]; outside the region is 0."""
        result = np.zeros((height, width, *a.shape[2:]), dtype=np.int64)
        for dy in range(self.kernel):
            for dx in range(self.kernel):
                ys, xs = (
                    np.arange(size) * self.stride + offset - padding
                    for size, offset, padding in zip((height, width), (dy, dx), self.padding, strict=True)
                )
                inside_y, inside_x = (ys >= 0) & (ys < a.shape[0]), (xs >= 0) & (xs < a.shape[1])
                target = np.ix_(inside_y, inside_x)
                result[target] = np.maximum(result[target], a[np.ix_(ys[inside_y], xs[inside_x])])
        return result
