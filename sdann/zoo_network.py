"""An integer network of the zoo with inputs for it, trained or seeded: what the models are compared on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .datasets import WITHOUT_PATH, FloatImages, Samples, open_dataset, photographs
from .errors import SdannError
from .graph import IntArray, QuantizedNetwork
from .quantization import QuantizeOptions, quantize, quantize_input
from .torch_import import from_torch
from .training import load_trained
from .zoo import NetworkSpec, network_spec, seeded

__all__ = ["PHOTOGRAPHS", "ZooNetwork", "zoo_network"]

PHOTOGRAPHS = "photographs"
"""Name of the inputs that stand in for a data set that is not at hand."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ZooNetwork:
    """``network``: exact, 8 bits. ``x``: inputs for it, int64 [N, C, H, W]. ``weights``: the file that they are from,
    or "seeded". ``inputs``: what ``x`` is made of.
    """

    network: QuantizedNetwork
    x: IntArray
    weights: str
    inputs: str


def _images(spec: NetworkSpec, data: str | None, calibration: int, samples: int, seed: int) -> tuple[FloatImages, ...]:
    """Images to calibrate with and images to run, and no image twice."""
    if data == PHOTOGRAPHS:
        counts = (calibration, samples)
        return tuple(photographs(spec.input_shape, count, (seed, part)) for part, count in enumerate(counts))

    dataset = open_dataset(data or spec.data, spec.input_shape)

    def first(part: Samples, count: int) -> FloatImages:
        if len(part) < count:
            raise SdannError(f"{dataset.name} has {len(part)} images of a kind, not {count}: take fewer")
        return part.batch(np.arange(count))[0]

    return first(dataset.train, calibration), first(dataset.test, samples)


def _model(what: str, width: int | None) -> tuple[nn.Module | None, NetworkSpec]:
    """(trained network or None, what it is)."""
    path = Path(what)
    if path.suffix != ".safetensors":
        return None, network_spec(what, **({} if width is None else {"width": width}))
    if width is not None:
        raise SdannError(f"{what}: a trained network has its own width; leave --width out")
    return load_trained(path)


def zoo_network(
    what: str,
    *,
    data: str | None = None,
    width: int | None = None,
    samples: int = 2,
    calibration: int = 8,
    seed: int = 0,
) -> ZooNetwork:
    """The integer network of ``what``: a name of the zoo, for seeded weights, or a file of ``sdann train``.

    ``data``: as :func:`sdann.datasets.open_dataset` takes it, or "photographs"; None is the network's own if that needs
    no path, else photographs. ``width``: for narrower forms. ``samples``: inputs to run. ``calibration``: images, at
    least 2, that the ranges and seeded weights are fitted to. Raises SdannError.
    """
    if min(samples, calibration - 1) < 1:
        raise SdannError("take at least 1 sample, and 2 images to calibrate with")
    model, spec = _model(what, width)
    source = data or (spec.data if spec.data in WITHOUT_PATH else PHOTOGRAPHS)
    fitted, chosen = _images(spec, source, calibration, samples, seed)
    weights = "seeded" if model is None else what
    model = seeded(spec, torch.from_numpy(fitted), seed) if model is None else model
    graph = from_torch(model, spec.input_shape, name=spec.name)
    del model  # large networks are not to be held three times
    network, _ = quantize(graph, fitted, QuantizeOptions(peak_images=0))
    return ZooNetwork(network=network, x=quantize_input(network, chosen), weights=weights, inputs=source)
