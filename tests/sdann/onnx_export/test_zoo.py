"""Every network of the zoo in onnxruntime: narrow in each run, at full size with `-m long`."""

import pytest

from sdann import reference
from sdann.graph import INPUT
from sdann.onnx_export import compare_with_onnxruntime, export_network
from sdann.zoo import NETWORKS
from sdann.zoo_network import zoo_network

WIDTHS = {"digit-cnn": None, "digit-resnet": None, "digit-yolo": None, "cifar10net": 8, "vgg16-cifar": 4}
"""Channels of the first convolution, None: as many as the network has. All others: 2."""


def judged(name: str, width: int | None, samples: int) -> None:
    made = zoo_network(name, width=width, samples=samples, calibration=2)
    golden, exported = reference.run(made.network, made.x), export_network(made.network)
    assert {layer.form for layer in exported.layers} == {"whole sums"}
    rows = compare_with_onnxruntime(made.network, made.x, golden=golden, exported=exported)
    assert [str(row.first) for row in rows if row.mismatches] == []
    assert sum(row.compared for row in rows) == sum(
        values.size
        for found in (golden.accumulators, golden.activations)
        for source, values in found.items()
        if source != INPUT
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_narrow_network_is_exact(name: str) -> None:
    judged(name, WIDTHS.get(name, 2), 1)


@pytest.mark.long
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_exact_at_full_size(name: str) -> None:
    judged(name, None, 1)
