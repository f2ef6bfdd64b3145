"""The synapses of one edge, or of some channels of it, as an exact product: a map -> sums of the neurons."""

from functools import cached_property

import numpy as np
import torch

from ..graph import Edge, FanIn, IntArray
from .columns import columns, padded
from .products import Backend, make_product

__all__ = ["EdgeInput", "Synapses"]


class Synapses:
    """Those of one FanIn: ``channels`` of the source to ``neurons`` (channels of the layer).

    ``low``, ``high``: range of the source's values. ``wide``: whether the layer's sums need int64.
    """

    def __init__(
        self, edge: Edge, some: FanIn, low: int, high: int, *, wide: bool, backends: list[Backend], device: torch.device
    ) -> None:
        self.edge, self.number = edge, some.edge
        self.channels = slice(some.channel0, some.channel0 + some.channels)
        self.neurons = self.channels if edge.kind == "depthwise" else slice(None)
        self.sum_type = torch.int64 if wide else torch.int32
        kernel_h, kernel_w = edge.weight.shape[2:]
        self.kernel = (int(kernel_h), int(kernel_w))
        if edge.kind == "depthwise":  # no matrix: each channel has its own kernel
            self._taps = torch.from_numpy(self._weight[:, 0].transpose(1, 2, 0).copy()).to(device, self.sum_type)
            self.dtype, self.offset = self.sum_type, 0
        else:
            matrix = self._weight.transpose(2, 3, 1, 0).reshape(-1, len(self._weight))
            self._product = make_product(matrix, low, high, backends, device, f"the edge from {edge.source!r}")
            self.dtype, self.offset = self._product.dtype, self._product.offset

    @cached_property
    def _weight(self) -> IntArray:
        weight = self.edge.weight
        return weight[self.channels] if self.edge.kind == "depthwise" else weight[:, self.channels]

    @property
    def row_length(self) -> int:
        """K, the entries of a window."""
        return self.kernel[0] * self.kernel[1] * int(self._weight.shape[1])

    def sums(self, source: torch.Tensor, rows: slice, width: int) -> torch.Tensor:
        """(sum_i w_i x_i) << k_e of the output ``rows``: [B, rows, width, neurons]; ``source``: padded."""
        source = source[..., self.channels] if source.shape[3] != self.channels.stop - self.channels.start else source
        if self.edge.kind == "depthwise":
            total = self._depthwise(source, rows, width)
        else:
            matrix = columns(source, self.kernel, self.edge.stride, rows)
            total = self._product(matrix).view(len(source), rows.stop - rows.start, width, -1)
        total = total if total.dtype == self.sum_type else total.to(self.sum_type)
        return total << self.edge.shift if self.edge.shift else total

    def _depthwise(self, source: torch.Tensor, rows: slice, width: int) -> torch.Tensor:
        stride, count = self.edge.stride, rows.stop - rows.start
        total: torch.Tensor | None = None
        for ky, kx in np.ndindex(*self.kernel):
            y = rows.start * stride + ky
            reached = source[:, y : y + (count - 1) * stride + 1 : stride, kx : kx + (width - 1) * stride + 1 : stride]
            product = reached * self._taps[ky, kx]
            total = product if total is None else total.add_(product)
        assert total is not None
        return total


class EdgeInput:
    """A source's map, padded for each kind of product that reads it; made when asked for, once."""

    def __init__(self, x: torch.Tensor) -> None:
        self._x = x
        self._made: dict[tuple[int, torch.dtype, int], torch.Tensor] = {}

    def for_synapses(self, synapses: Synapses) -> torch.Tensor:
        """The map as ``synapses`` read it."""
        key = (synapses.edge.padding, synapses.dtype, synapses.offset)
        if key not in self._made:
            self._made[key] = padded(self._x, *key)
        return self._made[key]
