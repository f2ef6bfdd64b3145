"""Requantization, exactly: floor((v m + c) 2^-sh) with c = 2^(sh-1) + (b << sh), or + b m with eq. 9's bias."""

from typing import Literal

import numpy as np
import torch

from ..graph import Layer

__all__ = ["Requantizer", "value_type"]


def value_type(low: int, high: int) -> torch.dtype:
    """The smallest of uint8, int16 and int32 that holds low..high."""
    if low >= 0 and high < 1 << 8:
        return torch.uint8
    return torch.int16 if low >= -(1 << 15) and high < 1 << 15 else torch.int32


class Requantizer:
    """Requantization of a layer's sums, |v| <= ``reach``; channels are the last axis.

    ``arithmetic``: "float64" where every v m + c is below 2^53: v (m 2^-sh) + c 2^-sh is then exact, since scaling by
    a power of two is. "int64" where it is below 2^63, else "object": Python's integers.
    """

    arithmetic: Literal["float64", "int64", "object"]

    def __init__(self, layer: Layer, reach: int, device: torch.device) -> None:
        self._lo, self._hi = layer.lo, layer.hi
        self.dtype = value_type(layer.lo, layer.hi)
        mult, shift, bias = ([int(value) for value in array] for array in (layer.mult, layer.shift, layer.bias))
        constant = [
            (b * m if layer.bias_mode == "sum" else b << sh) + (1 << sh - 1)
            for m, sh, b in zip(mult, shift, bias, strict=True)
        ]
        largest = max(reach * m + abs(c) for m, c in zip(mult, constant, strict=True))
        if largest < 1 << 53 and max(shift) < 1000:
            self.arithmetic = "float64"
            scale = [2.0**-sh for sh in shift]
            self._mult = self._tensor([m * s for m, s in zip(mult, scale, strict=True)], torch.float64, device)
            self._constant = self._tensor([c * s for c, s in zip(constant, scale, strict=True)], torch.float64, device)
        elif largest < 1 << 63:
            self.arithmetic = "int64"
            self._mult, self._constant, self._shift = (
                self._tensor(values, torch.int64, device) for values in (mult, constant, shift)
            )
        else:
            self.arithmetic = "object"
            self._objects = tuple(np.array(values, dtype=object) for values in (mult, constant, shift))

    @staticmethod
    def _tensor(values: list[int] | list[float], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        """Activations of :attr:`dtype` from v, int32 or int64 [..., C]."""
        if self.arithmetic == "float64":
            scaled = torch.mul(v, self._mult).add_(self._constant)
            if self._lo < 0:
                scaled = scaled.floor_()
            # Conversion cuts the fraction off, which is the floor of what is not negative.
            return scaled.clamp_(self._lo, self._hi).to(self.dtype)
        if self.arithmetic == "int64":
            return (v * self._mult + self._constant >> self._shift).clamp_(self._lo, self._hi).to(self.dtype)
        mult, constant, shift = self._objects
        scaled_objects = v.cpu().numpy().astype(object) * mult + constant >> shift
        clamped = np.clip(scaled_objects, self._lo, self._hi).astype(np.int64)
        return torch.from_numpy(clamped).to(v.device, self.dtype)
