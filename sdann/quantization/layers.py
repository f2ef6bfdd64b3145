"""One layer of integers from one float layer: weights, bias, requantization constants, clamp."""

import math
from dataclasses import dataclass, replace

import numpy as np

from ..check import edge_shape, isum_bound
from ..errors import DoesNotFitError, UnsupportedError
from ..fixed_point import to_multiplier
from ..float_model import FloatArray, FloatLayer, Grid
from ..graph import INPUT, BiasMode, Edge, IntArray, Layer, Shape
from ..observers import Statistics
from .options import QuantizeOptions
from .weights import FIXED, EdgeWeights, Source, edge_weights

__all__ = ["Activations", "QuantizedLayer", "bias_units", "quantized_layer"]


@dataclass(frozen=True, kw_only=True)
class Activations:
    """What a layer or the input offers its readers: shape, scale, largest integer, sign."""

    shape: Shape
    scale: float
    levels: int
    signed: bool
    mean_square: float


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedLayer:
    """The integer layer, and what the report tells of its making."""

    layer: Layer
    output: Activations
    bias_bits: tuple[int, int]
    skip_error: float | None


def _signed_bits(values: IntArray) -> int:
    return max((v if v >= 0 else ~v).bit_length() + 1 for v in (int(values.max()), int(values.min())))


def bias_units(
    bias: FloatArray, unit9: FloatArray, unit10: float, raw: bool, options: QuantizeOptions
) -> tuple[BiasMode, int, int]:
    """(mode, bits of eq. 9, bits of eq. 10); raises DoesNotFitError where the mode asked for needs too many."""
    bits9, bits10 = (_signed_bits(np.rint(bias / unit).astype(np.int64)) for unit in (unit9, unit10))
    if raw:  # the host adds it
        return "sum", bits9, bits10
    mode: BiasMode = "scaled" if options.scaled else "sum" if bits9 <= options.bias_bits else "scaled"
    if options.bias != "auto":
        mode = options.bias
    bits = bits9 if mode == "sum" else bits10
    if bits > options.bias_bits:
        remedy = 'bias="scaled" (eq. 10) needs ' + str(bits10) if mode == "sum" else "clip the weights or retrain"
        raise DoesNotFitError(f"its bias needs {bits} bits, the target has {options.bias_bits}; {remedy}")
    return mode, bits9, bits10


def _may_be_negative(layer: FloatLayer, sources: list[Activations]) -> bool:
    """Whether the layer can make a negative value before its ReLU."""
    smallest = min(float(layer.bias.min()), *(float(edge.weight.min()) for edge in layer.edges))
    return smallest < 0 or any(source.signed for source in sources)


def _check_sign(layer: FloatLayer, last: bool, signed: bool) -> None:
    if not signed:
        return
    if layer.edges[0].kind in FIXED and layer.edges[0].source == INPUT and len(layer.edges) == 1:
        what = "average" if layer.edges[0].kind == "avgpool" else "max"
        raise UnsupportedError(f"{what} pooling of a signed input; pool the data before the network")
    if not last:
        raise UnsupportedError("it is not followed by ReLU; only the last layer may lack it: add one")
    if layer.pool is not None:
        raise UnsupportedError("max pooling of an output without ReLU; pool on the host")


def _scale(
    layer: FloatLayer, sources: list[Activations], statistics: Statistics, levels: int, options: QuantizeOptions
) -> float:
    """S_a of the layer's activations.

    What only passes its source on keeps its scale, and an average pool takes it times a power of two, so that M is 1 /
    (K_h K_w) as exactly as the multiplier can say it.
    """
    reach = layer.range or statistics.range(options.observer, levels=levels, percentile=options.percentile)
    edge, source = layer.edges[0], sources[0]
    if len(sources) > 1 or edge.kind not in FIXED or source.signed or source.levels != levels or np.any(layer.bias):
        return reach / levels
    spare = math.floor(math.log2(source.scale * levels / reach) + 1e-9) if edge.kind == "avgpool" else 0
    return source.scale / 2.0 ** max(0, spare)


