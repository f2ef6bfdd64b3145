"""Tiny networks of every feature against loops over neurons and synapses in Python's integers."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest

from sdann import golden_planes, reference, stem
from sdann.graph import INPUT, Edge, FanIn, Layer, Pool, QuantizedNetwork, Scaled
from sdann.judge import judge
from sdann.random_networks import random_input

Map = dict[tuple[int, int, int], int]


def bits_of(value: int, steps: int) -> list[int]:
    return [value >> steps - 1 - t & 1 for t in range(steps)]


class Brute:
    """One sample through a network, neuron by neuron."""

    def __init__(self, network: QuantizedNetwork, x: np.ndarray) -> None:
        self.network, self.sops, self.saturations = network, dict[str, int](), dict[str, int]()
        self.values: dict[str, Map] = {INPUT: {index: int(v) for index, v in np.ndenumerate(x)}}
        self.membranes: dict[str, Map] = {}
        for layer in network.layers:
            self.sops[layer.name] = self.saturations[layer.name] = 0
            neurons = list(np.ndindex(*layer.shape))
            self.membranes[layer.name] = {neuron: self.membrane(layer, neuron) for neuron in neurons}
            self.values[layer.name] = self.pooled(
                layer, {neuron: self.activation(layer, neuron[0], v) for neuron, v in
                        self.membranes[layer.name].items()}
            )  # fmt: skip

    def synapses(self, layer: Layer, number: int, neuron: tuple[int, int, int]) -> list[tuple[int, int, int]]:
        """(source channel, value, weight) of each synapse of an edge on one neuron."""
        edge, (c, y, x) = layer.edges[number], neuron
        found = []
        channels, kernel_h, kernel_w = edge.weight.shape[1:]
        for i, ky, kx in product(range(channels), range(kernel_h), range(kernel_w)):
            source = c if edge.kind == "depthwise" else i
            at = (source, y * edge.stride + ky - edge.padding, x * edge.stride + kx - edge.padding)
            if at in self.values[edge.source]:
                found.append((source, self.values[edge.source][at], int(edge.weight[c, i, ky, kx]) << edge.shift))
        return found

    def membrane(self, layer: Layer, neuron: tuple[int, int, int]) -> int:
        """V(T-1), summed over the parts."""
        steps, top = self.network.time_steps, 2 ** (self.network.membrane_bits - 1) - 1
        total = 0
        for part in layer.parts or [[FanIn(edge=i, channel0=0, channels=10**6) for i in range(len(layer.edges))]]:
            v = 0
            for t in range(steps):
                current = 0
                for some in part:
                    edge = layer.edges[some.edge]
                    sign = -1 if t == 0 and edge.source == INPUT and self.network.input_signed else 1
                    for channel, value, weight in self.synapses(layer, some.edge, neuron):
                        if some.channel0 <= channel < some.channel0 + some.channels and bits_of(value, steps)[t]:
                            current += sign * weight
                            self.sops[layer.name] += 1
                if layer.scaled is not None:
                    scale = Fraction(layer.scaled.mult1, 2**layer.scaled.shift1)
                    current = floor(current * scale + Fraction(1, 2))
                v = 2 * v + current
                if not -top - 1 <= v <= top:
                    self.saturations[layer.name] += 1
                    v = max(-top - 1, min(top, v))
            total += v
        return total

    def activation(self, layer: Layer, c: int, v: int) -> int:
        if layer.raw:
            return v
        factor, bias = Fraction(int(layer.mult[c]), 2 ** int(layer.shift[c])), int(layer.bias[c])
        real = (v + bias) * factor if layer.bias_mode == "sum" else v * factor + bias
        a = max(layer.lo, min(layer.hi, floor(real + Fraction(1, 2))))
        if layer.rot:
            unit = 2**layer.rot
            a = min(floor(Fraction(a, unit) + Fraction(1, 2)), layer.hi // unit) * unit
        if layer.truncate:
            a = a // 2**layer.truncate * 2**layer.truncate
        if layer.drlo:
            spikes = [t for t, bit in enumerate(bits_of(a, self.network.time_steps)) if bit][: layer.drlo]
            a = sum(2 ** (self.network.time_steps - 1 - t) for t in spikes)
        return a

    def pooled(self, layer: Layer, values: Map) -> Map:
        pool = layer.pool
        if pool is None:
            return values
        return {
            (c, y, x): max(
                values.get((c, y * pool.stride + i - pool.padding, x * pool.stride + j - pool.padding), 0)
                for i in range(pool.kernel) for j in range(pool.kernel)
            )
            for c, y, x in np.ndindex(*layer.output_shape)
        }  # fmt: skip


def tiny(rng: np.random.Generator) -> QuantizedNetwork:
    """A stem with pooling, a depthwise layer, a residual sum of three edges, a linear layer with a skip."""

    def layer(name: str, shape: tuple[int, int, int], *edges: Edge, **fields: object) -> Layer:
        fan_in = sum(edge.weight[0].size << edge.shift for edge in edges)
        defaults = {
            "mult": rng.integers(32768, 65536, shape[0]), "bias": rng.integers(0, 40, shape[0]), "lo": 0, "hi": 255,
            "shift": np.full(shape[0], 22 + (fan_in // 8).bit_length()), "bias_mode": "scaled",
        }  # fmt: skip
        return Layer(name=name, shape=shape, edges=edges, **defaults | fields)  # type: ignore[arg-type]

    def weight(*shape: int) -> np.ndarray:
        return rng.integers(-100, 128, shape)

    first = layer("first", (3, 5, 4), Edge(source=INPUT, kind="conv", weight=weight(3, 2, 3, 2), padding=1, stride=2),
                  rot=2, drlo=2, pool=Pool(kernel=3, stride=2, padding=1))  # fmt: skip
    assert first.output_shape == (3, 3, 2)
    deep = layer("deep", (3, 3, 2), Edge(source="first", kind="depthwise", weight=weight(3, 1, 3, 3), padding=1),
                 truncate=2, hi=250, bias_mode="sum", bias=rng.integers(0, 4000, 3))  # fmt: skip
    joined = layer(
        "sum", (4, 3, 2), Edge(source="deep", kind="conv", weight=weight(4, 3, 1, 1), shift=1),
        Edge(source="first", kind="conv", weight=weight(4, 3, 3, 3), padding=1),
        Edge(source=INPUT, kind="conv", weight=weight(4, 2, 1, 3), stride=4), drlo=3, pool=Pool(kernel=2, stride=1),
    )  # fmt: skip
    assert joined.output_shape == (4, 2, 1)
    last = layer(
        "last", (2, 1, 1), Edge(source="sum", kind="linear", weight=weight(2, 4, 2, 1)),
        Edge(source="first", kind="conv", weight=weight(2, 3, 3, 2), shift=2),
        signed=True, lo=-(1 << 11), hi=(1 << 11) - 1, shift=np.array([22, 23]), bias_mode="sum",
    )  # fmt: skip
    return QuantizedNetwork(
        name="tiny", input_shape=(2, 9, 7), input_signed=True, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(first, deep, joined, last),
    )  # fmt: skip


def split(network: QuantizedNetwork) -> QuantizedNetwork:
    parts = {
        "first": ((0, 1, 1),), "deep": ((0, 1, 2),), "sum": ((1, 0, 2), (0, 2, 1), (2, 0, 2)), "last": ((0, 0, 3),)
    }  # fmt: skip

    def rest(layer: Layer, used: list[FanIn]) -> list[FanIn]:
        taken = {(u.edge, u.channel0 + i) for u in used for i in range(u.channels)}
        return [FanIn(edge=e, channel0=c, channels=1) for e, edge in enumerate(layer.edges)
                for c in range(edge.channels) if (e, c) not in taken]  # fmt: skip

    layers = []
    for layer in network.layers:
        used = [FanIn(edge=e, channel0=c, channels=n) for e, c, n in parts[layer.name]]
        left = rest(layer, used)
        groups = [used, left] if layer.name != "sum" else [used[:2], used[2:], left]
        layers.append(replace(layer, parts=tuple(tuple(group) for group in groups)))
    return replace(network, layers=tuple(layers))


def variant(name: str, seed: int) -> QuantizedNetwork:
    network = tiny(np.random.default_rng(seed))
    if "split" in name:
        network = split(network)
    if "narrow" in name:
        network = replace(network, membrane_bits=14)
    if "scaled" in name:
        layers = tuple(
            replace(
                layer,
                scaled=Scaled(mult1=40001 + i, shift1=18),
                shift=layer.shift - 3,
                bias=layer.bias % 40,
                bias_mode="scaled",
            )
            for i, layer in enumerate(network.layers)
        )
        network = replace(network, layers=layers)
    if "raw" in name:
        network = replace(network, layers=(*network.layers[:-1], replace(network.layers[-1], raw=True)))
    return network


VARIANTS = ["plain", "split", "narrow", "split, narrow", "split, scaled, narrow", "raw", "raw, split, scaled, narrow"]


@pytest.mark.parametrize("name", VARIANTS)
def test_every_model_equals_loops_over_neurons(name: str) -> None:
    network = variant(name, 3)
    x = random_input(network, np.random.default_rng(4), 3)
    x[0], x[1] = np.random.default_rng(5).integers(-128, 128, x[0].shape), -128
    expected, planes = reference.run(network, x), golden_planes.run(network, x)
    spiking, judged = stem.run(network, x), judge(network, x)
    brutes = [Brute(network, sample) for sample in x]
    for found in (expected, planes, spiking, judged):
        assert found.sops == {layer.name: sum(b.sops[layer.name] for b in brutes) for layer in network.layers}
        assert found.saturations == {
            layer.name: sum(b.saturations[layer.name] for b in brutes) for layer in network.layers
        }
        for layer in network.layers:
            wanted = [[b.values[layer.name][at] for at in np.ndindex(*layer.output_shape)] for b in brutes]
            assert found.activations[layer.name].reshape(len(x), -1).tolist() == wanted, (layer.name, type(found))
    for layer in network.layers:
        wanted = [[b.membranes[layer.name][at] for at in np.ndindex(*layer.shape)] for b in brutes]
        for v in (expected.accumulators, planes.accumulators):
            assert v[layer.name].reshape(len(x), -1).tolist() == wanted
        assert spiking.membranes[layer.name][-1].reshape(len(x), -1).tolist() == wanted
    assert (sum(expected.saturations.values()) > 0) == ("narrow" in name)
    least = 2 if name == "narrow" else 5  # of different values: a layer that is always clamped tests little
    assert all(np.count_nonzero(a) > 0.2 * a.size and len(np.unique(a)) >= least for a in expected.activations.values())


def test_splitting_matters_only_where_parts_round_or_saturate() -> None:
    rng = np.random.default_rng(6)
    x = random_input(variant("plain", 3), rng, 6)
    for other in ("", ", narrow", ", scaled"):
        whole, parts = (reference.run(variant(name + other, 3), x) for name in ("plain", "split"))
        same = all((whole.accumulators[k] == parts.accumulators[k]).all() for k in whole.accumulators)
        assert same == (other == "")
        assert whole.sops["first"] == parts.sops["first"]


def edited(network: QuantizedNetwork, which: str, edge: int | None = None, **fields: object) -> QuantizedNetwork:
    """``network`` with fields of one layer, or of one of its edges, changed."""

    def edit(layer: Layer) -> Layer:
        if layer.name != which:
            return layer
        if edge is None:
            return replace(layer, **fields)  # type: ignore[arg-type]
        edges = list(layer.edges)
        edges[edge] = replace(edges[edge], **fields)  # type: ignore[arg-type]
        return replace(layer, edges=tuple(edges))

    return replace(network, layers=tuple(edit(layer) for layer in network.layers))


MUTATIONS = {
    "truncation": ("plain", lambda n: edited(n, "deep", truncate=1)),
    "no truncation": ("plain", lambda n: edited(n, "deep", truncate=0)),
    "truncation for RoT": ("plain", lambda n: edited(n, "first", rot=0, truncate=2)),
    "window of the pool": ("plain", lambda n: edited(n, "first", pool=Pool(kernel=1, stride=2))),
    "dropped spikes": ("plain", lambda n: edited(n, "first", drlo=1)),
    "raw": ("raw", lambda n: edited(n, "last", raw=False)),
    "width of the output": ("plain", lambda n: edited(n, "last", lo=-128, hi=127)),
    "source of an edge": ("plain", lambda n: edited(n, "sum", 0, source="first")),
    "shift of an edge": ("plain", lambda n: edited(n, "sum", 0, shift=0)),
    "shift of a skip": ("plain", lambda n: edited(n, "last", 1, shift=1)),
    "stride of an edge": ("plain", lambda n: edited(n, "sum", 2, stride=2, weight=np.pad(
        n.layer("sum").edges[2].weight, ((0, 0), (0, 0), (0, 4), (0, 2))))),
    "parts": ("split, narrow", lambda n: edited(n, "sum", parts=tuple(
        sum(n.layer("sum").parts[i:j], ()) for i, j in ((0, 1), (1, 3))))),
    "no parts": ("split, scaled, narrow", lambda n: edited(n, "sum", parts=())),
    "parts of a depthwise layer": ("split, scaled, narrow", lambda n: edited(n, "deep", 0, weight=np.roll(
        n.layer("deep").edges[0].weight, 1, axis=0))),
    "scale of the membrane": ("split, scaled, narrow", lambda n: edited(
        n, "first", scaled=Scaled(mult1=40064, shift1=18))),
    "width of the membrane": ("split, narrow", lambda n: replace(n, membrane_bits=15)),
}  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_model_notices_a_mutation(mutation: str) -> None:
    name, mutate = MUTATIONS[mutation]
    network = variant(name, 3)
    x = random_input(network, np.random.default_rng(4), 8)
    x[0] = np.random.default_rng(5).integers(-128, 128, x[0].shape)
    changed = mutate(network)
    expected = reference.run(network, x)
    for found in (reference.run(changed, x), golden_planes.run(changed, x), stem.run(changed, x), judge(changed, x)):
        assert any((found.activations[k] != expected.activations[k]).any() for k in ("first", "deep", "sum", "last"))
