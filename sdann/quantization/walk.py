"""The whole graph in integers, layer by layer: every layer's scale is known before its readers need it."""

from ..errors import SdannError, UnsupportedError
from ..float_model import FloatModel, Grid
from ..graph import INPUT, Shape
from .calibration import Calibration
from .layers import Activations, QuantizedLayer, quantized_layer
from .options import QuantizeOptions

__all__ = ["input_activations", "quantized_layers"]


def input_activations(model: FloatModel, calibration: Calibration, options: QuantizeOptions) -> Activations:
    """What the input offers its readers; raises SdannError for values that it cannot stand for."""
    if model.input_grid is not None:
        return _given_input(model.input_shape, model.input_grid, calibration, options)
    signed = calibration.negative if options.input_signed is None else options.input_signed
    if not signed and calibration.negative:
        raise SdannError("the calibration images hold negative values: use a signed input")
    statistics = calibration.statistics[INPUT]
    largest = options.input_range or model.input_range or statistics.largest
    if largest <= 0:
        raise SdannError(f"the input range must be above 0, not {largest}")
    levels = (1 << options.time_steps - signed) - 1
    return Activations(
        shape=model.input_shape, scale=largest / levels, levels=levels, signed=signed,
        mean_square=statistics.mean_square,
    )  # fmt: skip


def _given_input(shape: Shape, grid: Grid, calibration: Calibration, options: QuantizeOptions) -> Activations:
    """The input of a model that is quantized already, which must use all values of T bits: no other clamp is there."""
    signed, steps = grid.lo < 0, options.time_steps
    low, high = (-(1 << steps - 1), (1 << steps - 1) - 1) if signed else (0, (1 << steps) - 1)
    if (grid.lo, grid.hi) != (low, high):
        raise UnsupportedError(
            f"the model's input takes {grid.lo}..{grid.hi} (after subtracting the zero point), with {steps} time steps "
            f"it must be {low}..{high}: quantize it symmetrically or with a zero point at its least value "
            '(onnxruntime: extra_options={"ActivationSymmetric": True}), and with as many bits as there are time steps'
        )
    mean_square = calibration.statistics[INPUT].mean_square
    return Activations(shape=shape, scale=grid.step, levels=high, signed=signed, mean_square=mean_square)


def quantized_layers(model: FloatModel, calibration: Calibration, options: QuantizeOptions) -> list[QuantizedLayer]:
    """All layers in integers; raises SdannError that names the layer."""
    known = {INPUT: input_activations(model, calibration, options)}
    found = []
    for layer in model.layers:
        sources = [known[edge.source] for edge in layer.edges]
        try:
            made = quantized_layer(
                layer, sources, calibration.statistics[layer.name], layer is model.layers[-1], options
            )
        except SdannError as error:
            raise type(error)(f"layer {layer.name!r}: {error}") from None
        known[layer.name] = made.output
        found.append(made)
    return found
