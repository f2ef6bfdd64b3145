"""Post-training quantization (eqs. 1-10): from float layers and calibration images to the integer network."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from .check import edge_shape, isum_bound, membrane_bound, membrane_fits
from .errors import DoesNotFitError, SdannError, UnsupportedError
from .fixed_point import to_multiplier
from .float_model import FloatArray, FloatLayer, FloatModel, forward
from .graph import INPUT, BiasMode, Edge, EdgeKind, IntArray, Layer, QuantizedNetwork, Shape
from .membrane import peak_membrane, with_membrane
from .observers import Observer, observe
from .reference import run

__all__ = ["LayerReport", "QuantizeOptions", "QuantizeReport", "quantize", "quantize_input"]


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """How to quantize. Widths in bits; those of the target chip limit what the quantizer accepts.

    ``time_steps`` T: bits of input and activations. ``per_channel``: a weight scale per output channel instead of per
    layer. ``observer``, ``percentile``: see :func:`sdann.observers.observe`. ``activations``: "unsigned" 0..2^T-1, or
    "signed" [0, 2^(T-1)-1]. ``bias``: "sum" (eq. 9), "scaled" (eq. 10), or "auto": eq. 10 where eq. 9's bias exceeds
    ``bias_bits``. ``input_signed``: None takes what the calibration images need. ``input_range``: the input's largest
    magnitude, None takes the images'. ``scaled``: scaled integration into the membrane of ``membrane_bits`` (always
    with eq. 10's bias).
    """

    time_steps: int = 8
    weight_bits: int = 8
    per_channel: bool = False
    observer: Observer = "minmax"
    percentile: float = 99.9
    activations: Literal["unsigned", "signed"] = "unsigned"
    bias: Literal["auto", "sum", "scaled"] = "auto"
    input_signed: bool | None = None
    input_range: float | None = None
    membrane_bits: int = 32
    scaled: bool = False
    bias_bits: int = 16
    mult_bits: int = 16
    max_shift: int = 31
    isum_bits: int = 24


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What quantization chose for one layer.

    ``scale``: real value of one unit of its activations. ``bias_bits_sum``, ``bias_bits_scaled``: bits that eq. 9's
    and eq. 10's bias need. ``isum_bound``: worst-case |I(t)|. ``membrane_bits``: width that no input can saturate.
    ``membrane_peak``: largest |V(t)| on the calibration set, in units of the unscaled sum. ``overflow``: of the
    network's membrane. ``alive``: share of non-zero activations.
    """

    name: str
    scale: float
    bias_mode: BiasMode
    bias_bits_sum: int
    bias_bits_scaled: int
    isum_bound: int
    membrane_bits: int
    membrane_peak: int
    overflow: Literal["impossible", "unlikely", "expected"]
    alive: float


@dataclass(frozen=True, kw_only=True)
class QuantizeReport:
    """One entry per layer, in graph order."""

    layers: tuple[LayerReport, ...]


def _signed_bits(values: IntArray) -> int:
    return max((v if v >= 0 else ~v).bit_length() + 1 for v in (int(values.max()), int(values.min())))


def quantize_input(network: QuantizedNetwork, images: npt.ArrayLike) -> IntArray:
    """The integers (T bits, clipped) that stand for real ``images`` [N, C, H, W], by ``network.scales``."""
    steps = network.time_steps
    low, high = (-(1 << steps - 1), (1 << steps - 1) - 1) if network.input_signed else (0, (1 << steps) - 1)
    values = np.asarray(images, dtype=np.float64) / network.scales[INPUT]
    return np.clip(np.rint(values), low, high).astype(np.int64)


