"""V(t) of a layer's neurons: V(t) = sat_N(2 V(t-1) + s_1(I(t))) (eqs. 15-18), step after step."""

from collections.abc import Callable

import torch

from ..check import isum_bound, membrane_bound, membrane_fits
from ..graph import Layer, QuantizedNetwork

__all__ = ["Integrator", "Keep"]

Keep = Callable[[int, torch.Tensor, torch.Tensor], None] | None
"""Takes (t, I(t), V(t)) [B, rows, W, C] and must copy what it keeps."""


class Integrator:
    """Integration of each part of ``layer``, in int32 where no value can exceed it. ``isum_bits``: width of I(t)."""

    def __init__(self, layer: Layer, network: QuantizedNetwork, isum_bits: int) -> None:
        self._scaled = layer.scaled if layer.scaled is not None and layer.scaled.shift1 else None
        self._isum_bits = isum_bits
        current = isum_bound(layer)
        self._wraps = current >= 1 << isum_bits - 1
        self.wide_currents = current >= 1 << 31
        self._fits = membrane_fits(layer, network)
        self._top = (1 << network.membrane_bits - 1) - 1
        bound = membrane_bound(layer, network.time_steps) if self._fits else self._top + 1
        if self._scaled is not None:
            half = 1 << self._scaled.shift1 - 1
            product = current * self._scaled.mult1 + half
            self._scale_type = torch.int32 if product < 1 << 31 else torch.int64
            current = product >> self._scaled.shift1
        widest = bound if self._fits else 2 * bound + current
        self._type = torch.int32 if widest < 1 << 31 else torch.int64
        self.total_bound = bound * len(layer.split)
        self.total_type = torch.int32 if self.total_bound < 1 << 31 else torch.int64

    def wrap(self, currents: torch.Tensor) -> torch.Tensor:
        """I(t) in two's complement of its width: wraps, never saturates."""
        if not self._wraps:
            return currents
        half = 1 << self._isum_bits - 1
        return ((currents.to(torch.int64) + half) & (2 * half - 1)) - half

    def _scale(self, current: torch.Tensor) -> torch.Tensor:
        if self._scaled is None:
            return current.to(self._type)
        product = current.to(self._scale_type) * self._scaled.mult1
        return ((product + (1 << self._scaled.shift1 - 1)) >> self._scaled.shift1).to(self._type)

    def run(self, currents: torch.Tensor, keep: Keep) -> tuple[torch.Tensor, int]:
        """(V(T-1) [B, rows, W, C] of :attr:`total_type`, saturated updates) from I [B, T, rows, W, C]."""
        v: torch.Tensor | None = None
        saturated = 0
        for t in range(currents.shape[1]):
            current = self._scale(currents[:, t])
            v = current.clone() if v is None else torch.add(current, v, alpha=2, out=v)
            if not self._fits:
                wide = v
                v = wide.clamp(-self._top - 1, self._top)
                saturated += int(torch.count_nonzero(v != wide))
            if keep is not None:
                keep(t, currents[:, t], v)
        assert v is not None
        return v.to(self.total_type), saturated
