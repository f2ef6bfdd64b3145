"""Networks trained by their own recipes reach what docs/networks.md promises, in float and in integers: `-m long`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdann.agreement import compare
from sdann.detection import decode
from sdann.detection.mean_ap import mean_average_precision
from sdann.paper import Setup, experiment
from sdann.paper.subject import Subject, make_subject
from sdann.quantization import quantize_input
from sdann.reference import run


def conversion(subject: Subject, folder: Path) -> dict[str, Any]:
    """The row of table 3: float, 8 bits, scaled into 16 bits, cut off at 16 bits."""
    (row,) = experiment("table3").run(Setup(subjects=(subject,), folder=folder), lambda done, total: None).rows
    return dict(row)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "data", "least"),
    [
        ("digit-cnn", "digits", 0.975), ("digit-resnet", "digits", 0.975), ("vgg16-cifar", "digits32", 0.95),
        ("resnet18-cifar", "digits32", 0.95), ("cifar10net", "digits32", 0.95),
    ],
)  # fmt: skip
def test_classifiers(name: str, data: str, least: float, tmp_path: Path) -> None:
    subject = make_subject(name, tmp_path, data=data)
    row = conversion(subject, tmp_path)
    assert row["samples"] == 360 and row["float"] >= least and row["quantized"] >= row["float"] - 0.005
    assert abs(row["difference"]) <= 0.003 and row["16 bits, not scaled"] < row["16 bits, scaled"]
    found = compare(subject.network, quantize_input(subject.network, subject.part("test")[0][:2]))
    assert found.problems() == []


@pytest.mark.long
def test_detector(tmp_path: Path) -> None:
    subject = make_subject("digit-yolo", tmp_path)
    row = conversion(subject, tmp_path)
    assert row["samples"] == 500 and row["float"] >= 0.95 and row["quantized"] >= row["float"] - 0.005
    assert abs(row["difference"]) <= 0.003 and row["16 bits, not scaled"] < row["16 bits, scaled"]
    network, grid = subject.network, subject.spec.grid
    last = network.layers[-1]
    assert last.signed and (last.lo, last.hi) == (-128, 127) and grid is not None
    images, truth = subject.part("test")
    outputs = run(network, quantize_input(network, images)).activations[last.name] * network.scales[last.name]
    golden = mean_average_precision(truth, decode(outputs, grid), subject.spec.classes)
    assert golden.voc2007 == row["quantized"]
    # One cell further they are other boxes.
    shifted = mean_average_precision(truth, decode(np.roll(outputs, 1, axis=3), grid), subject.spec.classes)
    assert shifted.voc2007 < 0.2