def _quantized_weight(layer: FloatLayer, options: QuantizeOptions) -> tuple[IntArray, FloatArray]:
    """(integer weights, S_w per output channel), symmetric; an all-zero channel takes the layer's scale."""
    if layer.edges[0].kind == "avgpool":
        return np.ones(layer.edges[0].weight.shape, dtype=np.int64), layer.edges[0].weight[:, 0, 0, 0]
    limit = (1 << options.weight_bits - 1) - 1
    peaks = np.abs(layer.edges[0].weight).max(axis=(1, 2, 3))
    if peaks.max() == 0:
        raise SdannError("all its weights are zero")
    if not options.per_channel:
        peaks[:] = peaks.max()
    scales = np.where(peaks > 0, peaks, peaks.max()) / limit
    return np.rint(layer.edges[0].weight / scales[:, None, None, None]).astype(np.int64), scales


def _bias(
    layer: FloatLayer, unit9: FloatArray, unit10: float, options: QuantizeOptions
) -> tuple[IntArray, BiasMode, int, int]:
    """(bias, mode, bits of eq. 9, bits of eq. 10)."""
    wide, narrow = np.rint(layer.bias / unit9).astype(np.int64), np.rint(layer.bias / unit10).astype(np.int64)
    bits9, bits10 = _signed_bits(wide), _signed_bits(narrow)
    mode: BiasMode = "scaled" if options.scaled else "sum" if bits9 <= options.bias_bits else "scaled"
    if options.bias != "auto":
        mode = options.bias
    bits = bits9 if mode == "sum" else bits10
    if bits > options.bias_bits:
        remedy = 'bias="scaled" (eq. 10) needs ' + str(bits10) if mode == "sum" else "clip the weights or retrain"
        raise DoesNotFitError(f"its bias needs {bits} bits, the target has {options.bias_bits}; {remedy}")
    return wide if mode == "sum" else narrow, mode, bits9, bits10


def _quantized_layer(
    layer: FloatLayer,
    source: str,
    shape: Shape,
    scale_in: float,
    values: FloatArray,
    signed: bool,
    options: QuantizeOptions,
) -> tuple[Layer, float, int, int]:
    """(layer, its scale, bias bits of eq. 9, of eq. 10). ``values``: its float outputs on the calibration set."""
    steps = options.time_steps
    hi = (1 << steps - (signed or options.activations == "signed")) - 1
    weight, weight_scales = _quantized_weight(layer, options)
    if layer.edges[0].kind == "avgpool":
        scale = scale_in
    else:
        scale = observe(values, options.observer, levels=hi, percentile=options.percentile) / hi
    floating = layer.edges[0].kind
    kind: EdgeKind = "depthwise" if floating in ("avgpool", "identity") else floating  # type: ignore[assignment]
    edge = Edge(source=source, kind=kind, weight=weight, stride=layer.edges[0].stride, padding=layer.edges[0].padding)
    factors = weight_scales * scale_in / scale
    bias, mode, bits9, bits10 = _bias(layer, weight_scales * scale_in, scale, options)
    if mode == "scaled":  # then a channel without weights needs no multiplier
        factors = np.where(np.any(weight, axis=(1, 2, 3)), factors, 0.0)
    pairs = [to_multiplier(f, mult_bits=options.mult_bits, max_shift=options.max_shift) for f in factors.tolist()]
    constants = np.array(pairs, dtype=np.int64)
    quantized = Layer(
        name=layer.name, shape=edge_shape(edge, shape), edges=(edge,), mult=constants[:, 0].copy(),
        shift=constants[:, 1].copy(), bias=bias, bias_mode=mode, lo=-hi - 1 if signed else 0, hi=hi, signed=signed,
    )  # fmt: skip
    bound = isum_bound(quantized)
    if bound >= 1 << options.isum_bits - 1:
        raise DoesNotFitError(
            f"its weights sum to {bound} in magnitude, I(t) of {options.isum_bits} bits holds "
            f"{(1 << options.isum_bits - 1) - 1}; use fewer inputs, fewer weight bits, or a wider I(t)"
        )
    return quantized, scale, bits9, bits10


