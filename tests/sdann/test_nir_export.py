"""NIR: nir reads the file back, its metadata hold the whole network, and its nodes compute what it computes."""

import json
from contextlib import suppress
from dataclasses import replace
from itertools import islice

import nir
import numpy as np
import pytest
import torch
from torch.nn import functional

from sdann.errors import SdannError, UnsupportedError
from sdann.feature_network import feature_network
from sdann.graph import INPUT, Edge, FanIn, Layer, Pool, QuantizedNetwork, Scaled
from sdann.nir_export import nir_graph, save_nir
from sdann.random_networks import random_input, random_network
from sdann.reference import run


def key(name: str) -> str:
    return name.strip("/").replace("/", ".")


def text(value) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def from_nir(graph: nir.NIRGraph) -> QuantizedNetwork:
    """The network that the file's metadata and weights hold."""
    whole = json.loads(text(graph.metadata["sdann"]))
    assert whole.pop("version") == 1
    scales = {INPUT: whole.pop("input_scale")}
    layers = []
    for name in whole.pop("layers"):
        node = graph.nodes[name]
        fields = json.loads(text(node.metadata["layer"]))
        scales[fields["name"]] = fields.pop("scale")
        edges = []
        for number, source in enumerate(fields.pop("sources")):
            made = graph.nodes[f"{name}.{number}"]
            kind, shift = text(made.metadata["kind"]), int(made.metadata["shift"])
            weight = np.asarray(made.weight / 2**shift).astype(np.int64)
            if kind == "depthwise" and "weight" not in made.metadata:
                assert np.count_nonzero(weight) == np.count_nonzero(weight[range(len(weight)), range(len(weight))])
                weight = weight[range(len(weight)), range(len(weight))][:, None]
            given = made.metadata if "weight" in made.metadata else vars(made)  # a convolution of a vector
            weight = np.asarray(given["weight"]).astype(np.int64) if "weight" in made.metadata else weight
            stride, padding = (int(np.ravel(given.get(k, [d]))[0]) for k, d in (("stride", 1), ("padding", 0)))
            edges.append((source, kind, weight, stride, padding, shift))
        arrays = {k: np.asarray(node.metadata[k]) for k in ("mult", "shift", "bias")}
        pool = graph.nodes.get(f"{name}.pool")
        if pool is not None:
            assert text(pool.metadata["kind"]) == "max"
            pool = Pool(**{k: int(getattr(pool, n)[0]) for k, n in
                           (("kernel", "kernel_size"), ("stride", "stride"), ("padding", "padding"))})  # fmt: skip
        scaled = fields.pop("scaled")
        parts = tuple(tuple(FanIn(edge=e, channel0=c, channels=n) for e, c, n in part) for part in fields.pop("parts"))
        layers.append((fields, edges, arrays, pool, scaled and Scaled(mult1=scaled[0], shift1=scaled[1]), parts))
    shapes = {INPUT: tuple(int(n) for n in graph.nodes[INPUT].input_type["input"])}
    made = []
    for fields, edges, arrays, pool, scaled, parts in layers:
        built = tuple(
            Edge(source=s, kind=k, weight=w if w.ndim == 4 else w.reshape(len(w), *shapes[s]), stride=st, padding=p,
                 shift=sh) for s, k, w, st, p, sh in edges
        )  # fmt: skip
        fields["shape"] = tuple(fields["shape"])
        made.append(Layer(**fields, **arrays, edges=built, pool=pool, scaled=scaled, parts=parts))
        shapes[made[-1].name] = made[-1].output_shape
    return QuantizedNetwork(input_shape=shapes[INPUT], layers=tuple(made), scales=scales, **whole)


def same(one: QuantizedNetwork, two: QuantizedNetwork) -> bool:
    """Whether all numbers are."""
    for a, b in zip(one.layers, two.layers, strict=True):
        arrays = [(x.weight, y.weight) for x, y in zip(a.edges, b.edges, strict=True)]
        arrays += [(getattr(a, k), getattr(b, k)) for k in ("mult", "shift", "bias")]
        if not all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in arrays):
            return False
        plain = [
            (x.name, x.shape, x.bias_mode, x.lo, x.hi, x.signed, x.rot, x.drlo, x.truncate, x.pool, x.raw, x.scaled,
             x.parts, [(e.source, e.kind, e.stride, e.padding, e.shift) for e in x.edges]) for x in (a, b)
        ]  # fmt: skip
        if plain[0] != plain[1]:
            return False
    fields = ("name", "input_shape", "input_signed", "time_steps", "membrane_bits", "weight_bits")
    return all(getattr(one, f) == getattr(two, f) for f in fields)


