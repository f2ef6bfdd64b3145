"""Classification accuracy of the float and of the integer network, on the same images."""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from . import reference
from .graph import IntArray, QuantizedNetwork
from .quantization import dequantize_output, quantize_input

__all__ = ["accuracy", "float_accuracy", "integer_accuracy", "predictions"]


def predictions(outputs: npt.ArrayLike) -> IntArray:
    """Class of each sample, int64 [N]: the largest of its outputs [N, ...], the first of equals."""
    outputs = np.asarray(outputs)
    return np.asarray(outputs.reshape(len(outputs), -1).argmax(axis=1), dtype=np.int64)


def accuracy(outputs: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Share of samples (0..1) whose largest output is at ``labels`` [N]."""
    return float((predictions(outputs) == np.asarray(labels)).mean())


def float_accuracy(model: nn.Module, images: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Accuracy of the float network in its present mode."""
    with torch.no_grad():
        return accuracy(model(torch.as_tensor(images, dtype=torch.float32)).numpy(), labels)


def integer_accuracy(network: QuantizedNetwork, images: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Accuracy of the golden model on the quantized ``images`` (real values, [N, C, H, W])."""
    result = reference.run(network, quantize_input(network, images))
    return accuracy(dequantize_output(network, result.activations[network.layers[-1].name]), labels)