def _report(
    unscaled: QuantizedNetwork, network: QuantizedNetwork, x: IntArray, bias_bits: dict[str, tuple[int, int]]
) -> QuantizeReport:
    wide = replace(unscaled, membrane_bits=62)
    result = run(wide, x)
    layers = []
    for before, layer in zip(unscaled.layers, network.layers, strict=True):
        peak = peak_membrane(wide, before, result)
        limit = 1 << network.membrane_bits - 1
        calibrated = layer.scaled is not None or peak < limit
        activations = result.activations[layer.name]
        layers.append(
            LayerReport(
                name=layer.name, scale=network.scales[layer.name], bias_mode=layer.bias_mode,
                bias_bits_sum=bias_bits[layer.name][0], bias_bits_scaled=bias_bits[layer.name][1],
                isum_bound=isum_bound(before), membrane_peak=peak,
                membrane_bits=membrane_bound(before, network.time_steps).bit_length() + 1,
                overflow="impossible" if membrane_fits(layer, network) else "unlikely" if calibrated else "expected",
                alive=float(np.count_nonzero(activations) / activations.size),
            )
        )  # fmt: skip
    return QuantizeReport(layers=tuple(layers))


def quantize(
    model: FloatModel, calibration: npt.ArrayLike, options: QuantizeOptions | None = None
) -> tuple[QuantizedNetwork, QuantizeReport]:
    """The integer network of ``model``, with ranges from float ``calibration`` images [N, C, H, W], and the choices.

    Raises SdannError (UnsupportedError, DoesNotFitError) that names the layer and the remedy.
    """
    options = options or QuantizeOptions()
    if options.scaled and options.bias == "sum":
        raise SdannError('scaled integration needs eq. 10\'s bias: use bias="scaled" or "auto"')
    images = np.asarray(calibration, dtype=np.float64)
    if images.ndim != 4 or images.shape[1:] != model.input_shape or len(images) == 0 or not np.isfinite(images).all():
        raise SdannError(
            f"calibration images must be finite and of shape [N, {', '.join(map(str, model.input_shape))}]"
        )
    steps = options.time_steps
    input_signed = bool(images.min() < 0) if options.input_signed is None else options.input_signed
    if not input_signed and images.min() < 0:
        raise SdannError("the calibration images hold negative values: use a signed input")
    largest = float(np.abs(images).max()) if options.input_range is None else options.input_range
    if largest <= 0:
        raise SdannError("the calibration images are all zero: give others, or an input range")
    outputs = forward(model, images)
    scale = largest / ((1 << steps - input_signed) - 1)
    scales = {INPUT: scale}
    layers: list[Layer] = []
    bias_bits: dict[str, tuple[int, int]] = {}
    source, shape = INPUT, model.input_shape
    for layer in model.layers:
        last = layer is model.layers[-1]
        signed = not layer.relu and layer.edges[0].kind != "avgpool"
        if signed and not last:
            raise UnsupportedError(
                f"layer {layer.name!r} is not followed by ReLU; only the last layer may lack it: add one"
            )
        if layer.edges[0].kind == "avgpool" and source == INPUT and input_signed:
            raise UnsupportedError(
                f"layer {layer.name!r}: average pooling of a signed input; pool the data before the network"
            )
        try:
            quantized, scale, *bits = _quantized_layer(
                layer, source, shape, scale, outputs[layer.name], signed, options
            )
        except SdannError as error:
            raise type(error)(f"layer {layer.name!r}: {error}") from None
        layers.append(quantized)
        scales[layer.name] = scale
        bias_bits[layer.name] = (bits[0], bits[1])
        source, shape = layer.name, quantized.shape
    unscaled = QuantizedNetwork(
        name=model.name, input_shape=model.input_shape, input_signed=input_signed, time_steps=steps,
        membrane_bits=options.membrane_bits, weight_bits=options.weight_bits, layers=tuple(layers), scales=scales,
    )  # fmt: skip
    x = quantize_input(unscaled, images)
    network = with_membrane(
        unscaled, options.membrane_bits, scaled=options.scaled, calibration=x, mult_bits=options.mult_bits,
        max_shift=options.max_shift,
    )  # fmt: skip
    return network, _report(unscaled, network, x, bias_bits)
