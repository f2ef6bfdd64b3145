"""The digit network from training to the integer network: data, training, checkpoints, accuracy, live layers."""

import numpy as np
import pytest
import torch
from torch import nn

from sdann import golden, reference, stem
from sdann.datasets import Digits, digit_integers, load_digits, open_dataset
from sdann.evaluate import accuracy, float_accuracy, integer_accuracy, predictions
from sdann.float_model import FloatModel
from sdann.quantization import QuantizeOptions, quantize, quantize_input
from sdann.torch_import import from_torch
from sdann.training import TrainOptions, train
from sdann.zoo import network_spec

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


@pytest.fixture(scope="module")
def trained(digits: Digits) -> nn.Module:
    return train(network_spec("digit-cnn"), open_dataset("digits", (1, 8, 8)), TrainOptions(epochs=5, device="cpu"))


@pytest.fixture(scope="module")
def model(trained: nn.Module) -> FloatModel:
    return from_torch(trained, (1, 8, 8), name="digit-cnn")


def test_accuracy_helper() -> None:
    outputs = np.array([[1, 3, 2], [5, 5, 0], [-1, -3, -2]]).reshape(3, 3, 1, 1)
    assert predictions(outputs).tolist() == [1, 0, 0]
    assert accuracy(outputs, [1, 0, 0]) == 1 and accuracy(outputs, [1, 1, 2]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "options",
    [
        QuantizeOptions(),
        QuantizeOptions(scaled=True, membrane_bits=16),
        QuantizeOptions(per_channel=True, observer="mse"),
    ],
    ids=["exact", "scaled", "per channel"],
)
def test_accuracy_and_live_layers(
    trained: nn.Module, model: FloatModel, digits: Digits, options: QuantizeOptions
) -> None:
    before = float_accuracy(trained, digits.test_images, digits.test_labels)
    assert before >= 0.97
    network, report = quantize(model, digits.train_images[:256], options)
    after = integer_accuracy(network, digits.test_images, digits.test_labels)
    assert abs(after - before) <= 0.01
    assert integer_accuracy(network, digits.test_images, np.roll(digits.test_labels, 1)) < 0.3
    result = reference.run(network, quantize_input(network, digits.test_images))
    for layer in network.layers:
        assert np.mean(result.activations[layer.name] != 0) >= 0.1
    assert all(entry.alive >= 0.1 for entry in report.layers)
    assert reference.is_exact(network) == (not options.scaled)


def test_golden_equals_stem(model: FloatModel, digits: Digits) -> None:
    network, _ = quantize(model, digits.train_images[:256])
    x = digit_integers(digits.test_images[:40])
    assert (x == quantize_input(network, digits.test_images[:40])).all()
    expected, found = golden.run(network, x), stem.run(network, x)
    assert all((a == found.activations[n]).all() for n, a in expected.activations.items())
    assert all((v == found.membranes[n][-1]).all() for n, v in expected.accumulators.items())
    assert expected.sops == found.sops and sum(found.sops.values()) > 10_000_000


def test_narrow_membrane_without_scaling_loses_accuracy(model: FloatModel, digits: Digits) -> None:
    # Why scaled integration exists (section 3.2 of the paper): 12 bits ruin the network without it and serve with it.
    images, labels = digits.test_images[:120], digits.test_labels[:120]
    plain, _ = quantize(model, digits.train_images[:256], QuantizeOptions(membrane_bits=12))
    scaled, _ = quantize(model, digits.train_images[:256], QuantizeOptions(membrane_bits=12, scaled=True))
    assert integer_accuracy(plain, images, labels) < 0.6 < 0.95 < integer_accuracy(scaled, images, labels)
