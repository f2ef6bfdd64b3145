"""Sums over edges in ONNX's integer operators: MatMulInteger and ConvInteger, uint8 times uint8.

Those take 8-bit values less a zero point and make 32-bit sums. A signed value x goes in as x + 128 with the zero point
128; one of more than 8 bits as two, low and high. Weights are uint8 as well, although int8 would do without a zero
point: onnxruntime's kernels for uint8 x int8 add pairs of products in 16 bits, with saturation, on x86 processors that
lack VNNI; those for uint8 x uint8 add in 32 bits everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..graph import INPUT, Edge, IntArray, QuantizedNetwork
from .builder import GraphBuilder

__all__ = [
    "HALF", "Piece", "Sources", "WeightPiece", "add_all", "product", "product_bound", "split_weights", "value_type",
    "weight_tensor",
]  # fmt: skip

BYTE = 8
HALF = 1 << BYTE - 1
"""Zero point of signed bytes."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A uint8 tensor [N, C, H, W] that contributes ``(tensor - zero) << shift`` to a value."""

    tensor: str
    zero: int
    shift: int


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightPiece:
    """Bytes uint8 in the weight's shape that contribute ``(values - zero) << shift`` to it."""

    values: npt.NDArray[np.uint8]
    zero: int
    shift: int


def value_type(bits: int, signed: bool) -> np.dtype[Any]:
    """The smallest integer type for values of ``bits`` bits (1..16)."""
    return np.dtype(f"{'' if signed else 'u'}int{8 if bits <= BYTE else 16}")


def split_weights(weight: IntArray, bits: int) -> list[WeightPiece]:
    """``weight`` (two's complement of ``bits`` bits) as one or two pieces."""
    if bits <= BYTE:
        return [WeightPiece(values=(weight + HALF).astype(np.uint8), zero=HALF, shift=0)]
    low = weight % (1 << BYTE)
    high = (weight - low) // (1 << BYTE) + HALF
    return [
        WeightPiece(values=low.astype(np.uint8), zero=0, shift=0),
        WeightPiece(values=high.astype(np.uint8), zero=HALF, shift=BYTE),
    ]


class Sources:
    """The tensors of a network's values by source, in the forms that edges need; each form is made once."""

    def __init__(self, builder: GraphBuilder, network: QuantizedNetwork, input_name: str) -> None:
        self._builder, self._bits = builder, network.time_steps
        self._signed = {INPUT: network.input_signed}
        self._tensors = {INPUT: input_name}
        self._pieces: dict[str, tuple[Piece, ...]] = {}
        self._integers: dict[str, str] = {}
        self._planes: dict[tuple[str, int], str] = {}

    def add(self, name: str, tensor: str) -> None:
        """``tensor`` holds the activations of layer ``name``, of :func:`value_type`."""
        self._tensors[name], self._signed[name] = tensor, False

    def signed(self, source: str) -> bool:
        """Whether the values of ``source`` are two's complement."""
        return self._signed[source]

    def _int32(self, source: str) -> str:
        if source not in self._integers:
            self._integers[source] = self._builder.cast(self._tensors[source], np.int32)
        return self._integers[source]

    def pieces(self, source: str) -> tuple[Piece, ...]:
        """The values of ``source`` as uint8 tensors."""
        if source not in self._pieces:
            self._pieces[source] = self._split(source)
        return self._pieces[source]

    def _split(self, source: str) -> tuple[Piece, ...]:
        make, zero = self._builder, HALF if self._signed[source] else 0
        if self._bits <= BYTE and zero == 0:
            return (Piece(tensor=self._tensors[source], zero=0, shift=0),)
        value = self._int32(source)
        half, base = make.scalar(HALF, np.int32), make.scalar(1 << BYTE, np.int32)
        if self._bits <= BYTE:
            return (Piece(tensor=make.cast(make.node("Add", value, half), np.uint8), zero=HALF, shift=0),)
        low = make.node("Mod", value, base)  # of the divisor's sign, so 0..255
        high = make.node("Div", make.node("Sub", value, low), base)
        if zero:
            high = make.node("Add", high, half)
        return (
            Piece(tensor=make.cast(low, np.uint8), zero=0, shift=0),
            Piece(tensor=make.cast(high, np.uint8), zero=zero, shift=BYTE),
        )

    def plane(self, source: str, bit: int) -> Piece:
        """Bit number ``bit`` of the values' two's complement, 0 or 1."""
        if (source, bit) not in self._planes:
            make = self._builder
            rest = make.node("Mod", self._int32(source), make.scalar(2 << bit, np.int32))
            ones = make.node("Div", rest, make.scalar(1 << bit, np.int32))
            self._planes[source, bit] = make.cast(ones, np.uint8)
        return Piece(tensor=self._planes[source, bit], zero=0, shift=0)


def product_bound(weight: WeightPiece, largest: int, zero: int) -> int:
    """Bound of what a kernel's 32-bit accumulator may hold on the way, for values of 0 .. ``largest`` less ``zero``.

    onnxruntime's kernels begin with the zero points' share of the sum and see weights as signed bytes; with VNNI they
    saturate at 32 bits, so that not only the end must fit.
    """
    rows = weight.values.reshape(len(weight.values), -1).astype(np.int64)
    products = np.abs(rows - HALF).sum(axis=1) * largest
    shares = abs(HALF - weight.zero) * largest * rows.shape[1] + zero * np.abs((rows - weight.zero).sum(axis=1))
    return int((products + shares).max())


def weight_tensor(make: GraphBuilder, edge: Edge, weight: WeightPiece) -> str:
    """Name of a constant with the piece's bytes, as :func:`product` takes them."""
    values = weight.values.reshape(len(weight.values), -1).T if edge.kind == "linear" else weight.values
    return make.constant(values, np.uint8, "weight")


def product(make: GraphBuilder, edge: Edge, weight: WeightPiece, tensor: str, value: Piece) -> str:
    """int32 [N, C_out, H_out, W_out]: sum_i (w_i - its zero) (x_i - its zero), without any shift.

    ``tensor``: that of ``weight``.
    """
    zeros = make.scalar(value.zero, np.uint8), make.scalar(weight.zero, np.uint8)
    if edge.kind == "linear":
        sums = make.node("MatMulInteger", make.node("Flatten", value.tensor, axis=1), tensor, *zeros)
        return make.node("Unsqueeze", sums, make.constant([2, 3], np.int64, "axes"))
    return make.node(
        "ConvInteger", value.tensor, tensor, *zeros, kernel_shape=edge.weight.shape[2:], strides=[edge.stride] * 2,
        pads=[edge.padding] * 4, group=len(edge.weight) if edge.kind == "depthwise" else 1,
    )  # fmt: skip


def add_all(make: GraphBuilder, terms: Sequence[tuple[str, int]], data_type: npt.DTypeLike) -> str:
    """The sum of (tensor, factor) terms, tensors of int32 or of ``data_type``, as ``data_type``."""
    total = ""
    for tensor, factor in terms:
        term = tensor if np.dtype(data_type) == np.int32 else make.cast(tensor, data_type)
        if factor != 1:
            term = make.node("Mul", term, make.scalar(factor, data_type))
        total = make.node("Add", total, term) if total else term
    return total
