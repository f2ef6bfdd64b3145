"""sdann.network_file: exact round trip; every fault of a file is a FileFormatError that names it."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from sdann.errors import FileFormatError, SdannError
from sdann.graph import QuantizedNetwork
from sdann.network_file import load_network, save_network
from sdann.random_networks import FEATURES, random_network


def assert_equal(a: Any, b: Any) -> None:
    """Deep equality of the graph's dataclasses, data types included."""
    assert type(a) is type(b)
    if hasattr(a, "__dataclass_fields__"):
        for field in fields(a):
            assert_equal(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.shape == b.shape and (a == b).all()
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    else:
        assert a == b


@pytest.fixture
def network() -> QuantizedNetwork:
    return random_network(np.random.default_rng(8), layers=2, max_edges=2)


def graph(seed: int, **options: Any) -> QuantizedNetwork:
    return random_network(np.random.default_rng(seed), features=FEATURES, max_edges=4, max_side=8, **options)


@pytest.mark.parametrize("scaled", [False, True])
def test_round_trip(tmp_path: Path, scaled: bool) -> None:
    for seed in range(20):
        network = random_network(
            np.random.default_rng(seed), scaled=scaled, membrane_bits=16 if scaled else 32, max_edges=2
        )
        network.scales.update({"input": 1 / 255, network.layers[0].name: 0.1})
        save_network(network, tmp_path / "n.sdann")
        assert_equal(load_network(tmp_path / "n.sdann"), network)


def test_round_trip_of_graphs(tmp_path: Path) -> None:
    layers = []
    for seed in range(30):
        network = graph(seed)
        save_network(network, tmp_path / "n.sdann")
        assert_equal(load_network(tmp_path / "n.sdann"), network)
        layers += network.layers
    assert any(layer.truncate for layer in layers) and any(layer.pool for layer in layers)
    assert any(layer.raw for layer in layers) and any(layer.parts for layer in layers)


@pytest.mark.parametrize(("weight_bits", "name"), [(3, "int8"), (8, "int8"), (9, "int16"), (16, "int16")])
def test_weights_take_the_bytes_they_need(tmp_path: Path, weight_bits: int, name: str) -> None:
    network = random_network(np.random.default_rng(1), layers=1, weight_bits=weight_bits)
    save_network(network, tmp_path / "n.sdann")
    with safe_open(tmp_path / "n.sdann", framework="numpy") as file:
        assert file.get_tensor(WEIGHT).dtype == name
    assert_equal(load_network(tmp_path / "n.sdann"), network)


def to_version_1(manifest: dict[str, Any], tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    manifest["version"], metadata["version"] = 1, "1"
    tensors.update({name: tensor.astype(np.int64) for name, tensor in tensors.items()})
    for layer in manifest["layers"]:
        for field in ("truncate", "pool", "raw", "parts"):
            layer.pop(field)


def test_version_1_is_read_without_the_new_fields(network: QuantizedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "n.sdann"
    save_network(network, path)
    rewrite(path, to_version_1)
    assert_equal(load_network(path), network)
    rewrite(path, lambda m, t, d: m["layers"][0].update(truncate=0))
    with pytest.raises(FileFormatError, match="truncate"):
        load_network(path)


def test_comparison_notices_a_weight(network: QuantizedNetwork, tmp_path: Path) -> None:
    save_network(network, tmp_path / "n.sdann")
    network.layers[1].edges[0].weight[0, 0, 0, 0] ^= 1
    with pytest.raises(AssertionError):
        assert_equal(load_network(tmp_path / "n.sdann"), network)


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray], dict[str, str]], None]) -> None:
    """Change manifest, tensors or metadata of a file."""
    with safe_open(path, framework="numpy") as file:
        metadata = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not iterable
    manifest = json.loads(metadata["manifest"])
    change(manifest, tensors, metadata)
    if "manifest" in metadata:
        metadata["manifest"] = json.dumps(manifest)
    save_file(tensors, path, metadata=metadata)


