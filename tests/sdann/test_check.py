"""sdann.check: every inconsistency is refused by layer and remedy; bounds hold, with parts too."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sdann import stem
from sdann.check import check_network, isum_bound, membrane_bound, membrane_fits
from sdann.errors import SdannError
from sdann.graph import INPUT, Edge, FanIn, Layer, Pool, QuantizedNetwork, Scaled
from sdann.random_networks import FEATURES, random_input, random_network


def conv(source: str, out: int, channels: int, kernel: int = 3, **fields: Any) -> Edge:
    weight = np.ones((out, channels, kernel, kernel), dtype=np.int64)
    return Edge(source=source, kind="conv", weight=weight, **{"padding": kernel // 2} | fields)


def layer(name: str, shape: tuple[int, int, int], *edges: Edge, **fields: Any) -> Layer:
    ones = np.ones(shape[0], dtype=np.int64)
    constants = {"mult": ones, "shift": ones, "bias": ones, "bias_mode": "sum", "lo": 0, "hi": 255}
    return Layer(name=name, shape=shape, edges=edges, **constants | fields)


@pytest.fixture
def network() -> QuantizedNetwork:
    """A stem with pooling, then a sum over two edges, split; a signed last layer."""
    parts = (
        (FanIn(edge=0, channel0=0, channels=2), FanIn(edge=1, channel0=1, channels=1)),
        (FanIn(edge=0, channel0=2, channels=2), FanIn(edge=1, channel0=0, channels=1)),
    )
    return QuantizedNetwork(
        name="graph", input_shape=(2, 6, 6), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(
            layer("stem", (4, 6, 6), conv(INPUT, 4, 2), pool=Pool(kernel=2, stride=2)),
            layer("sum", (3, 3, 3), conv("stem", 3, 4), conv(INPUT, 3, 2, stride=2), parts=parts),
            layer("last", (5, 1, 1), Edge(source="sum", kind="linear", weight=np.ones((5, 3, 3, 3), dtype=np.int64)),
                  signed=True, lo=-2048, hi=2047),
        ),
    )  # fmt: skip


def changed(network: QuantizedNetwork, which: str, **fields: Any) -> QuantizedNetwork:
    return replace(network, layers=tuple(replace(x, **fields) if x.name == which else x for x in network.layers))


def with_part(network: QuantizedNetwork, number: int, *part: FanIn) -> QuantizedNetwork:
    parts = list(network.layer("sum").parts)
    parts[number] = part
    return changed(network, "sum", parts=tuple(parts))


def with_edge(network: QuantizedNetwork, name: str, **fields: Any) -> QuantizedNetwork:
    first, *rest = network.layer(name).edges
    return changed(network, name, edges=(replace(first, **fields), *rest))


FULL = FanIn(edge=0, channel0=0, channels=4)
REFUSALS: dict[str, tuple[Callable[[QuantizedNetwork], QuantizedNetwork], str]] = {
    "pool on a signed layer": (
        lambda n: changed(n, "last", pool=Pool(kernel=1, stride=1)), "layer 'last': max pooling .* make .* unsigned"),
    "pool padding": (lambda n: changed(n, "stem", pool=Pool(kernel=2, stride=2, padding=2)), "'stem'.*padding below"),
    "pool kernel": (lambda n: changed(n, "stem", pool=Pool(kernel=5, stride=2)), "'stem': a pool has a kernel of 1..4"),
    "pool stride": (lambda n: changed(n, "stem", pool=Pool(kernel=2, stride=3)), "'stem': a pool .* stride 1, 2 or 4"),
    "pool too large": (lambda n: changed(n, "sum", pool=Pool(kernel=4, stride=1)), "'sum': .*smaller kernel"),
    "raw in the middle": (lambda n: changed(n, "sum", raw=True), "'sum': only the last layer may be raw"),
    "raw and unsigned": (
        lambda n: changed(n, "last", raw=True, signed=False, lo=0, hi=255), "'last': .*must then be signed"),
    "signed in the middle": (lambda n: changed(n, "sum", signed=True, hi=127), "'sum': only the last .* signed"),
    "wide in the middle": (lambda n: changed(n, "sum", hi=256), "'sum': lo, hi must lie in 0..255, not be 0, 256"),
    "wide and unsigned": (
        lambda n: changed(n, "last", signed=False, lo=0, hi=256), "'last': .*only a signed last layer may have more"),
    "wider than wide": (lambda n: changed(n, "last", hi=1 << 15), r"'last': lo, hi must lie in -32768\.\.32767"),
    "lo above hi": (lambda n: changed(n, "sum", lo=9, hi=8), "'sum': lo, hi"),
    "truncation of all bits": (lambda n: changed(n, "sum", truncate=8), r"'sum': rot and truncate must be 0\.\.7"),
    "negative truncation": (lambda n: changed(n, "sum", truncate=-1), "'sum': rot and truncate must be"),
    "truncation with RoT": (lambda n: changed(n, "sum", truncate=1, rot=1), "'sum': .*exclude each other: set one"),
    "signed truncation": (lambda n: changed(n, "last", truncate=1), "'last': .*unsigned activations only: set them"),
    "signed DRLO": (lambda n: changed(n, "last", drlo=1), "'last': .*unsigned activations only"),
    "channel in no part": (
        lambda n: with_part(n, 0, FanIn(edge=0, channel0=0, channels=2)),
        "'sum': its parts hold channel 1 of edge 1 0 times: .*exactly one part"),
    "channel in two parts": (
        lambda n: with_part(n, 1, *n.layer("sum").parts[1], FanIn(edge=0, channel0=1, channels=1)),
        "'sum': its parts hold channel 1 of edge 0 2 times"),
    "edge in no part": (lambda n: changed(n, "sum", parts=((FULL,),)), "'sum': its parts hold channel 0 of edge 1"),
    "empty part": (lambda n: changed(n, "sum", parts=(*n.layer("sum").parts, ())), "'sum': part 2 is empty: leave"),
    "part of no edge": (
        lambda n: with_part(n, 1, FanIn(edge=2, channel0=0, channels=1)), r"'sum': part 1 has edge 2, .* edges 0\.\.1"),
    "part beyond the source": (
        lambda n: with_part(n, 0, replace(FULL, channels=5)), r"'sum': part 0 has channels 0\.\.4 .* has 0\.\.3"),
    "part of no channel": (lambda n: with_part(n, 0, replace(FULL, channels=0)), r"'sum': part 0 has channels 0\.\.-1"),
    "part below the source": (lambda n: with_part(n, 0, replace(FULL, channel0=-1)), r"'sum': .* channels -1\.\.2"),
    "unknown source": (lambda n: with_edge(n, "sum", source="stm"), "'sum': edge 0 from 'stm': .*there are .*'stem'"),
    "later source": (lambda n: with_edge(n, "stem", source="sum"), "'stem': edge 0 from 'sum': .* earlier layer"),
    "own source": (lambda n: with_edge(n, "sum", source="sum"), "'sum': edge 0 from 'sum': .* earlier layer"),
    "shape of an edge": (
        lambda n: with_edge(n, "sum", padding=0), r"'sum': edge 0 .* makes shape \(3, 1, 1\), .*change kernel"),
    "pool forgotten in the source": (lambda n: changed(n, "stem", pool=None), r"'sum': edge 0 .* makes .* \(3, 6, 6\)"),
    "source channels": (lambda n: with_edge(n, "sum", source=INPUT, stride=2), "'sum': edge 0 .* has 4 input channels"),
    "depthwise weight": (lambda n: with_edge(n, "sum", kind="depthwise"), r"'sum': edge 0 .* must be \[4, 1, K_h"),
    "linear weight": (lambda n: with_edge(n, "last", stride=2), "'last': edge 0 from 'sum': a linear weight must"),
    "kernel too large": (lambda n: with_edge(n, "stem", padding=0, weight=np.ones((4, 2, 7, 7), dtype=np.int64)),
                         "'stem': edge 0 .* 7 x 7 kernel does not fit a 6 x 6 map"),
    "current": (lambda n: with_edge(n, "sum", shift=30), r"'sum': \|I\(t\)\| may reach .* smaller edge shifts"),
    "same name": (lambda n: changed(n, "sum", name="stem"), "'stem': the name is taken twice: rename"),
    "name of the input": (lambda n: changed(n, "stem", name=INPUT), "'input': the name is taken twice"),
    "no edges": (lambda n: changed(n, "sum", edges=()), "'sum': a layer needs at least one edge"),
    "scale of the membrane": (
        lambda n: changed(n, "sum", bias_mode="scaled", scaled=Scaled(mult1=1 << 24, shift1=1)), "'sum': mult1 must"),
    "scale with eq. 9's bias": (
        lambda n: changed(n, "sum", scaled=Scaled(mult1=1, shift1=1)), "'sum': scaled integration needs eq. 10"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSALS)
def test_refusals(network: QuantizedNetwork, fault: str) -> None:
    check_network(network)
    change, words = REFUSALS[fault]
    with pytest.raises(SdannError, match=f"(?s)layer .*{words}|{words}"):
        check_network(change(network))


def test_what_is_allowed(network: QuantizedNetwork) -> None:
    check_network(changed(network, "last", raw=True))
    check_network(changed(network, "last", lo=-32768, hi=32767))
    check_network(changed(network, "sum", truncate=7, drlo=8))
    check_network(changed(network, "sum", rot=7, pool=Pool(kernel=3, stride=2, padding=2)))
    check_network(changed(network, "sum", parts=()))
    check_network(changed(network, "sum", parts=((FULL, FanIn(edge=1, channel0=0, channels=2)),)))


def test_bounds_of_parts_are_those_of_the_largest(network: QuantizedNetwork) -> None:
    joined = network.layer("sum")
    assert isum_bound(joined) == 9 * 3 and isum_bound(replace(joined, parts=())) == 9 * 6
    assert membrane_bound(joined, 8) == 255 * 27
    narrow = replace(network, membrane_bits=14)
    assert membrane_fits(joined, narrow) and not membrane_fits(replace(joined, parts=()), narrow)
    uneven = ((FULL,), (FanIn(edge=1, channel0=0, channels=2),))
    assert isum_bound(replace(joined, parts=uneven)) == 9 * 4
    depthwise = Edge(source="sum", kind="depthwise", weight=np.array([7, -9, 3]).reshape(3, 1, 1, 1), shift=1)
    split = tuple((FanIn(edge=0, channel0=c, channels=1),) for c in range(3))
    alone = layer("alone", (3, 3, 3), depthwise, parts=split)
    assert isum_bound(alone) == isum_bound(replace(alone, parts=())) == 18


def test_bounds_hold_on_graphs() -> None:
    reached = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        network = random_network(rng, features=FEATURES, max_edges=4, layers=3)
        result = stem.run(network, random_input(network, rng, 4), isum_bits=60)
        for part in network.layers:
            currents = result.part_currents.get(part.name, result.currents[part.name])
            membranes = result.part_membranes.get(part.name, result.membranes[part.name])
            assert np.abs(currents).max() <= isum_bound(part)
            assert np.abs(membranes).max() <= membrane_bound(part, 8)
            reached.append(np.abs(currents).max() / isum_bound(part))
    assert max(reached) > 0.7
