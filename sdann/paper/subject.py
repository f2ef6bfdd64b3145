"""A network to report on: trained, quantized, with the samples it is judged by."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..atomic import atomic
from ..datasets import Dataset, Samples, open_dataset
from ..detection import decode
from ..errors import SdannError
from ..fast import SpikingNetwork
from ..graph import INPUT, IntArray, QuantizedNetwork
from ..quantization import QuantizeOptions, QuantizeReport, dequantize_output, quantize, quantize_input
from ..training import TrainOptions, load_trained, save_float, train
from ..training.evaluate import evaluate
from ..zoo import NetworkSpec, network_spec

__all__ = ["Measured", "Subject", "make_subject"]

BATCH = 60
"""Samples that the network runs at once."""
ISUM_BITS = 32
"""Of I(t): no network of the zoo needs more."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A spiking network on samples. ``score``: accuracy or mAP@0.5, 0..1. ``sops``: per sample, by layer;
    ``spikes``: per sample, by source. ``saturations``: of V, in all samples.
    """

    score: float
    sops: dict[str, float]
    spikes: dict[str, float]
    saturations: int

    @property
    def total_sops(self) -> float:
        """Of all layers, per sample."""
        return sum(self.sops.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """``model``: the float network ``spec``. ``limit``: how many samples of a part count (None: all)."""

    spec: NetworkSpec
    dataset: Dataset
    model: nn.Module
    options: QuantizeOptions = field(default_factory=QuantizeOptions)
    calibration: int = 256
    limit: int | None = None

    @property
    def name(self) -> str:
        """The network's."""
        return self.spec.name

    @property
    def measure(self) -> str:
        """What the score is."""
        return "accuracy" if self.spec.grid is None else "mAP@0.5"

    @cached_property
    def images(self) -> Any:
        """Calibration images, of the training part: float [N, C, H, W]."""
        count = min(self.calibration, len(self.dataset.train))
        return self.dataset.train.batch(np.arange(count))[0]

    @cached_property
    def quantized(self) -> tuple[QuantizedNetwork, QuantizeReport]:
        """The integer network, exact, and what quantization chose."""
        return self.quantize(self.options)

    @property
    def network(self) -> QuantizedNetwork:
        """The integer network, exact."""
        return self.quantized[0]

    def quantize(self, options: QuantizeOptions) -> tuple[QuantizedNetwork, QuantizeReport]:
        """The network quantized in another way."""
        from ..torch_import import from_torch

        return quantize(from_torch(self.model, self.spec.input_shape, name=self.name), self.images, options)

    def part(self, name: str) -> tuple[Any, Any]:
        """(images, targets) of the part "validation" or "test"."""
        samples: Samples = getattr(self.dataset, name)
        count = len(samples) if self.limit is None else min(self.limit, len(samples))
        images, targets = samples.batch(np.arange(count))
        return images, targets

    @cached_property
    def float_score(self) -> float:
        """The float network's on the test part."""
        images, targets = self.part("test")
        return evaluate(self.model, self.spec, _Fixed(images, targets)).value

    def measure_network(self, network: QuantizedNetwork, part: str = "test") -> Measured:
        """Runs the spiking network of this integer network, or of a variant of it, on a part's samples."""
        images, targets = self.part(part)
        x = quantize_input(network, images)
        outputs: list[IntArray] = []
        sops = {layer.name: 0 for layer in network.layers}
        spikes = {INPUT: 0} | {layer.name: 0 for layer in network.layers if not layer.signed}
        saturations = 0
        spiking = SpikingNetwork(network, isum_bits=ISUM_BITS)
        for first in range(0, len(x), BATCH):
            result = spiking.run(x[first : first + BATCH])
            outputs.append(result.activations[network.layers[-1].name].numpy().astype(np.int64))
            saturations += sum(result.saturations.values())
            for layer, count in result.sops.items():
                sops[layer] += count
            for layer, counts in result.spike_counts.items():
                spikes[layer] += int(counts.sum())
        return Measured(
            score=self.score(network, np.concatenate(outputs), targets), saturations=saturations,
            sops={layer: count / len(x) for layer, count in sops.items()},
            spikes={layer: count / len(x) for layer, count in spikes.items()},
        )  # fmt: skip

    def score(self, network: QuantizedNetwork, outputs: IntArray, targets: Any) -> float:
        """Accuracy, or mAP@0.5 in VOC2007's definition, of the last layer's integers."""
        values = dequantize_output(network, outputs)
        if self.spec.grid is None:
            return float((values.reshape(len(values), -1).argmax(axis=1) == np.asarray(targets)).mean())
        from ..detection.mean_ap import mean_average_precision  # it takes matplotlib with it

        return mean_average_precision(targets, decode(values, self.spec.grid), self.spec.classes).voc2007


class _Fixed:
    """Samples that are at hand."""

    def __init__(self, images: Any, targets: Any) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, chosen: Any, rng: np.random.Generator | None = None) -> tuple[Any, Any]:
        return self.images[np.asarray(chosen)], [self.targets[n] for n in np.asarray(chosen)]


def make_subject(
    name: str,
    folder: Path,
    *,
    data: str | None = None,
    epochs: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    weights: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Subject:
    """The network ``name`` of the zoo on ``data`` (its own by default), trained unless ``folder`` holds its weights.

    ``epochs``: of training, the network's recipe by default. ``weights``: a file of this network to take instead.
    Raises SdannError.
    """
    if weights is not None:
        model, spec = load_trained(weights)
        dataset = open_dataset(data or spec.data, spec.input_shape)
        if spec.name != name or spec.classes != len(dataset.classes):
            raise SdannError(f"{weights} is {spec.name} for {spec.classes} classes, not {name} on {dataset.name}")
        if progress is not None:
            progress(1, 1)
        return Subject(spec=spec, dataset=dataset, model=model, limit=limit)
    spec = network_spec(name)
    dataset = open_dataset(data or spec.data, spec.input_shape)
    spec = spec.with_options(classes=len(dataset.classes))
    where = "" if data is None else "-" + data.partition(":")[0]
    kept = folder / f"{name}{where}{'' if epochs is None else f'-{epochs}'}-{seed}.safetensors"
    if kept.is_file():
        model, spec = load_trained(kept)
        if progress is not None:
            progress(1, 1)
    else:
        options = replace(TrainOptions(), seed=seed, epochs=epochs)
        model = train(spec, dataset, options, progress=progress)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic(kept) as temporary:
            save_float(model, name, temporary, **spec.options)
    return Subject(spec=spec, dataset=dataset, model=model.cpu().eval(), limit=limit)
