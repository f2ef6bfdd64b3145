"""Models of three exporters, torch's float, onnxruntime's QDQ and Brevitas's QCDQ, from the file to the RTL."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hdl.config import preset
from sdann.datasets import load_digits
from sdann.evaluate import accuracy, integer_accuracy
from sdann.float_model import is_quantized
from sdann.graph import INPUT
from sdann.mapper import plan_network
from sdann.onnx_import import from_onnx, load_graph
from sdann.onnx_import.judge import compare, run_model
from sdann.quantization import quantize, quantize_input
from sdann.recipe import options_for
from sdann.verification import verify

CHIP = preset("test").replace(rows=3, cols=3)
"""That of most tests of simulations, whose compiled tile it shares."""

BUILD_DIR = Path(__file__).resolve().parents[3] / "build" / "sim"

EXPORTERS = ["float", "qdq", "brevitas"]
MORE = ["qdq_per_channel", "qdq_symmetric"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, script) -> Path:
    """What scripts/onnx_digits.py makes, and the file that it made with Brevitas."""
    made = tmp_path_factory.mktemp("digits")
    script.export_all(made)
    (made / "brevitas.onnx").write_bytes(script.BREVITAS.read_bytes())
    return made


@pytest.fixture(scope="module")
def imported(folder):
    """Of an exporter's name: ``graph``, float ``model``, integer ``network``, ``digits``."""
    known: dict[str, SimpleNamespace] = {}

    def of(name: str) -> SimpleNamespace:
        if name not in known:
            graph = load_graph(folder / f"{name}.onnx")
            model = from_onnx(graph)
            digits = load_digits()
            network, _ = quantize(model, digits.train_images[:256], options_for(CHIP, out_bits=9, peak_images=8))
            known[name] = SimpleNamespace(graph=graph, model=model, network=network, digits=digits)
        return known[name]

    return of


@pytest.mark.parametrize("name", EXPORTERS + MORE)
def test_accuracy_is_the_exporters(imported, name) -> None:
    """Within half a point of what onnxruntime makes of the same file, on all test images."""
    found = imported(name)
    images, labels = found.digits.test_images, found.digits.test_labels
    theirs = accuracy(run_model(found.graph, images)[0], labels)
    ours = integer_accuracy(found.network, images, labels)
    assert len(images) == 360 and theirs > 0.96
    assert abs(ours - theirs) <= 0.005


@pytest.mark.parametrize("name", EXPORTERS[1:] + MORE)
def test_integers_are_the_exporters(imported, name) -> None:
    """Alone, a layer differs by one where a product is near half a unit, and nowhere else; docs/onnx.md has the table.

    Where rounding is another (a sum with a skip, means of four), more; the bounds here are far from what a wrong
    scale, weight or bias makes of a layer.
    """
    found = imported(name)
    rows = compare(found.graph, found.model, found.network, found.digits.test_images[:64])
    assert rows[0].layer == INPUT and rows[0].network == 0
    assert len(rows) == (5 if name == "brevitas" else 6)
    for row, layer in zip(rows[1:], found.network.layers, strict=False):
        assert row.layer == layer.name and row.alone is not None and row.most_alone is not None
        share = row.alone / row.compared
        if len(layer.edges) > 1:
            assert row.most_alone <= 8 and share < 0.5
        elif layer.edges[0].kind == "depthwise" or layer.bias_mode == "scaled":
            assert row.most_alone == 1 and share < 0.15
        else:
            assert row.most_alone <= 1 and share < 0.002


def test_quantized_models_are_told_from_float_ones(imported) -> None:
    assert [is_quantized(imported(name).model) for name in EXPORTERS] == [False, True, True]
    assert imported("float").model.input_grid is None
    weights = [np.abs(edge.weight).max() for layer in imported("brevitas").network.layers for edge in layer.edges]
    assert weights[2] == 7  # of four bits, narrow range


def run_on_rtl(found, samples: int, simulation: str, chip, jobs: int = 1):
    x = quantize_input(found.network, found.digits.test_images[:samples])
    labels = found.digits.test_labels[:samples]
    images = list(plan_network(found.network, chip).images())
    return verify(
        found.network, x, labels, images, simulation=simulation, jobs=jobs, build_dir=BUILD_DIR,
        progress=lambda what: lambda done, total: None,
    )  # fmt: skip


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_image_on_the_rtl(imported, name) -> None:
    """In passes on the smallest chip, each tile alone: every activation of every layer."""
    found = imported(name)
    result = run_on_rtl(found, 1, "tile", CHIP)
    neurons = sum(int(np.prod(layer.shape)) for layer in found.network.layers)
    pooled = sum(int(np.prod(layer.output_shape)) for layer in found.network.layers)
    assert [stage.mismatches for stage in result.stages] == [0] * 5
    assert all(stage.compared in (neurons, pooled) for stage in result.stages) and result.tiles > 10
    assert result.stages[-1].sops == result.stages[0].sops > 10_000


@pytest.mark.long
@pytest.mark.parametrize("name", EXPORTERS)
def test_images_on_the_whole_chip(imported, name) -> None:
    found = imported(name)
    result = run_on_rtl(found, 24, "compiled", preset("demo"))
    assert [stage.mismatches for stage in result.stages] == [0] * 5
    assert result.stages[-1].accuracy == result.stages[0].accuracy
