"""What both models prepare of a layer before the first sample: its synapses, bounds of its sums, counts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..check import check_input
from ..errors import SdannError
from ..graph import INPUT, FanIn, IntArray, Layer, QuantizedNetwork
from .counting import Reach
from .products import Backend
from .requantize import value_type
from .synapses import EdgeInput, Synapses

__all__ = ["LayerPlan", "device_of", "input_map", "plan_layer", "source_range", "sum_bound"]


def device_of(name: str | torch.device) -> torch.device:
    """The device called ``name``; raises SdannError where torch has none such."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SdannError(f"torch cannot use device {name!s}: {error}") from None
    return device


def source_range(network: QuantizedNetwork, source: str) -> tuple[int, int]:
    """Least and greatest value of the input or of an unsigned layer's activations."""
    if source != INPUT:
        return 0, network.layer(source).hi
    steps = network.time_steps
    return (-(1 << steps - 1), (1 << steps - 1) - 1) if network.input_signed else (0, (1 << steps) - 1)


def sum_bound(layer: Layer, largest: Sequence[int]) -> int:
    """Bound of every |sum over edges of 2^k_e sum w x| where |x| of edge e is at most ``largest[e]``."""
    total = np.zeros(layer.shape[0], dtype=object)
    for edge, most in zip(layer.edges, largest, strict=True):
        total += np.abs(edge.weight).sum(axis=(1, 2, 3)).astype(object) * (most << edge.shift)
    return int(total.max())


def input_map(network: QuantizedNetwork, x: IntArray | torch.Tensor, device: torch.device) -> torch.Tensor:
    """The input [N, C, H, W] as [N, H, W, C] of the smallest type; raises SdannError for a wrong shape, type, range."""
    array = check_input(network, x.cpu().numpy() if isinstance(x, torch.Tensor) else x)
    low, high = source_range(network, INPUT)
    dtype = torch.int8 if low < 0 and high < 1 << 7 else value_type(low, high)
    return torch.from_numpy(array).to(device, dtype).permute(0, 2, 3, 1).contiguous()


@dataclass(frozen=True, kw_only=True)
class LayerPlan:
    """``parts``: each with its synapses. ``reaches``: of the edges."""

    layer: Layer
    parts: tuple[tuple[Synapses, ...], ...]
    reaches: tuple[Reach, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes that one sample's output row takes at a time: the largest columns, or the sums and their doubles."""
        every = [synapses for part in self.parts for synapses in part]
        columns = max(synapses.row_length * synapses.dtype.itemsize for synapses in every)
        sums = self.layer.shape[0] * (torch.int32.itemsize + torch.float64.itemsize)
        return self.layer.shape[2] * max(columns, sums)

    def sums(self, inputs: Sequence[EdgeInput], part: int, rows: slice) -> torch.Tensor:
        """Sums of one part's synapses [B, rows, W, C], of the edges' ``inputs`` [B, ...]."""
        some, *more = self.parts[part]
        width, channels = self.layer.shape[2], self.layer.shape[0]
        first = some.sums(inputs[some.number].for_synapses(some), rows, width)
        if first.shape[3] == channels:
            total = first
        else:  # a depthwise edge of which only some channels belong to this part
            total = first.new_zeros(*first.shape[:3], channels)
            total[..., some.neurons] = first
        for synapses in more:
            reached = total[..., synapses.neurons]
            reached += synapses.sums(inputs[synapses.number].for_synapses(synapses), rows, width)
        return total

    def sops(self, spikes: Sequence[torch.Tensor]) -> int:
        """Synaptic operations; ``spikes``: for each edge its source's spikes by step and position."""
        return sum(reach.sops(maps) for reach, maps in zip(self.reaches, spikes, strict=True))


def plan_layer(
    network: QuantizedNetwork,
    layer: Layer,
    parts: Sequence[Sequence[FanIn]],
    ranges: Sequence[tuple[int, int]],
    backends: list[Backend],
    device: torch.device,
    *,
    wide: bool,
) -> LayerPlan:
    """Prepares ``layer``. ``ranges``: of the values that each edge brings. ``wide``: sums need int64.

    Raises SdannError that names the layer where ``backends`` cannot hold its products.
    """
    try:
        synapses = tuple(
            tuple(
                Synapses(layer.edges[some.edge], some, *ranges[some.edge], wide=wide, backends=backends, device=device)
                for some in part
            )
            for part in parts
        )
    except SdannError as error:
        raise SdannError(f"layer {layer.name!r}: {error}") from None
    reaches = tuple(Reach(edge, layer, network.shape_of(edge.source), device) for edge in layer.edges)
    return LayerPlan(layer=layer, parts=synapses, reaches=reaches)
