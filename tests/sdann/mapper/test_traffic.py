"""Traffic as foretold from spikes is what the tile model counts, exactly, tile by tile."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.errors import DoesNotFitError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.mapper import plan_network
from sdann.mapper.build import MappedPass, NetworkMap, pass_on_tiles
from sdann.mapper.grids import EMITTING
from sdann.mapper.placement import Block, local_placement, row_placement
from sdann.mapper.plan import Planner, allocate
from sdann.mapper.routing import Kind, RouteEntry
from sdann.mapper.traffic import bundles_of, traffic_of
from sdann.mapper.work import Spikes, assumed_spikes, count_spikes
from sdann.passes import run_passes
from sdann.random_networks import FEATURES, random_input, random_network
from sdann.random_places import with_chip_parts
from sdann.tile_model import TileModel

SAMPLES = 4  # a power of two: means per sample are exact
HOST = 0, 0
CHIP = preset("test").replace(
    rows=5, cols=5, weight_words=256, neuron_words=32, routes=64, edges=4, slots=3, map_side=8, readout_depth=2048
)


@pytest.fixture(scope="module", autouse=True)
def _without_search() -> Iterator[None]:
    """How good the places are does not matter here: without the method that takes the longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sdann.mapper.build.rectangle_placement", lambda *_: None)
        yield


Counted = list[dict[tuple[int, int], int]]


