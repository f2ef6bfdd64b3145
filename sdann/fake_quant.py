"""The float graph as a torch module whose weights and activations take the integer network's values.

It serves to train (straight-through gradients: rounding counts as the identity, clipping as a wall), never to judge: it
is in floating point, and knows nothing of the multiplier's 16 bits.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .float_model import FloatArray, FloatEdge, FloatLayer, FloatModel, edge_output
from .graph import INPUT
from .quantization.calibration import Calibration
from .quantization.layers import Activations, QuantizedLayer, bias_units
from .quantization.options import QuantizeOptions
from .quantization.walk import input_activations, quantized_layers
from .quantization.weights import FIXED, Source, edge_weights

__all__ = ["FakeQuantized"]

RANGE_RATE = 10
"""Ranges learn so much faster than weights. On the digits at 2 bits, 1, 10 and 100 make no clear difference."""


def _rounded(x: torch.Tensor) -> torch.Tensor:
    """Round half up, as the chip does; the gradient passes as if nothing had happened.

    The means of average pooling are often half a unit, of which float32 may lose some millionths.
    """
    return x + (torch.floor(x + 0.5001) - x).detach()


def _gently(parameter: torch.Tensor, elements: int, levels: int) -> torch.Tensor:
    """``parameter`` with a gradient that does not grow with the number of activations that share it."""
    factor = RANGE_RATE / float(np.sqrt(elements * levels))
    return parameter * factor + (parameter * (1 - factor)).detach()


@dataclass(frozen=True)
class _Signal:
    """Activations (real values) with the value of one unit, and their mean square in calibration."""

    values: torch.Tensor
    unit: torch.Tensor
    mean_square: float


class _Layer(nn.Module):
    """One layer. Parameters: the weights of its trained edges, its bias, the logarithm of its range."""

    def __init__(self, layer: FloatLayer, made: QuantizedLayer, sources: list[Activations], options: QuantizeOptions):
        super().__init__()
        self.layer, self.made, self.options = layer, made, options
        self.weights = nn.ParameterList(
            nn.Parameter(torch.as_tensor(edge.weight, dtype=torch.float32), requires_grad=edge.kind not in FIXED)
            for edge in layer.edges
        )
        self.bias = nn.Parameter(torch.as_tensor(layer.bias, dtype=torch.float32))
        octaves = float(np.log2(made.output.scale / sources[0].scale))
        edge = layer.edges[0]
        # What passes its source on takes its scale, times a power of two.
        self.passes = len(layer.edges) == 1 and edge.kind in FIXED and octaves == round(octaves) and octaves <= 0
        self.ratio = 2.0**octaves
        self.bias.requires_grad_(not self.passes)
        self.log_range = nn.Parameter(
            torch.tensor(np.log(made.output.scale * made.output.levels), dtype=torch.float32),
            requires_grad=not (self.passes or made.layer.raw),
        )

    def float_layer(self, *, ranges: bool) -> FloatLayer:
        """The layer with its present parameters, and with its range unless a source decides it."""
        arrays = [np.asarray(w.detach().to(torch.float64).numpy()) for w in self.weights]
        edges = tuple(
            edge if edge.kind in FIXED else replace(edge, weight=weight)
            for edge, weight in zip(self.layer.edges, arrays, strict=True)
        )
        bias = self.layer.bias if self.passes else np.asarray(self.bias.detach().to(torch.float64).numpy())
        kept = self.passes or self.made.layer.raw or not ranges
        reach = self.layer.range if kept else float(self.log_range.detach().exp())
        return replace(self.layer, edges=edges, bias=bias, range=reach)

    def forward(self, signals: list[_Signal]) -> _Signal:
        options, output, raw = self.options, self.made.output, self.made.layer.raw
        now = self.float_layer(ranges=False)
        found = edge_weights(
            now, [Source(scale=float(s.unit.detach()), mean_square=s.mean_square) for s in signals],
            weight_bits=options.weight_bits, per_channel=options.per_channel and not raw,
            max_shift=options.max_edge_shift, observer=options.weight_observer,
        )  # fmt: skip
        z = torch.zeros(())
        limit = (1 << options.weight_bits - 1) - 1
        for edge, weight, shift, signal in zip(now.edges, self.weights, found.shifts, signals, strict=True):
            z = z + edge_output(edge, signal.values, _on_grid(weight, edge, found.unit, shift, signal, limit))
        elements = z[0].numel()
        unit = signals[0].unit * self.ratio
        if not self.passes:
            unit = _gently(self.log_range, elements, output.levels).exp() / output.levels
        bias_unit: torch.Tensor = torch.as_tensor(found.unit, dtype=torch.float32)
        if not raw and bias_units(now.bias, found.unit, float(unit.detach()), raw, options)[0] == "scaled":
            bias_unit = unit.detach().expand(len(self.bias))
        z = z + (_rounded(self.bias / bias_unit) * bias_unit)[:, None, None]
        if not raw:
            low = -output.levels - 1 if output.signed else 0
            z = _rounded(torch.clamp(z / unit, low, output.levels)) * unit
        if self.layer.pool is not None:
            z = functional.max_pool2d(z, self.layer.pool.kernel, self.layer.pool.stride, self.layer.pool.padding)
        return _Signal(z, unit, output.mean_square)


def _on_grid(
    weight: torch.Tensor, edge: FloatEdge, unit: FloatArray, shift: int, signal: _Signal, limit: int
) -> torch.Tensor:
    """The weights that the integers stand for."""
    if (
        len(unit)
        and edge.kind in FIXED
        and np.ptp(unit) == 0
        and unit[0] == edge.weight.flat[0] * float(signal.unit.detach())
    ):
        return weight  # a pool of its own is exact
    step = torch.as_tensor(unit * 2.0**shift / float(signal.unit.detach()), dtype=torch.float32)[:, None, None, None]
    quotient = weight / step
    return (quotient + (torch.round(quotient).clamp(-limit, limit) - quotient).detach()) * step


class FakeQuantized(nn.Module):
    """``model`` with the integer network's values, from float ``calibration`` on.

    Maps images [N, C, H, W] to the last layer's real values, [N, C] where it is a vector. Raises SdannError as
    :func:`sdann.quantization.quantize` does.
    """

    def __init__(self, model: FloatModel, calibration: Calibration, options: QuantizeOptions) -> None:
        super().__init__()
        self.model = model
        self.source = input_activations(model, calibration, options)
        known = {INPUT: self.source}
        self.layers = nn.ModuleList()
        for layer, made in zip(model.layers, quantized_layers(model, calibration, options), strict=True):
            self.layers.append(_Layer(layer, made, [known[edge.source] for edge in layer.edges], options))
            known[layer.name] = made.output

    def activations(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Real values of the input's and of every layer's activations."""
        source = self.source
        low = -source.levels - 1 if source.signed else 0
        # In float64, as quantize_input: grey levels love ties.
        integers = torch.round(torch.clamp(images.to(torch.float64) / source.scale, low, source.levels))
        x = integers.to(torch.float32) * source.scale
        signals = {INPUT: _Signal(x, torch.tensor(source.scale), source.mean_square)}
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            signals[layer.layer.name] = layer([signals[edge.source] for edge in layer.layer.edges])
        return {name: signal.values for name, signal in signals.items()}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See the class."""
        values = self.activations(images)[self.model.layers[-1].name]
        return values.flatten(1) if values.shape[2:] == (1, 1) else values

    def fix_ranges(self) -> None:
        """Keep the ranges of activations as calibration found them."""
        for layer in self.layers:
            assert isinstance(layer, _Layer)
            layer.log_range.requires_grad_(False)

    def float_model(self) -> FloatModel:
        """The float graph with the present parameters and ranges, for :func:`sdann.quantization.quantize`."""
        layers = [layer.float_layer(ranges=True) for layer in self.layers if isinstance(layer, _Layer)]
        reach = self.source.scale * self.source.levels
        return replace(self.model, layers=tuple(layers), input_range=reach)
