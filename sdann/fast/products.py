"""Exact matrix products of integers, as int8 or in floating point: columns [M, K] x weights [K, N] -> sums [M, N].

Why each is exact is said at its class, and in docs/models.md.
"""

from collections.abc import Iterator
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from torch.nn import functional

from ..errors import SdannError
from ..graph import IntArray
from .self_test import is_exact

__all__ = ["Backend", "FloatProduct", "Int8Product", "Product", "backends_for", "make_product", "usable"]

Backend = Literal["auto", "int8", "float32", "float64"]


class Product(Protocol):
    """``dtype``: of the columns. ``offset``: what is to be subtracted from each of their entries, zeros of the padding
    included.
    """

    dtype: torch.dtype
    offset: int

    def __call__(self, columns: torch.Tensor) -> torch.Tensor:
        """Sums, int32 where they fit, else int64."""


def _plain(matrix: torch.Tensor) -> torch.Tensor:
    """``matrix`` with rows one after the other, and strides that say so."""
    if matrix.stride() == (matrix.shape[1], 1):
        return matrix
    return torch.empty(matrix.shape, dtype=matrix.dtype, device=matrix.device).copy_(matrix)


def _int_mm(columns: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`torch._int_mm`, which is wrong for one row whose strides are those of a column (torch 2.13), and which on GPUs
    takes more than 16 rows and multiples of 8 only.
    """
    columns, weight = _plain(columns), _plain(weight)
    if columns.device.type == "cpu":
        return torch._int_mm(columns, weight)
    (m, k), n = columns.shape, weight.shape[1]
    columns = functional.pad(columns, (0, -k % 8, 0, max(0, 32 - m)))
    return torch._int_mm(columns, functional.pad(weight, (0, -n % 8, 0, -k % 8)))[:m, :n]


def usable(backend: Backend, device: torch.device) -> bool:
    """Whether the products of ``backend`` pass their self-test, here and with torch's present settings."""
    if backend == "int8":
        return is_exact(_int_mm, torch.int8, device)
    return is_exact(torch.mm, torch.float32 if backend == "float32" else torch.float64, device)


def _sum_type(weight: IntArray, largest: int) -> torch.dtype:
    reach = largest * int(np.abs(weight).sum(axis=0).max())
    return torch.int32 if reach < 1 << 31 else torch.int64


class Int8Product:
    """int8 x int8 -> int32. Values of 0..255 enter as x - 128, and 128 sum(w) is added after.

    |x - 128| <= 128, so every partial sum is at most 255 sum|w|, which :meth:`fits` keeps below 2^31.
    """

    dtype = torch.int8

    def __init__(self, weight: IntArray, low: int, high: int, device: torch.device) -> None:
        self.offset = 128 if high > 127 else 0
        self._weight = torch.from_numpy(weight.astype(np.int8)).to(device)
        self._correction = None
        if self.offset:
            self._correction = torch.from_numpy((self.offset * weight.sum(axis=0)).astype(np.int32)).to(device)

    @staticmethod
    def fits(weight: IntArray, low: int, high: int) -> bool:
        """Whether weights [K, N] and values ``low..high`` are of 8 bits, and their sums of 32."""
        bytes_only = weight.min() >= -128 and weight.max() <= 127 and low >= -128 and high <= (127 if low < 0 else 255)
        return bool(bytes_only and _sum_type(weight, 255) == torch.int32)

    def __call__(self, columns: torch.Tensor) -> torch.Tensor:
        """Sums as int32."""
        sums = _int_mm(columns, self._weight)
        return sums if self._correction is None else sums.add_(self._correction)


class FloatProduct:
    """Floating point, over blocks of the fan-in in each of which max|x| sum|w| is at most 2^24 (float32) or 2^53.

    Then every partial sum, in any order, is an integer that the type holds, so none is ever rounded. The blocks' sums
    are added as integers. A split into blocks costs no multiplications, unlike one of the weights into halves.
    """

    offset = 0

    def __init__(self, weight: IntArray, low: int, high: int, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype = dtype
        largest = max(1, -low, high)
        self._sum_type = _sum_type(weight, largest)
        self._blocks = [
            (start, stop, torch.from_numpy(weight[start:stop]).to(device, dtype))
            for start, stop in self._split(weight, largest, dtype)
        ]

    @staticmethod
    def _split(weight: IntArray, largest: int, dtype: torch.dtype) -> Iterator[tuple[int, int]]:
        limit = (1 << (24 if dtype == torch.float32 else 53)) // largest
        start, reach = 0, np.zeros(weight.shape[1], dtype=np.int64)
        for k, row in enumerate(np.abs(weight)):
            if (reach + row).max() > limit and k > start:
                yield start, k
                start, reach = k, np.zeros_like(reach)
            reach = reach + row
        yield start, len(weight)

    @staticmethod
    def fits(weight: IntArray, low: int, high: int, dtype: torch.dtype) -> bool:
        """Whether the type holds each single product, so that blocks can be found."""
        return max(-low, high) * int(np.abs(weight).max()) <= 1 << (24 if dtype == torch.float32 else 53)

    def __call__(self, columns: torch.Tensor) -> torch.Tensor:
        """Sums as int32 or int64."""
        total: torch.Tensor | None = None
        for start, stop, weight in self._blocks:
            sums = torch.mm(columns[:, start:stop], weight).to(self._sum_type)
            total = sums if total is None else total.add_(sums)
        assert total is not None
        return total


def make_product(
    weight: IntArray, low: int, high: int, backends: list[Backend], device: torch.device, what: str
) -> Product:
    """A product with ``weight`` [K, N] for values ``low..high``: the first of ``backends`` that fits.

    Raises SdannError that begins with ``what`` where none does.
    """
    for backend in backends:
        if backend == "int8" and Int8Product.fits(weight, low, high):
            return Int8Product(weight, low, high, device)
        dtype = {"float32": torch.float32, "float64": torch.float64}.get(backend)
        if dtype is not None and FloatProduct.fits(weight, low, high, dtype):
            return FloatProduct(weight, low, high, dtype, device)
    raise SdannError(
        f"{what}: {' and '.join(backends)} cannot hold products of values {low}..{high} and these weights: "
        f'use backend "auto"'
    )


def backends_for(backend: Backend, device: torch.device) -> list[Backend]:
    """The usable ones among what ``backend`` stands for, fastest first. Raises SdannError for a forced one that is
    not, and where none is.
    """
    known: tuple[Backend, ...] = get_args(Backend)
    if backend not in known:
        raise SdannError(f"unknown backend {backend!r}; known: {', '.join(known)}")
    if backend != "auto":
        if not usable(backend, device):
            raise SdannError(f'{backend} products are not exact on this {device.type}: use backend "auto"')
        return [backend]
    order: list[Backend] = ["int8", "float32", "float64"]
    mkldnn = torch.backends.mkldnn
    if device.type == "cpu" and not (mkldnn.is_available() and mkldnn.enabled):  # type: ignore[no-untyped-call]
        order.remove("int8")  # exact, but a plain loop without oneDNN
    found = [name for name in order if usable(name, device)]
    if not found:
        raise SdannError(f"no matrix product of torch is exact on {device}: use another device")
    return found
