"""The small siblings, trained by their own recipes, reach what docs/networks.md promises: `pytest -m long`."""

import numpy as np
import pytest

from sdann.datasets import open_dataset
from sdann.detection import decode
from sdann.detection.mean_ap import mean_average_precision
from sdann.quantize import QuantizeOptions, quantize, quantize_input
from sdann.reference import run
from sdann.torch_import import from_torch
from sdann.training import TrainOptions, evaluate, train
from sdann.zoo import network_spec


@pytest.mark.long
@pytest.mark.parametrize(("name", "least"), [("digit-cnn", 0.975), ("digit-resnet", 0.975)])
def test_classifiers(name: str, least: float) -> None:
    spec = network_spec(name)
    data = open_dataset("digits", spec.input_shape)
    assert evaluate(train(spec, data, TrainOptions(device="cpu")), spec, data.test).value >= least


@pytest.mark.long
def test_detector_in_float_and_in_integers() -> None:
    spec = network_spec("digit-yolo")
    data = open_dataset("scenes", spec.input_shape)
    model = train(spec, data, TrainOptions(device="cpu"))
    before = evaluate(model, spec, data.test)
    assert before.value >= 0.95
    images, truth = data.test.batch(range(500))
    network, _ = quantize(
        from_torch(model, spec.input_shape, name=spec.name), data.train.batch(range(256))[0], QuantizeOptions()
    )
    last = network.layers[-1]
    assert last.signed and (last.lo, last.hi) == (-128, 127)
    outputs = run(network, quantize_input(network, images)).activations[last.name] * network.scales[last.name]
    assert spec.grid is not None
    after = mean_average_precision(truth, decode(outputs, spec.grid), spec.classes)
    assert after.voc2007 >= before.value - 0.005
    # One cell further they are other boxes.
    shifted = mean_average_precision(truth, decode(np.roll(outputs, 1, axis=3), spec.grid), spec.classes)
    assert shifted.voc2007 < 0.2