def _grid(layer: FloatLayer, options: QuantizeOptions) -> Grid | None:
    """The layer's grid, clipped; raises DoesNotFitError for one of more bits than there are."""
    grid = layer.grid
    if grid is None:
        return None
    if layer.clip is not None:  # rounding is monotonic: it may as well come first
        grid = replace(grid, hi=min(grid.hi, round(layer.clip / grid.step)))
    if grid.lo < 0 and not layer.relu:
        bits = max((~grid.lo).bit_length(), grid.hi.bit_length()) + 1
        if bits > options.out_bits and not options.raw:
            raise DoesNotFitError(
                f"its values {grid.lo}..{grid.hi} need {bits} bits, the output has {options.out_bits}: "
                f"use out_bits={bits}"
            )
    elif grid.hi >= 1 << options.time_steps:
        raise DoesNotFitError(
            f"its activations 0..{grid.hi} need {grid.hi.bit_length()} time steps, there are {options.time_steps}"
        )
    return grid


def _edges(layer: FloatLayer, found: EdgeWeights) -> tuple[Edge, ...]:
    return tuple(
        Edge(
            source=edge.source, weight=weight, stride=edge.stride, padding=edge.padding, shift=shift,
            kind="depthwise" if edge.kind == "avgpool" or edge.kind == "identity" else edge.kind,
        )
        for edge, weight, shift in zip(layer.edges, found.weights, found.shifts, strict=True)
    )  # fmt: skip


def _constants(found: EdgeWeights, scale: float, mode: BiasMode, options: QuantizeOptions) -> tuple[IntArray, IntArray]:
    """(mult, shift) per output channel."""
    factors = found.unit / scale
    if mode == "scaled":  # then a channel without weights needs no multiplier
        some = np.any([np.any(weight, axis=(1, 2, 3)) for weight in found.weights], axis=0)
        factors = np.where(some, factors, 0.0)
    pairs = [to_multiplier(f, mult_bits=options.mult_bits, max_shift=options.max_shift) for f in factors.tolist()]
    mult, shift = np.array(pairs, dtype=np.int64).T
    return mult.copy(), shift.copy()


def _check_isum(layer: Layer, options: QuantizeOptions) -> None:
    bound = isum_bound(layer)
    if bound >= 1 << options.isum_bits - 1:
        needed = bound.bit_length() + 1
        raise DoesNotFitError(
            f"its weights sum to {bound} in magnitude, I(t) of {options.isum_bits} bits holds "
            f"{(1 << options.isum_bits - 1) - 1}; use a chip with isum_bits={needed}, fewer inputs or fewer weight bits"
        )


def quantized_layer(
    layer: FloatLayer, sources: list[Activations], statistics: Statistics, last: bool, options: QuantizeOptions
) -> QuantizedLayer:
    """``layer`` in integers. ``sources``: what its edges read; ``statistics``: of its float activations.

    Raises UnsupportedError and DoesNotFitError without the layer's name.
    """
    grid = _grid(layer, options)
    signed = not layer.relu and (
        _may_be_negative(layer, sources) or (last and (options.raw or options.out_bits > options.time_steps))
        if grid is None
        else grid.lo < 0
    )
    _check_sign(layer, last, signed)
    raw = last and signed and options.raw
    low, levels = (-(1 << options.out_bits - 1), (1 << options.out_bits - 1) - 1) if signed else (0, options.levels)
    if grid is not None:
        low, levels = (grid.lo if signed else 0), grid.hi
    per_channel = options.per_channel and not raw  # a raw output has one scale
    found = edge_weights(
        layer, [Source(scale=s.scale, mean_square=s.mean_square) for s in sources], weight_bits=options.weight_bits,
        per_channel=per_channel, max_shift=options.max_edge_shift, observer=options.weight_observer,
    )  # fmt: skip
    scale = _scale(layer, sources, statistics, levels, options) if grid is None else grid.step
    if raw:
        scale = float(found.unit[0])
        if np.ptp(found.unit) > 1e-12 * scale:
            raise UnsupportedError(
                "a raw output has one scale, and its weights have several; quantize them per tensor, or leave out raw"
            )
    mode, *bits = bias_units(layer.bias, found.unit, scale, raw, options)
    bias = np.rint(layer.bias / (found.unit if mode == "sum" else scale)).astype(np.int64)
    mult, shift = _constants(found, scale, mode, options)
    edges = _edges(layer, found)
    quantized = Layer(
        name=layer.name, shape=edge_shape(edges[0], sources[0].shape), edges=edges, mult=mult, shift=shift, bias=bias,
        bias_mode=mode, lo=low, hi=levels, signed=signed, pool=layer.pool, raw=raw,
    )  # fmt: skip
    _check_isum(quantized, options)
    output = Activations(
        shape=quantized.output_shape, scale=scale, levels=levels, signed=signed, mean_square=statistics.mean_square
    )
    return QuantizedLayer(layer=quantized, output=output, bias_bits=(bits[0], bits[1]), skip_error=found.skip_error)
