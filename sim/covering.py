"""Random small programs of one layer, directed until every bin of :mod:`sim.coverage` is hit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hdl.config import preset
from sdann.assembler import Place, place_network
from sdann.errors import DoesNotFitError, SdannError
from sdann.feature_network import with_constants
from sdann.golden import activate, edge_sum
from sdann.graph import INPUT, Edge, EdgeKind, FanIn, IntArray, Layer, Pool, QuantizedNetwork
from sdann.mapper import ProgramImage
from sdann.membrane import with_membrane
from sdann.random_layers import edge_between, random_weight
from sdann.random_networks import random_input

from .coverage import DIMENSIONS, Coverage, Value, feasible, records

__all__ = ["COVERAGE_CHIP", "CoveringLayer", "covering_layers"]

COVERAGE_CHIP = preset("test").replace(
    name="coverage", rows=4, cols=4, edges=4, routes=32, neuron_words=128, weight_words=2048, membrane_bits=20, slots=3,
    readout_depth=1024,
)  # fmt: skip
"""One chip for all layers; its membranes are narrow enough for some exact layers to saturate."""

MAX_SIDE = 8
NEURONS = 20  # most positions of the layer's map: larger ones show no more and take longer


@dataclass(frozen=True)
class CoveringLayer:
    """A program of one layer (and a second one that reads it where it is not read out itself), and samples for it."""

    network: QuantizedNetwork
    image: ProgramImage
    x: IntArray


def covering_layers(
    seed: int = 0, *, samples: int = 1, candidates: int = 4, limit: int = 500
) -> Iterator[CoveringLayer]:
    """Layers until all bins are hit, each the best of a few ``candidates`` for a bin that is still missing.

    The same seed gives the same layers. Raises SdannError where ``limit`` layers do not suffice.
    """
    rng = np.random.default_rng(seed)
    coverage = Coverage()
    for _ in range(limit):
        missing = coverage.missing
        if not missing:
            return
        open_bins = set(missing)
        best: tuple[int, CoveringLayer] | None = None
        wanted = dict(missing[int(rng.integers(len(missing)))])
        tries = 0
        while tries < candidates or best is None:
            tries += 1
            if tries > 400:
                raise SdannError(f"no layer hits {wanted}")
            layer = _random_layer(rng, wanted, samples)
            if layer is None:
                continue
            gain = len(coverage.hit_by(records(layer.image)) & open_bins)
            if gain and (best is None or gain > best[0]):
                best = (gain, layer)
        coverage.add(best[1].image)
        yield best[1]
    if coverage.missing:
        raise SdannError(f"{limit} layers leave {len(coverage.missing)} bins out, such as {dict(coverage.missing[0])}")


def _draw(rng: np.random.Generator, wanted: dict[str, Value]) -> dict[str, Any]:
    """A value of each dimension: those wanted, else any that go with the others."""
    while True:
        values = {name: options[int(rng.integers(len(options)))] for name, options in DIMENSIONS.items()} | wanted
        if feasible(values):
            return values


def _random_layer(rng: np.random.Generator, wanted: dict[str, Value], samples: int) -> CoveringLayer | None:
    """A layer with an edge of the wanted values; None where the draw leads to nothing."""
    v, chip = _draw(rng, wanted), COVERAGE_CHIP
    kernel = v["kernel_h"], v["kernel_w"]
    low = [max(1, side - 2 * v["padding"]) for side in kernel]
    if max(low) > MAX_SIDE:
        return None
    sides = [int(rng.integers(first, MAX_SIDE + 1)) for first in low]
    if v["kind"] == "linear":
        sides = list(kernel)
    out = [(side + 2 * v["padding"] - k) // v["stride"] + 1 for side, k in zip(sides, kernel, strict=True)]
    alike = v["kind"] == "conv" and (*out, v["stride"], v["padding"]) == (1, 1, 1, 0)  # a linear layer in fact
    if max(out) > MAX_SIDE or out[0] * out[1] > NEURONS or alike:
        return None
    pool = _pool(rng, v, out)
    if v["pool"] and pool is None:
        return None
    split = _split(rng, v)
    if split is None:
        return None
    count, groups, parts = split
    channels = (groups - 1) * chip.lanes + int(rng.choice([1, 2, 3, 4], p=[0.4, 0.3, 0.2, 0.1]))
    outputs = channels if v["kind"] == "depthwise" else int(rng.choice([1, 3, 4, 5, 7], p=[0.1, 0.3, 0.3, 0.2, 0.1]))
    shape, neurons = (channels, sides[0], sides[1]), (outputs, out[0], out[1])
    fan_in = 1 if v["kind"] == "depthwise" else channels
    edges = [
        Edge(
            source=INPUT, kind=v["kind"], weight=random_weight(rng, (outputs, fan_in, *kernel), chip.weight_bits),
            stride=v["stride"], padding=v["padding"], shift=int(rng.integers(0, 3)),
        )
    ]  # fmt: skip
    kinds: list[EdgeKind] = ["conv", "depthwise", "linear"]
    while len(edges) < count:
        other = edge_between(
            rng, INPUT, shape, neurons, kinds=kinds, max_kernel=7, weight_bits=chip.weight_bits, strides=(1, 2, 4)
        )
        if other is None:
            return None
        edges.append(other)
    return _finished(rng, v, shape, neurons, tuple(edges), pool, _fan_ins(parts, channels), samples)


def _pool(rng: np.random.Generator, v: dict[str, Any], out: list[int]) -> Pool | None:
    if not v["pool"]:
        return None
    least = max(0, -(-(v["pool"] - min(out)) // 2))
    if least >= v["pool"]:
        return None
    pool = Pool(kernel=v["pool"], stride=v["pool_stride"], padding=int(rng.integers(least, v["pool"])))
    rows = [(side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in out]
    return pool if max(rows) <= MAX_SIDE else None


def _split(rng: np.random.Generator, v: dict[str, Any]) -> tuple[int, int, list[list[tuple[int, int]]]] | None:
    """(edges, channel groups, parts as lists of (edge, group)): one part has ``v["edges"]``, edge 0 among them."""
    most, own, count = COVERAGE_CHIP.edges, v["edges"], v["parts"]
    if count == 1:
        return own, int(rng.choice([1, 1, 1, 2])), []
    choices = [
        (edges, groups) for edges in range(1, 6) for groups in (1, 2)
        if own + count - 1 <= edges * groups <= own + most * (count - 1)
    ]  # fmt: skip
    edges, groups = choices[int(rng.integers(len(choices)))]
    runs = [(edge, group) for edge in range(edges) for group in range(groups)]
    first = [runs.pop(0)]
    rng.shuffle(runs)
    runs = [(int(edge), int(group)) for edge, group in runs]
    first += [runs.pop() for _ in range(own - 1)]
    parts: list[list[tuple[int, int]]] = [[runs.pop()] for _ in range(count - 1)]
    for run in runs:
        free = [part for part in parts if len(part) < most]
        free[int(rng.integers(len(free)))].append(run)
    parts.insert(int(rng.integers(count)), first)
    return edges, groups, parts


def _fan_ins(parts: list[list[tuple[int, int]]], channels: int) -> tuple[tuple[FanIn, ...], ...]:
    lanes = COVERAGE_CHIP.lanes
    return tuple(
        tuple(
            FanIn(edge=edge, channel0=group * lanes, channels=min(lanes, channels - group * lanes))
            for edge, group in sorted(part)
        )
        for part in parts
    )


def _finished(
    rng: np.random.Generator, v: dict[str, Any], shape: tuple[int, int, int], neurons: tuple[int, int, int],
    edges: tuple[Edge, ...], pool: Pool | None, parts: tuple[tuple[FanIn, ...], ...], samples: int,
) -> CoveringLayer | None:  # fmt: skip
    """The network with constants that suit it, on tiles of the chip."""
    kind, signed, steps = v["readout"], v["readout"] in ("signed", "wide", "raw"), int(rng.choice([3, 4, 4, 5, 8]))
    zeros = np.zeros(neurons[0], dtype=np.int64)
    layer = Layer(
        name="layer", shape=neurons, edges=edges, mult=zeros, shift=zeros + 1, bias=zeros, lo=0, hi=255,
        bias_mode="sum" if v["mode"] == "exact" and rng.random() < 0.5 else "scaled", signed=signed, raw=kind == "raw",
        pool=pool, parts=parts,
    )  # fmt: skip
    network = QuantizedNetwork(
        name="covering", input_shape=shape, input_signed=v["source"] == "signed", time_steps=steps, membrane_bits=48,
        weight_bits=COVERAGE_CHIP.weight_bits, layers=(),
    )  # fmt: skip
    x = random_input(network, rng, 8)
    currents = np.asarray(sum(edge_sum(edge, x) for edge in edges))
    layer = with_constants(layer, currents, 14 if kind == "wide" else steps)
    if layer.bias_mode == "sum":
        layer = replace(layer, bias=np.clip(-currents.mean(axis=(0, 2, 3)), -(1 << 15), (1 << 15) - 1).astype(np.int64))
    if not signed:
        low = int(rng.integers(1, min(4, steps)))
        rot, truncate = ((0, 0), (low, 0), (0, low))[int(rng.integers(3))]
        layer = replace(layer, rot=rot, truncate=truncate, drlo=int(rng.choice([0, 0, 1, 3])))
    layers: tuple[Layer, ...] = (layer,)
    if kind == "none":
        layers += (_reader(rng, layer, activate(layer, currents, steps), steps),)
    network = with_membrane(
        replace(network, layers=layers), COVERAGE_CHIP.membrane_bits, scaled=v["mode"] == "scaled", calibration=x
    )
    places = _places(rng, network)
    try:
        image = place_network(network, COVERAGE_CHIP, places)
    except DoesNotFitError:
        return None
    x = random_input(network, rng, samples)
    x[rng.random(x.shape) < 0.4] = 0  # the more spikes, the longer a run takes
    return CoveringLayer(network, image, x)


def _reader(rng: np.random.Generator, layer: Layer, a: IntArray, steps: int) -> Layer:
    """A last layer that reads ``layer``."""
    edge = Edge(
        source="layer", kind="conv", weight=random_weight(rng, (3, layer.shape[0], 1, 1), COVERAGE_CHIP.weight_bits)
    )
    zeros = np.zeros(3, dtype=np.int64)
    last = Layer(
        name="reader", shape=(3, *layer.output_shape[1:]), edges=(edge,), mult=zeros, shift=zeros + 1, bias=zeros,
        bias_mode="scaled", lo=0, hi=255,
    )  # fmt: skip
    return with_constants(last, edge_sum(edge, a), steps)


def _places(rng: np.random.Generator, network: QuantizedNetwork) -> dict[str, list[Place]]:
    """The input and each layer on random tiles; the layer sometimes on two row tiles."""
    tiles = [COVERAGE_CHIP.cores[i] for i in rng.permutation(len(COVERAGE_CHIP.cores))]
    places = {INPUT: [Place(tile=tiles.pop())]}
    for layer in network.layers:
        height = layer.output_shape[1]
        cut = int(rng.integers(1, height)) if height > 1 and rng.random() < 0.3 else height
        rows = [(0, cut)] + ([(cut, height - cut)] if cut < height else [])
        places[layer.name] = [
            Place(tile=tiles.pop(), rows=span, part=part) for span in rows for part in range(len(layer.split))
        ]
    return places