def networks():
    """Those that nir can hold."""
    for seed in range(100):
        rng = np.random.default_rng(seed)
        kinds = ("conv", "depthwise") if seed % 2 else ("conv", "linear")
        network = random_network(rng, layers=3, channels=4, max_side=5, edge_kinds=kinds)
        kernels = [edge.weight.shape[2:] for layer in network.layers for edge in layer.edges if edge.kind != "linear"]
        if all(rows == cols for rows, cols in kernels):
            with suppress(UnsupportedError):
                nir_graph(network)
                yield network


@pytest.mark.parametrize("number", range(6))
def test_nir_reads_the_whole_network_back(number, tmp_path) -> None:
    network = next(islice(networks(), number, None))
    count = save_nir(network, tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    assert len(graph.nodes) == count
    found = from_nir(graph)
    assert same(found, network)
    x = random_input(network, np.random.default_rng(1), 2)
    expected, again = run(network, x).activations, run(found, x).activations
    assert all(np.array_equal(again[name], values) for name, values in expected.items())


def test_a_lost_number_is_noticed(tmp_path) -> None:
    network = next(networks())
    save_nir(network, tmp_path / "net.nir")
    graph = nir.read(tmp_path / "net.nir")
    layer = network.layers[0]
    graph.nodes[f"{key(layer.name)}.0"].weight.flat[0] += 2 ** layer.edges[0].shift
    assert not same(from_nir(graph), network)
    assert not same(network, replace(network, layers=(replace(layer, hi=layer.hi - 1), *network.layers[1:])))


def values_of(graph: nir.NIRGraph, x: np.ndarray) -> dict[str, torch.Tensor]:
    """What the nodes compute, IF neurons as their rates: ReLU of r times the input."""
    known = {INPUT: torch.as_tensor(x, dtype=torch.float64)}
    for name, node in graph.nodes.items():
        if name == INPUT:
            continue
        total = sum(known[source] for source, reader in graph.edges if reader == name)
        weights = {
            k: torch.as_tensor(getattr(node, k), dtype=torch.float64)
            for k in ("weight", "bias", "r", "scale")
            if hasattr(node, k)
        }
        if isinstance(node, nir.Conv2d):
            total = functional.conv2d(total, weights["weight"], weights["bias"], node.stride, node.padding,
                                      groups=node.groups)  # fmt: skip
        elif isinstance(node, nir.Affine):
            total = functional.linear(total, weights["weight"], weights["bias"])
        elif isinstance(node, nir.Flatten):
            total = total.flatten(1)
        elif isinstance(node, nir.IF):
            total = torch.relu(total * weights["r"])
        elif isinstance(node, nir.Scale):
            total = total * weights["scale"]
        known[name] = total
    return known


def test_nodes_compute_the_layers_before_rounding() -> None:
    """Without pooling and clipping, the first layer's rates are the activations to within half a unit."""
    rng = np.random.default_rng(3)
    weight = rng.integers(-127, 128, (4, 2, 3, 3))
    mult, shift = np.full(4, 40000), np.array([24, 25, 24, 26])
    first = Layer(
        name="/a/Conv", shape=(4, 4, 4), mult=mult, shift=shift, bias=rng.integers(-9, 9, 4), bias_mode="scaled", lo=0,
        hi=255, edges=(Edge(source=INPUT, kind="conv", weight=weight), Edge(
            source=INPUT, kind="conv", weight=weight[:, :, 1:2, 1:2].copy(), stride=1, shift=1)),
    )  # fmt: skip
    first = replace(first, edges=(first.edges[0],))
    last = Layer(
        name="b", shape=(3, 1, 1), mult=mult[:3], shift=shift[:3], bias=rng.integers(-999, 999, 3), bias_mode="sum",
        lo=-128, hi=127, signed=True,
        edges=(Edge(source="/a/Conv", kind="linear", weight=rng.integers(-20, 20, (3, 4, 4, 4)), shift=1),),
    )  # fmt: skip
    network = QuantizedNetwork(
        name="net", input_shape=(2, 6, 6), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(first, last), scales={},
    )  # fmt: skip
    graph = nir_graph(network)
    x = rng.integers(0, 256, (2, 2, 6, 6))
    result = run(network, x)
    found = values_of(graph, x)["a.Conv"].numpy()
    a = result.activations["/a/Conv"]
    assert ((np.abs(found - a) <= 0.5 + 1e-9) | (a == 255)).all() and len(np.unique(a)) > 20
    assert {type(node).__name__ for node in graph.nodes.values()} == {
        "Input", "Conv2d", "IF", "Flatten", "Affine", "Scale", "Output",
    }  # fmt: skip
    rates = values_of(graph, x)["b"].numpy()
    assert rates.shape == (2, 3)


def test_every_feature_has_a_form() -> None:
    assert isinstance(nir_graph(feature_network()), nir.NIRGraph)
    network = next(networks())
    with pytest.raises(SdannError):
        nir_graph(replace(network, layers=()))
