"""Counts of spikes and of synaptic operations, from maps [N, H, W, C] of integers."""

import torch

from ..graph import Edge, Layer, Shape

__all__ = ["Reach", "spike_maps"]

_WORDS = 255
"""0/1 bytes that a byte can add up."""


def spike_maps(a: torch.Tensor, time_steps: int) -> torch.Tensor:
    """Spikes per step and position, summed over samples and channels: int64 [T, H, W]; step 0 is the top bit.

    Of negative values, two's complement counts.
    """
    a = a.to(torch.int32) if time_steps > 8 else a
    n, height, width, channels = a.shape
    in_words = a.element_size() == 1 and channels % 8 == 0 and channels // 8 <= _WORDS and a.is_contiguous()
    words = a.view(torch.int64) if in_words else a
    ones = 0x0101010101010101 if in_words else 1
    maps = []
    for t in range(time_steps):
        plane = (words >> time_steps - 1 - t) & ones
        if in_words:  # eight bytes at a time, none of which can overflow
            plane = plane.sum(dim=3).view(n, height, width, 1).view(torch.uint8)
        maps.append(plane.sum(dim=(0, 3), dtype=torch.int64))
    return torch.stack(maps)


class Reach:
    """How many neurons of a layer each position of an edge's source reaches: int64 [H, W]."""

    def __init__(self, edge: Edge, layer: Layer, source: Shape, device: torch.device) -> None:
        axes = []
        for size, outputs, kernel in zip(source[1:], layer.shape[1:], edge.weight.shape[2:], strict=True):
            axis = torch.zeros(size + 2 * edge.padding, dtype=torch.int64)
            for output in range(outputs):
                axis[output * edge.stride : output * edge.stride + kernel] += 1
            axes.append(axis[edge.padding : edge.padding + size])
        channels = 1 if edge.kind == "depthwise" else layer.shape[0]
        self._neurons = (torch.outer(*axes) * channels).to(device)

    def sops(self, spikes: torch.Tensor) -> int:
        """Synaptic operations of ``spikes`` [T, H, W] (see :func:`spike_maps`)."""
        return int((spikes.sum(dim=0) * self._neurons).sum())
