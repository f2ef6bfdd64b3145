"""A quantized model that comes without images: all of its numbers are known."""

from pathlib import Path

import numpy as np

from ..brought import Samples
from ..errors import SdannError
from ..float_model import FloatModel
from ..graph import INPUT, QuantizedNetwork
from ..quantization import QuantizeOptions, quantize
from . import from_onnx

__all__ = ["load_quantized", "output_bits", "random_samples", "without_grid"]

IMAGES, TEST_IMAGES = 32, 8


def without_grid(model: FloatModel, *, raw: bool) -> list[str]:
    """Names of the layers, and of the input, whose ranges only images can tell. ``raw``: the last layer needs none."""
    names = [] if model.input_grid is not None else [INPUT]
    last = model.layers[-1]
    return names + [layer.name for layer in model.layers if layer.grid is None and not (raw and layer is last)]


def random_samples(model: FloatModel, *, raw: bool) -> Samples:
    """Images with integers drawn evenly from the input's grid: enough to report with, not to calibrate with.

    Raises SdannError where the model needs to be calibrated.
    """
    missing = without_grid(model, raw=raw)
    grid = model.input_grid
    if missing or grid is None:
        raise SdannError(
            f"the model does not fix the range of {', '.join(map(repr, missing[:4]))}"
            f"{' and others' if len(missing) > 4 else ''}: give `sdann quantize` --images FILE.npy to calibrate with"
        )
    rng = np.random.default_rng(0)
    integers = rng.integers(grid.lo, grid.hi + 1, (IMAGES + TEST_IMAGES, *model.input_shape))
    images = integers.astype(np.float64) * grid.step
    return Samples(images=images[:IMAGES], labels=None, test_images=images[IMAGES:], test_labels=None)


def output_bits(model: FloatModel) -> int:
    """Bits that the last layer's values need where the model fixes them; 0 where it does not."""
    last = model.layers[-1]
    if last.grid is None or last.relu:
        return 0
    return max((~last.grid.lo).bit_length(), last.grid.hi.bit_length()) + 1


def load_quantized(path: Path) -> QuantizedNetwork:
    """The integer network of an ONNX file that fixes all of its numbers, for chips of the usual widths.

    Raises SdannError for a model that needs images or other options: `sdann quantize` takes them.
    """
    model = from_onnx(path)
    samples = random_samples(model, raw=False)
    options = QuantizeOptions(out_bits=max(8, output_bits(model)), peak_images=0)
    return quantize(model, samples.images, options)[0]
