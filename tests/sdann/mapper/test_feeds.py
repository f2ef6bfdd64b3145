"""Who reads what: every core gets each bundle that it reads once, and no other, position by position."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hdl.config import ChipConfig, preset
from sdann.errors import DoesNotFitError, SdannError
from sdann.graph import INPUT, Edge, Layer, Pool, QuantizedNetwork
from sdann.mapper.feeds import Place, held, network_routes, stages_in
from sdann.mapper.geometry import groups_of, split_evenly
from sdann.mapper.image import Coordinate
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.routing import RouteEntry
from sdann.random_networks import FEATURES, random_network
from sdann.random_places import random_places, with_chip_parts

MESH = preset("test").replace(
    rows=8, cols=8, lanes=2, requant_lanes=1, map_side=16, routes=256, neuron_words=512, weight_words=4096, edges=12
)
Routes = Mapping[Coordinate, Sequence[RouteEntry]]


def one_edge(kind: str, kernel: int, stride: int, padding: int, shape: tuple[int, int, int]) -> QuantizedNetwork:
    c, height, width = shape
    if kind == "linear":
        weight = np.ones((5, c, height, width), dtype=np.int64)
        edge, out = Edge(source=INPUT, kind="linear", weight=weight), (5, 1, 1)
    else:
        weight = np.ones((c, 1 if kind == "depthwise" else c, kernel, kernel), dtype=np.int64)
        edge = Edge(source=INPUT, kind=kind, weight=weight, stride=stride, padding=padding)  # type: ignore[arg-type]
        out = (c, (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1)
    ones = np.ones(out[0], dtype=np.int64)
    layer = Layer(
        name="out", shape=out, edges=(edge,), mult=ones, shift=ones, bias=ones, bias_mode="sum", lo=0, hi=255
    )  # fmt: skip
    return QuantizedNetwork(
        name="n", input_shape=shape, input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8, layers=(layer,)
    )


def cut(net: QuantizedNetwork, name: str, cuts: tuple[int, int, int], left: int) -> list[Place]:
    """``cuts`` rows x columns x channels on a rectangle of tiles from column ``left`` on."""
    channels, height, width = net.shape_of(name)
    groups = groups_of(channels, MESH.lanes)
    rows, columns = split_evenly(0, height, min(cuts[0], height)), split_evenly(0, width, min(cuts[1], width))
    pieces = product(rows, columns, split_evenly(0, groups, min(cuts[2], groups)))
    return [
        Place(
            tile=(1 + i % 7, left + i // 7), rows=y, columns=x,
            channels=(g * MESH.lanes, min(n * MESH.lanes, channels - g * MESH.lanes)),
        )
        for i, (y, x, (g, n)) in enumerate(pieces)
    ]  # fmt: skip


def expected(
    network: QuantizedNetwork, places: Mapping[str, Sequence[Place]], sources: Collection[str]
) -> dict[tuple[Coordinate, int], tuple[str, str, int, Any, Any, bool]]:
    """By tile and edge of the core: layer, source, age, what it reads [groups, H, W], accepted groups, gaps in it."""
    found = {}
    order = [INPUT, *(layer.name for layer in network.layers)]
    stages = stages_in(network, [name for name in order if name in places], sources)
    for name, own in places.items():
        if name in sources:
            continue
        layer = network.layer(name)
        for place in own:
            region, _ = held(network, name, layer, place)
            mine = range(region.channel0 // MESH.lanes, groups_of(region.channel0 + region.channels, MESH.lanes))
            for number, some in enumerate(layer.split[place.part]):
                edge = layer.edges[some.edge]
                channels, height, width = network.shape_of(edge.source)
                accepted = np.zeros(groups_of(channels, MESH.lanes), dtype=bool)
                for channel in range(some.channel0, some.channel0 + some.channels):
                    if edge.kind != "depthwise" or channel // MESH.lanes in mine:
                        accepted[channel // MESH.lanes] = True
                at = np.zeros((height, width), dtype=bool)
                kernel = edge.weight.shape[2:]
                for y, x in product(
                    range(region.y0, region.y0 + region.height), range(region.x0, region.x0 + region.width)
                ):
                    for ky, kx in product(range(kernel[0]), range(kernel[1])):
                        sy, sx = y * edge.stride - edge.padding + ky, x * edge.stride - edge.padding + kx
                        if 0 <= sy < height and 0 <= sx < width:
                            at[sy, sx] = True
                age = stages[name] - stages[edge.source] - 1
                gaps = min(kernel) < edge.stride and kernel != (1, 1)
                found[place.tile, number] = name, edge.source, age, accepted[:, None, None] & at, accepted, gaps
    return found


def faults(
    network: QuantizedNetwork, places: Mapping[str, Sequence[Place]], sources: Collection[str], routes: Routes, *,
    exact: bool = True,
) -> list[str]:  # fmt: skip
    """What is delivered wrongly: missing, twice, of groups that are not taken; with ``exact`` anything not read."""
    wanted = expected(network, places, sources)
    holders = {place.tile: (name, place) for name, own in places.items() for place in own}
    got = {key: np.zeros(value[3].shape, dtype=int) for key, value in wanted.items()}
    found = []
    for tile, entries in routes.items():
        name, place = holders[tile]
        own = held(network, name, None if name in sources else network.layer(name), place)[1]
        own = own.model_copy(update={"channels": groups_of(own.channels, MESH.lanes) * MESH.lanes})
        for entry in entries:
            (y0, y1), (x0, x1), (g0, g1) = entry.box
            box = RegionEntry(
                y0=y0, height=y1 - y0 + 1, x0=x0, width=x1 - x0 + 1, channel0=g0 * MESH.lanes,
                channels=(g1 + 1 - g0) * MESH.lanes,
            )  # fmt: skip
            if not box.within(own):
                found.append(f"{tile} sends {entry.box}, which it does not hold")
                continue
            log2, phase_y, phase_x = entry.kind.phase
            for target in entry.tiles:
                key = target, entry.kind.edge
                if key not in wanted or wanted[key][:3] != (entry.kind.layer, name, entry.kind.age):
                    found.append(f"{tile} sends to {target} what it does not take")
                    continue
                for y, x in product(range(y0, y1 + 1), range(x0, x1 + 1)):
                    if y & ((1 << log2) - 1) == phase_y and x & ((1 << log2) - 1) == phase_x:
                        got[key][g0 : g1 + 1, y, x] += 1
    for key, (layer, source, _, needed, accepted, gaps) in wanted.items():
        if (got[key] > 1).any():
            found.append(f"{layer} in {key} gets {source} twice")
        if (got[key] < needed).any():
            found.append(f"{layer} in {key} lacks some of {source}")
        if got[key][~accepted].any():
            found.append(f"{layer} in {key} gets groups of {source} that it does not take")
        if exact and not gaps and (got[key] > needed).any():
            found.append(f"{layer} in {key} gets what it does not read of {source}")
    return found


kinds = st.sampled_from(["conv", "depthwise", "linear"])
counts = st.integers(1, 3)


@given(
    kind=kinds, kernel=st.integers(1, 4), stride=st.sampled_from([1, 2, 4]), padding=st.integers(0, 2),
    shape=st.tuples(st.integers(1, 7), st.integers(4, 9), st.integers(4, 6)),
    cuts=st.tuples(st.tuples(counts, counts, counts), st.tuples(counts, counts, counts)),
    limit=st.sampled_from([256, 8, 4, 2]),
)  # fmt: skip
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_core_gets_what_it_reads_once(
    kind: str, kernel: int, stride: int, padding: int, shape: tuple[int, int, int],
    cuts: tuple[tuple[int, int, int], tuple[int, int, int]], limit: int,
) -> None:  # fmt: skip
    net = one_edge(kind, kernel, stride, padding, shape)
    places = {INPUT: cut(net, INPUT, cuts[0], 0), "out": cut(net, "out", cuts[1], 4)}
    try:
        routes = network_routes(net, places, {INPUT}, MESH.replace(routes=limit))
    except DoesNotFitError as error:
        assert f"the chip has {limit}" in str(error)  # noqa: PT017
        assert limit < 256
        return
    assert set(routes) == {place.tile for own in places.values() for place in own}
    assert max(map(len, routes.values())) <= limit
    assert not faults(net, places, {INPUT}, routes, exact=limit == 256)


def drawn(seed: int) -> tuple[QuantizedNetwork, dict[str, list[Place]] | None, np.random.Generator]:
    rng = np.random.default_rng(seed)
    network = random_network(
        rng, layers=int(rng.integers(1, 5)), channels=7, max_side=7, max_kernel=3, max_edges=3, features=FEATURES
    )
    network = with_chip_parts(network, rng, MESH)
    return network, random_places(network, rng, MESH), rng


@given(seed=st.integers(0, 2**32 - 1), limit=st.sampled_from([256, 256, 12, 6]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_random_networks_on_random_tiles(seed: int, limit: int) -> None:
    """Skips, ages, parts, pooling, several edges from one source; scattered tiles."""
    network, places, rng = drawn(seed)
    assume(places is not None)
    assert places is not None
    sources = {INPUT}
    if rng.random() < 0.3:  # a later pass: the last layer alone
        last = network.layers[-1]
        sources = {edge.source for edge in last.edges}
        places = {name: own for name, own in places.items() if name in sources or name == last.name}
    try:
        routes = network_routes(network, places, sources, MESH.replace(routes=limit))
    except DoesNotFitError:
        assert limit < 256
        return
    assert max(map(len, routes.values())) <= limit
    senders = {place.tile for own in places.values() for place in own if place.part == 0}
    assert set(routes) == senders
    assert not faults(network, places, sources, routes, exact=limit == 256)


def test_the_draws_reach_what_they_are_for() -> None:
    seen: set[str] = set()
    for seed in range(40):
        network, places, _ = drawn(seed)
        if places is None:
            continue
        kinds = [e.kind for own in network_routes(network, places, {INPUT}, MESH).values() for e in own]
        seen |= {"ages"} if any(kind.age for kind in kinds) else set()
        seen |= {"phases"} if any(kind.phase[0] for kind in kinds) else set()
        seen |= {"edges"} if any(kind.edge for kind in kinds) else set()
        seen |= {"parts"} if any(place.part for own in places.values() for place in own) else set()
    assert seen == {"ages", "phases", "edges", "parts"}


def test_faults_are_noticed() -> None:
    """Each route dropped, doubled, or made longer, shorter, for another age or other tiles, is found."""
    net = one_edge("conv", 3, 1, 1, (3, 6, 5))
    places = {INPUT: cut(net, INPUT, (2, 1, 2), 0), "out": cut(net, "out", (2, 2, 1), 4)}
    routes = network_routes(net, places, {INPUT}, MESH)
    assert not faults(net, places, {INPUT}, routes)
    for tile, entries in routes.items():
        for i, entry in enumerate(entries):
            (y0, y1), x, g = entry.box
            a, b, c, d = entry.dst
            for others in (
                [], [entry, entry], [replace(entry, box=((y0, y1 - 1), x, g))] if y1 > y0 else [],
                [replace(entry, box=((y0, y1 + 1), x, g))],
                [replace(entry, box=((y0, y1), x, (g[0], g[1] + 1)))], [replace(entry, dst=(a, b + 1, c, d))],
                [replace(entry, kind=replace(entry.kind, age=1))], [replace(entry, kind=replace(entry.kind, edge=1))],
                [replace(entry, kind=replace(entry.kind, phase=(3, 7, 7)))],
            ):  # fmt: skip
                assert faults(net, places, {INPUT}, {**routes, tile: [*entries[:i], *others, *entries[i + 1 :]]})


def rows_sent(config: ChipConfig, cuts: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    net = one_edge("conv", 3, 1, 1, (2, 8, 8))
    places = {INPUT: cut(net, INPUT, (1, 1, 1), 0), "out": cut(net, "out", (cuts, 1, 1), 4)}
    routes = network_routes(net, places, {INPUT}, config)
    assert not faults(net, places, {INPUT}, routes, exact=config is MESH)
    return sorted((entry.box[0], entry.dst[:2]) for entry in routes[1, 0])


def test_halo_rows_go_to_both_tiles() -> None:
    # rows 3 and 4 are sent twice: with 64 words to look at, a third entry would take longer
    assert rows_sent(MESH, 2) == [((0, 4), (1, 1)), ((3, 7), (2, 2))]


def test_rows_are_joined_where_entries_are_few() -> None:
    exact = rows_sent(MESH, 4)
    for limit in (3, 2, 1):
        assert len(rows_sent(MESH.replace(routes=limit), 4)) <= limit < len(exact)
    assert rows_sent(MESH.replace(routes=1), 4) == [((0, 7), (1, 4))]


def test_too_few_entries_are_refused() -> None:
    """Depthwise cores take their own groups only: entries for them cannot be joined."""
    net = one_edge("depthwise", 1, 1, 0, (6, 4, 4))
    places = {INPUT: cut(net, INPUT, (1, 1, 1), 0), "out": cut(net, "out", (1, 1, 3), 4)}
    with pytest.raises(DoesNotFitError, match=r"'input' needs routes 3 per core \(3 with .*, the chip has 2: use"):
        network_routes(net, places, {INPUT}, MESH.replace(routes=2))


def test_one_bundle_for_two_groups_of_cores_is_sent_once() -> None:
    """Cores of other channels, and of other parts, read the same bundles: one entry leads to all of them."""
    net = one_edge("conv", 3, 1, 1, (6, 4, 4))
    places = {INPUT: cut(net, INPUT, (1, 1, 1), 0), "out": cut(net, "out", (1, 1, 3), 4)}
    (entry,) = network_routes(net, places, {INPUT}, MESH)[1, 0]
    assert entry.tiles == [(1, 4), (2, 4), (3, 4)]


def test_stages_and_missing_places(digits: QuantizedNetwork) -> None:
    names = [INPUT, *(layer.name for layer in digits.layers)]
    assert list(stages_in(digits, names, {INPUT}).values()) == [0, 1, 2, 3, 4, 5]
    assert stages_in(digits, ["conv2", "pool", "conv3"], {"conv2"}) == {"conv2": 0, "pool": 1, "conv3": 2}
    with pytest.raises(SdannError, match="layer 'conv3' reads 'pool', for which no places are given"):
        stages_in(digits, ["conv2", "conv3"], {"conv2"})


def test_held_neurons_of_a_pooled_layer() -> None:
    net = one_edge("conv", 3, 1, 1, (3, 7, 7))
    layer = replace(net.layers[0], pool=Pool(kernel=3, stride=2, padding=1))
    net = replace(net, layers=(layer,))
    place = Place(tile=(1, 1), rows=(1, 2), columns=(3, 1), channels=(2, 1))
    neurons, outputs = held(net, "out", layer, place)
    assert outputs == RegionEntry(y0=1, height=2, x0=3, width=1, channel0=2, channels=1)
    assert neurons == RegionEntry(y0=1, height=5, x0=5, width=2, channel0=2, channels=1)
    whole = RegionEntry(y0=0, height=7, x0=0, width=7, channel0=0, channels=3)
    assert held(net, INPUT, None, Place(tile=(1, 1))) == (whole, whole)