def mapped(seed: int, routes: int = 64) -> tuple[NetworkMap, Counted]:
    """A random network's map by its own spikes, and the hops that each tile counts, by pass."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, layers=4, channels=9, max_side=8, max_edges=3, features=FEATURES, signed_input=False)
    network = with_chip_parts(network, rng, CHIP)
    x = random_input(network, rng, SAMPLES)
    spikes = count_spikes(network, reference.run(network, x).activations, CHIP.lanes)
    plan = plan_network(network, CHIP.replace(routes=routes), spikes=spikes)
    hops: Counted = []

    def run(image, sources):  # type: ignore[no-untyped-def]
        found = TileModel(image).run(sources)
        hops.append({tile: counts[Counter.HOPS] for tile, counts in found.counters.items()})
        return found.activations

    run_passes(plan.images(), x, run)
    return plan, hops


@given(seed=st.integers(0, 2**32 - 1), routes=st.sampled_from([64, 12, 6]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_hops_are_those_of_the_tile_model(seed: int, routes: int) -> None:
    try:
        plan, hops = mapped(seed, routes)
    except DoesNotFitError:
        assume(False)
    for one, counted in zip(plan.passes, hops, strict=True):
        through = {tile: found * SAMPLES for tile, found in one.traffic.through.items() if found}
        host = through.pop(HOST, 0.0)  # it has no counter
        assert through == {tile: found for tile, found in counted.items() if found}
        assert one.traffic.hops * SAMPLES == sum(counted.values()) + host
        assert one.traffic.least <= one.traffic.hops


def test_a_missing_route_and_a_moved_core_are_noticed() -> None:
    plan, (counted, *_) = mapped(5)
    one, config = plan.passes[0], plan.config
    names = {tile: name for name, own in one.tiles.items() for tile in own}
    routes = one.routes
    whole = traffic_of(routes, names, plan.spikes, config)
    assert whole.hops == one.traffic.hops
    total = sum(counted.values()) + SAMPLES * whole.through.get(HOST, 0.0)
    assert whole.hops * SAMPLES == total
    for tile, entries in routes.items():
        for i, entry in enumerate(entries):
            if bundles_of(entry, names[tile], plan.spikes):
                less = {**routes, tile: [*entries[:i], *entries[i + 1 :]]}
                assert traffic_of(less, names, plan.spikes, config).hops * SAMPLES < total
    quiet = traffic_of(routes, names, plan.spikes, config, quiet=set(one.tiles))
    assert (quiet.hops, quiet.least, quiet.through) == (0, 0, {})


@given(
    seed=st.integers(0, 99), rows=st.tuples(st.integers(0, 5), st.integers(0, 5)), log2=st.integers(0, 2),
    phase=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)  # fmt: skip
def test_bundles_of_a_route(seed: int, rows: tuple[int, int], log2: int, phase: tuple[int, int]) -> None:
    counts = np.random.default_rng(seed).integers(0, 9, (3, 6, 7)).astype(float)
    spikes = Spikes(spikes={"a": counts}, pairs={"a": counts}, bundles={"a": counts}, lanes=2, samples=1)
    y0, y1 = min(rows), max(rows)
    at = phase[0] % (1 << log2), phase[1] % (1 << log2)
    entry = RouteEntry(
        kind=Kind(layer="b", edge=0, age=0, phase=(log2, *at)), box=((y0, y1), (1, 5), (1, 2)), dst=(0, 0, 1, 1)
    )  # fmt: skip
    total = 0.0
    for g, y, x in np.ndindex(3, 6, 7):
        if y0 <= y <= y1 and 1 <= x <= 5 and g >= 1 and (y % (1 << log2), x % (1 << log2)) == at:
            total += counts[g, y, x]
    assert bundles_of(entry, "a", spikes) == total


def wide() -> QuantizedNetwork:
    """Three 3 x 3 convolutions on 16 x 16 positions."""
    ones, weight = np.ones(4, dtype=np.int64), np.ones((4, 4, 3, 3), dtype=np.int64)
    layers = tuple(
        Layer(
            name=f"l{n + 1}", shape=(4, 16, 16), mult=ones, shift=ones, bias=0 * ones, bias_mode="sum", lo=0, hi=255,
            edges=(
                Edge(source=f"l{n}" if n else INPUT, kind="conv", weight=weight, padding=1),
            ),
        )
        for n in range(3)
    )  # fmt: skip
    return QuantizedNetwork(
        name="wide", input_shape=(4, 16, 16), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=layers,
    )  # fmt: skip


@pytest.fixture(scope="module")
def spread() -> tuple[MappedPass, MappedPass]:
    """The wide network on 64 tiles, in rows and by place."""
    config = preset("test").replace(
        rows=8, cols=8, neuron_words=32, map_side=16, routes=64, readout_depth=2048, edges=4
    )  # fmt: skip
    network = wide()
    spikes = assumed_spikes(network, config.lanes)
    planner = Planner(network, config, spikes, {}, len(config.cores))
    (frame,) = planner.frames()
    grids = allocate(planner.grids(frame), 60)
    blocks = [Block(name, g.cores, g.inner, g.centres(16, 16)) for name, g in grids.items()]
    rows = pass_on_tiles(network, frame, grids, row_placement(blocks, config), config, spikes, "rows")
    local = [
        pass_on_tiles(network, frame, grids, local_placement(blocks, config, bands), config, spikes, "local")
        for bands in (1, 2, 4)
    ]
    return rows, min(local, key=lambda one: one.traffic.hops)


def test_local_placement_carries_less_than_rows(spread: tuple[MappedPass, MappedPass]) -> None:
    rows, local = spread
    assert local.traffic.least <= local.traffic.hops < rows.traffic.hops
    assert sum(local.traffic.through.values()) == pytest.approx(local.traffic.hops)


def test_the_plan_takes_the_placement_with_the_least_traffic() -> None:
    """Of those that emit in half of a window."""
    plan, _ = mapped(5)
    for one in plan.passes:
        window = EMITTING * max(grid.load for grid in one.grids.values())
        blocks = [
            Block(name, g.cores, g.inner, g.centres(*one.network.shape_of(name)[1:])) for name, g in one.grids.items()
        ]
        for tiles in (row_placement(blocks, plan.config), local_placement(blocks, plan.config, 2)):
            other = pass_on_tiles(one.network, one.frame, one.grids, tiles, plan.config, plan.spikes, "other")
            assert (max(one.emission, window), one.traffic.hops) <= (max(other.emission, window), other.traffic.hops)


def test_spikes_scale_the_traffic(spread: tuple[MappedPass, MappedPass]) -> None:
    one = spread[1]
    config = preset("test").replace(rows=8, cols=8, routes=64)
    routes = one.routes
    names = {tile: name for name, own in one.tiles.items() for tile in own}
    spikes = assumed_spikes(one.network, 4)
    twice = replace(spikes, bundles={name: 2 * some for name, some in spikes.bundles.items()})
    assert traffic_of(routes, names, twice, config).hops == pytest.approx(2 * one.traffic.hops)
