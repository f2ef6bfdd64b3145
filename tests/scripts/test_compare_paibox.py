"""What scripts/compare_paibox.py counts for the mapper, hands to PAIBox and prints; with PAIBox where it is there."""

import importlib.util
import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sdann.golden import edge_sum
from sdann.graph import INPUT, Edge

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def load(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


compare, child = load("compare_paibox"), load("paibox_cores")
NETWORKS = compare.networks()


def test_the_digit_network_has_the_zoos_shapes():
    shapes = [(layer.name, layer.edges[0].kind, layer.shape) for layer in NETWORKS["digits"].layers]
    assert shapes == [
        ("conv1", "conv", (16, 8, 8)), ("conv2", "conv", (32, 8, 8)), ("pool", "depthwise", (32, 4, 4)),
        ("conv3", "conv", (32, 4, 4)), ("linear", "linear", (10, 1, 1)),
    ]  # fmt: skip


def test_weights_take_all_eight_bits():
    for network in NETWORKS.values():
        for layer in network.layers:
            weight = layer.edges[0].weight
            assert layer.edges[0].kind == "depthwise" or (weight.min(), weight.max()) == (-128, 127)


def test_the_mappers_counts():
    # 1024 x 256 weights are four times what a core holds; a 16 x 16 x 32 map is two cores' neurons
    fewest = {"linear-512-10": [1, 1], "linear-1024-256": [1, 4], "conv-16x16x16": [1, 1], "conv-16x16x32": [2, 2]}
    for name, expected in fewest.items():
        found = compare.ours(NETWORKS[name], compare.CONFIG, spread=False)
        assert list(found.fewest.values()) == expected and found.spread is None


@pytest.mark.parametrize("name", ["linear-512-10", "conv-16x16x16"])
def test_spreading_takes_more_cores(name):
    found = compare.ours(NETWORKS[name], compare.CONFIG)
    assert sum(found.spread.values()) > sum(found.fewest.values()) and list(found.spread) == list(found.fewest)


@pytest.mark.parametrize(
    ("kind", "kernel", "stride", "padding"),
    [("conv", (3, 3), 1, 1), ("conv", (3, 2), 2, 1), ("conv", (1, 1), 1, 0), ("depthwise", (2, 2), 2, 0),
     ("depthwise", (3, 3), 1, 1)],
)  # fmt: skip
def test_an_unrolled_convolution_sums_what_the_convolution_does(kind, kernel, stride, padding):
    rng = np.random.default_rng(1)
    shape, groups = (4, 6, 5), 4 if kind == "depthwise" else 1
    weight = rng.integers(-128, 128, (4 if kind == "depthwise" else 3, 4 // groups, *kernel))
    x = rng.integers(0, 256, (2, *shape))
    expected = edge_sum(Edge(source=INPUT, kind=kind, weight=weight, stride=stride, padding=padding), x)
    matrix = child.unrolled(weight, shape, stride, padding, groups)
    assert np.array_equal(x.reshape(2, -1) @ matrix, expected.reshape(2, -1))


def test_what_is_handed_over(tmp_path):
    compare.write_networks(tmp_path, [NETWORKS["copy-conv-8x8x16"], NETWORKS["digits"]], place=False)
    asked = json.loads((tmp_path / "networks.json").read_text())
    assert [[layer["kind"] for layer in network["layers"]] for network in asked["networks"]] == [
        ["copy", "conv"], ["conv", "conv", "depthwise", "conv", "linear"],
    ]  # fmt: skip
    with np.load(tmp_path / "weights.npz") as weights:
        assert np.array_equal(weights["1_3"], NETWORKS["digits"].layers[3].edges[0].weight)


def test_what_is_no_chain_is_refused(tmp_path):
    network = NETWORKS["copy-conv-8x8x16"]
    copy, conv = network.layers
    skipping = replace(conv, edges=(replace(conv.edges[0], source=INPUT),))
    with pytest.raises(ValueError, match="not a chain of layers at 'conv'"):
        compare.write_networks(tmp_path, [replace(network, layers=(copy, skipping))], place=False)


def test_the_tables():
    counted = {"form": "matrices", "cores": 1130, "layers": {"copy": 874, "conv": 256}, "occupied": 1200}
    refused = {"form": "layers", "refused": "AssertionError"}
    answer = {
        "versions": {"paibox": "1.3.0"},
        "core": {
            "inputs_spikes": 1152, "neurons_spikes": 64, "inputs_activations": 144, "neurons_activations": 512,
            "weight_bits": 589824,
        },
        "networks": {"some": {"spikes": [refused, counted], "activations": [refused]}},
    }  # fmt: skip
    text = io.StringIO()
    own = compare.Ours(fewest={"input": 1, "copy": 1, "conv": 2}, spread=None)
    compare.show({"some": own}, answer, Console(file=text, width=140))
    (row,) = [line.split() for line in text.getvalue().splitlines() if line.strip().startswith("some ")]
    assert " ".join(row) == "some 4 = 1 + 1 + 2 - 1,130 = 874 + 256* (1,200) refused"
    assert "73,728" in text.getvalue() and "65,536" in text.getvalue()
    assert compare.refusals(answer) == [f"some, {mode}, as layers: AssertionError" for mode in child.MODES]


def test_without_paibox_the_script_says_how_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "paibox.py").write_text("raise ImportError('No module named paibox')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"No module named paibox.*pip install 'sdann\[compare\]'.*--python"):
        compare.paibox([NETWORKS["linear-512-10"]], sys.executable)


def test_an_interpreter_that_is_not_there_is_named():
    with pytest.raises(SystemExit, match="/no/python cannot be run: No such file"):
        compare.paibox([NETWORKS["linear-512-10"]], "/no/python")


def test_paibox_counts_small_networks(capsys):
    names = ["linear-512-10", "conv-8x8x16", "copy-conv-8x8x16"]
    compare.main(["--json", "--no-spread", "--only", *names])
    found = json.loads(capsys.readouterr().out)
    assert list(found["sdann"]) == list(found["paibox"]["networks"]) == names
    for modes in found["paibox"]["networks"].values():
        for tried in modes.values():
            assert tried[-1]["cores"] == sum(tried[-1]["layers"].values())
    # 1024 neurons of 1024 inputs and 8-bit weights: 64 in a core
    assert found["paibox"]["networks"]["conv-8x8x16"]["spikes"] == [
        {"form": "layers", "cores": 16, "layers": {"conv": 16}}
    ]