WEIGHT = "layers.0.edges.0.weight"
FAULTS: dict[str, tuple[Callable[[dict[str, Any], dict[str, np.ndarray], dict[str, str]], Any], str]] = {
    "format": (lambda m, t, d: d.update(format="sdann-float"), "sdann-float"),
    "no format": (lambda m, t, d: d.pop("format"), "no format name"),
    "version": (lambda m, t, d: d.update(version="3"), "version '3'"),
    "version of the manifest": (lambda m, t, d: m.update(version=1), "version"),
    "version 1 by name only": (lambda m, t, d: (d.update(version="1"), m.update(version=1)), "layers.0"),
    "no truncation": (lambda m, t, d: m["layers"][0].pop("truncate"), "truncate"),
    "pool of another kind": (lambda m, t, d: m["layers"][0].update(pool={"kernel": 2}), "pool"),
    "pool that does not fit": (
        lambda m, t, d: m["layers"][0].update(pool={"kernel": 2, "stride": 3, "padding": 0}), "stride",
    ),
    "raw in the middle": (lambda m, t, d: m["layers"][0].update(raw=True), "raw"),
    "raw by number": (lambda m, t, d: m["layers"][0].update(raw=1), "raw"),
    "parts of no edge": (
        lambda m, t, d: m["layers"][0].update(parts=[[{"edge": 9, "channel0": 0, "channels": 1}]]), "edge 9",
    ),
    "parts that are no lists": (lambda m, t, d: m["layers"][0].update(parts=[3]), "parts"),
    "no manifest": (lambda m, t, d: d.pop("manifest"), "manifest"),
    "missing field": (lambda m, t, d: m.pop("time_steps"), "time_steps"),
    "unknown field": (lambda m, t, d: m.update(colour=1), "colour"),
    "text for a number": (lambda m, t, d: m.update(time_steps="8"), "time_steps"),
    "fraction": (lambda m, t, d: m["layers"][0].update(hi=1.5), "hi"),
    "missing tensor": (lambda m, t, d: t.pop(WEIGHT), WEIGHT),
    "extra tensor": (lambda m, t, d: t.update(more=np.zeros(1)), "more"),
    "float weights": (lambda m, t, d: t.update({WEIGHT: t[WEIGHT].astype(float)}), "int8"),
    "wide weights": (lambda m, t, d: t.update({WEIGHT: t[WEIGHT].astype(np.int64)}), "must be int8, not int64"),
    "float bias": (lambda m, t, d: t.update({"layers.0.bias": t["layers.0.bias"] * 0.5}), "must be int64"),
    "weight range": (lambda m, t, d: m.update(weight_bits=4), "weight lies outside"),
    "shift": (lambda m, t, d: t.update({"layers.0.shift": t["layers.0.shift"] * 0}), "shift must be at least 1"),
    "mult": (lambda m, t, d: t.update({"layers.0.mult": -1 - t["layers.0.mult"]}), "mult must be at least 0"),
    "bias shape": (lambda m, t, d: t.update({"layers.0.bias": np.zeros(99, dtype=np.int64)}), "bias"),
    "shape": (lambda m, t, d: m["layers"][0].update(shape=[1, 2, 99]), "shape"),
    "source": (lambda m, t, d: m["layers"][0]["edges"][0].update(source="nowhere"), "nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_files(network: QuantizedNetwork, tmp_path: Path, fault: str) -> None:
    path = tmp_path / "n.sdann"
    save_network(network, path)
    change, words = FAULTS[fault]
    rewrite(path, change)
    with pytest.raises(FileFormatError) as error:
        load_network(path)
    assert words in str(error.value) and str(path) in str(error.value)


def test_unreadable_files(network: QuantizedNetwork, tmp_path: Path) -> None:
    path = tmp_path / "n.sdann"
    with pytest.raises(FileFormatError, match="no such file"):
        load_network(path)
    with pytest.raises(FileFormatError, match="no such file"):
        load_network(tmp_path)
    save_network(network, path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FileFormatError, match="not a readable"):
        load_network(path)
    path.write_bytes(b"")
    with pytest.raises(FileFormatError, match="not a readable"):
        load_network(path)
    path.write_text("a text file that is longer than a header")
    with pytest.raises(FileFormatError, match="not a readable"):
        load_network(path)


def test_an_inconsistent_network_is_not_written(network: QuantizedNetwork, tmp_path: Path) -> None:
    network.layers[0].shift[0] = 0
    with pytest.raises(SdannError, match="shift"):
        save_network(network, tmp_path / "n.sdann")
    assert not (tmp_path / "n.sdann").exists()
