"""Post-training quantization (eqs. 1-10): from the float graph and calibration images to the integer network."""

import numpy as np
import numpy.typing as npt

from ..float_model import FloatArray, FloatModel
from ..graph import INPUT, IntArray, QuantizedNetwork
from ..membrane import with_membrane
from .calibration import batch_size, calibrate, checked_images
from .options import LayerReport, QuantizeOptions, QuantizeReport
from .peak_report import make_report, peak_images, peaks
from .walk import input_activations, quantized_layers

__all__ = ["LayerReport", "QuantizeOptions", "QuantizeReport", "dequantize_output", "quantize", "quantize_input"]


def quantize_input(network: QuantizedNetwork, images: npt.ArrayLike) -> IntArray:
    """The integers (T bits, clipped) that stand for real ``images`` [N, C, H, W], by ``network.scales``.

    Divided in float64; in float32 where images and scale are such numbers, as of a model that was quantized elsewhere:
    what is half a unit there has to be half a unit here.
    """
    steps = network.time_steps
    low, high = (-(1 << steps - 1), (1 << steps - 1) - 1) if network.input_signed else (0, (1 << steps) - 1)
    pixels, scale = np.asarray(images, dtype=np.float64), np.float64(network.scales[INPUT])
    short = pixels.astype(np.float32), np.float32(scale)
    values = short[0] / short[1] if short[1] == scale and (short[0] == pixels).all() else pixels / scale
    return np.clip(np.rint(values), low, high).astype(np.int64)


def dequantize_output(network: QuantizedNetwork, output: IntArray) -> FloatArray:
    """Real values of the last layer's integers [N, C, H, W]; to a raw layer's, the bias is added, as the host must."""
    last = network.layers[-1]
    values = np.asarray(output, dtype=np.float64)
    if last.raw:  # the bias is in units of the unscaled sum
        s1 = 1.0 if last.scaled is None else last.scaled.mult1 / 2.0**last.scaled.shift1
        values = values + last.bias[:, None, None] * s1
    return np.asarray(values * network.scales[last.name])


def quantize(
    model: FloatModel, calibration: npt.ArrayLike, options: QuantizeOptions | None = None
) -> tuple[QuantizedNetwork, QuantizeReport]:
    """The integer network of ``model``, with ranges from float ``calibration`` images [N, C, H, W], and the choices.

    Raises SdannError (UnsupportedError, DoesNotFitError) that names the layer and the remedy.
    """
    options = options or QuantizeOptions()
    options.check()
    images = checked_images(model, np.asarray(calibration, dtype=np.float64))
    ranges = calibrate(model, images)
    source = input_activations(model, ranges, options)
    found = quantized_layers(model, ranges, options)
    scales = {INPUT: source.scale} | {made.layer.name: made.output.scale for made in found}
    unscaled = QuantizedNetwork(
        name=model.name, input_shape=model.input_shape, input_signed=source.signed, time_steps=options.time_steps,
        membrane_bits=options.membrane_bits, weight_bits=options.weight_bits,
        layers=tuple(made.layer for made in found), scales=scales,
    )  # fmt: skip
    x = quantize_input(unscaled, images[: peak_images(unscaled, options)])
    seen = peaks(unscaled, x, batch_size(model))
    network = with_membrane(
        unscaled, options.membrane_bits, scaled=options.scaled, peaks=None if seen is None else seen.largest,
        mult_bits=options.mult_bits, max_shift=options.max_shift,
    )  # fmt: skip
    alive = {name: statistics.alive for name, statistics in ranges.statistics.items()}
    return network, make_report(found, network, seen, alive)
