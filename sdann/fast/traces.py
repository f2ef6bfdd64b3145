"""Records of I(t) and V(t) of one layer, part by part."""

from collections.abc import Collection

import torch

from ..graph import Layer
from ..stem import Record
from .integrate import Keep

__all__ = ["Traces"]


class Traces:
    """What ``record`` asks for, of ``samples`` N: int64 [P, T, N, H, W, C] on the processor."""

    def __init__(self, layer: Layer, samples: int, steps: int, record: Collection[Record]) -> None:
        self._layer = layer
        channels, height, width = layer.shape
        shape = (len(layer.split), steps, samples, height, width, channels)
        kinds: tuple[Record, Record] = ("currents", "membranes")
        self._kept = {kind: torch.zeros(shape, dtype=torch.int64) for kind in kinds if kind in record}

    def keeper(self, part: int, samples: slice, rows: slice) -> Keep:
        """Keeps steps of some samples and rows of one part; None where nothing is recorded."""
        if not self._kept:
            return None

        def keep(t: int, current: torch.Tensor, membrane: torch.Tensor) -> None:
            for kind, values in (("currents", current), ("membranes", membrane)):
                if kind in self._kept:
                    self._kept[kind][part, t, samples, rows] = values.cpu().to(torch.int64)

        return keep

    def store(
        self,
        currents: dict[str, torch.Tensor],
        membranes: dict[str, torch.Tensor],
        part_currents: dict[str, torch.Tensor],
        part_membranes: dict[str, torch.Tensor],
    ) -> None:
        """Enters the records as [T, N, C, H, W] and, of a layer with parts, [P, T, N, C, H, W]."""
        for kind, whole, parts in (
            ("currents", currents, part_currents),
            ("membranes", membranes, part_membranes),
        ):
            if kind in self._kept:
                traces = self._kept[kind].permute(0, 1, 2, 5, 3, 4)
                whole[self._layer.name] = traces.sum(dim=0)
                if self._layer.parts:
                    parts[self._layer.name] = traces
