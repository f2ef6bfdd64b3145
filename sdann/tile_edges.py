"""An edge of one core in the tile model: which spikes it takes, and what they add to I(t)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

__all__ = ["TileEdge"]

Floats = npt.NDArray[np.float64]
"""Whole numbers below 2^53: matrix products of floating-point numbers are the fast ones."""


class TileEdge:
    """An edge descriptor with its weights as matrices, and the spikes that it has received in this window.

    ``e``: the fields of its descriptor. ``region``: (height, width, groups) of the core's neurons. ``weights``: the
    core's weight memory [words, lanes]. The spikes that neurons can see are kept at [t, y, x, channel], where y = 0 is
    the first row of the first neuron's kernel, and channels count from ``group0 * lanes``.
    """

    def __init__(self, e: Mapping[str, int], region: tuple[int, int, int], weights: Floats, steps: int) -> None:
        height, width, own = region
        lanes = weights.shape[1]
        self.enable, self.depthwise, self.signed = bool(e["enable"]), bool(e["depthwise"]), bool(e["signed"])
        self.shift, self.stride = e["shift"], 1 << e["stride_log2"]
        self.origin = -e["y_offset"], -e["x_offset"]
        self.group0, self.groups, self.lanes = e["group0"], e["groups"], lanes
        self.region = region
        kernel_h, kernel_w = e["kernel_h"], e["kernel_w"]
        ky, kx = np.ogrid[:kernel_h, :kernel_w]
        offsets = ky * e["stride_y"] + kx * own  # [ky, kx]
        base, depth = e["weight_base"], len(weights)
        if self.depthwise:
            index = base + offsets[:, :, None] + np.arange(self.groups)
            self.kernel = weights[index % depth].reshape(kernel_h, kernel_w, -1)
        else:
            g, bit, og = np.ogrid[: self.groups, :lanes, :own]
            rows = (g * e["stride_g"] + og + offsets[:, :, None, None, None]) << e["row_shift"]
            index = base + rows + bit
            self.kernel = weights[index % depth].reshape(kernel_h, kernel_w, self.groups * lanes, own * lanes)
        self.visible = kernel_h > 0 and kernel_w > 0 and height > 0 and width > 0
        sides = ((height - 1) * self.stride + kernel_h, (width - 1) * self.stride + kernel_w)
        shape = (steps, *sides, self.groups * lanes) if self.visible else (steps, 0, 0, 0)
        self.spikes = np.zeros(shape, dtype=np.uint8)
        self.dirty = False

    def receive(self, y: int, x: int, group: int, spikes: npt.NDArray[Any]) -> tuple[int, int]:
        """Takes bundles: 0/1 [t, rows, columns, groups, lanes] from (y, x, group) of the map on.

        All zero words are not bundles. Returns the number of spikes taken and of bundles rejected.
        """
        first = max(self.group0 - group, 0)
        last = min(self.group0 + self.groups - group, spikes.shape[3])
        taken = spikes[..., first : max(first, last), :]
        rejected = int(spikes.any(axis=4).sum() - taken.any(axis=4).sum())
        rows, columns = (
            slice(max(0, origin - at), max(0, min(size, origin + extent - at)))
            for origin, at, size, extent in zip(
                self.origin, (y, x), spikes.shape[1:3], self.spikes.shape[1:3], strict=True
            )
        )
        seen = taken[:, rows, columns]
        if seen.size:
            top, left = y + rows.start - self.origin[0], x + columns.start - self.origin[1]
            channel = (group + first - self.group0) * self.lanes
            flat = seen.reshape(*seen.shape[:3], -1).astype(np.uint8, copy=False)
            self.spikes[
                :, top : top + flat.shape[1], left : left + flat.shape[2], channel : channel + flat.shape[3]
            ] += flat
            self.dirty = True
        return int(taken.sum()), rejected

    @property
    def reach(self) -> Floats:
        """Largest |I(t)| that spikes could cause in each lane, [groups * lanes]."""
        total = np.zeros(self.region[2] * self.lanes)
        reached = np.abs(self.kernel).sum(axis=(0, 1) if self.depthwise else (0, 1, 2)) * (1 << self.shift)
        total[: len(reached)] = reached[: len(total)]
        return total

    def accumulate(self, exists: npt.NDArray[np.bool_], *, at_once: bool = False) -> tuple[Floats, int] | None:
        """(I(t) [t, height, width, groups * lanes], synaptic operations) of this window's spikes; None: there are none.

        ``exists``: which of the core's lanes hold a neuron [groups * lanes]. ``at_once``: all steps in one, the sum of
        2^(T-1-t) I(t), [1, height, width, groups * lanes].
        """
        if not self.dirty:
            return None
        height, width, own = self.region
        sides, step = self.kernel.shape[:2], slice(None, None, self.stride)
        counts = self.spikes.sum(axis=0, dtype=np.int64)  # [y, x, channel]
        steps = self.spikes.astype(np.float64)
        if at_once:
            weights = 2.0 ** np.arange(len(steps) - 1, -1, -1)
            weights[0] *= -1 if self.signed else 1
            steps = np.tensordot(weights, steps, axes=1)[None]
        windows = sliding_window_view(steps, sides, axis=(1, 2))[:, step, step]  # [t, y, x, channel, ky, kx]
        if self.depthwise:
            size = min(self.groups, own) * self.lanes  # only the group of the spikes' own number is reached
            total = np.zeros((len(steps), height, width, own * self.lanes))
            total[..., :size] = np.einsum("tyxcij,ijc->tyxc", windows[..., :size, :, :], self.kernel[..., :size])
            reached = sliding_window_view(counts, sides, axis=(0, 1))[step, step].sum(axis=(0, 1, 3, 4))
            sops = int(reached[:size][exists[:size]].sum())
        else:
            total = np.tensordot(windows, self.kernel, axes=([4, 5, 3], [0, 1, 2]))
            reached = sliding_window_view(counts.sum(axis=2), sides)[step, step].sum()
            sops = int(reached) * int(exists.sum())
        total *= 1 << self.shift
        if self.signed and not at_once:
            total[0] = -total[0]
        self.spikes[:] = 0
        self.dirty = False
        return total, sops
