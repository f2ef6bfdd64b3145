"""Routes: every tile gets exactly the bundles that it needs, and nothing that it would reject."""

from collections import Counter as Count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hdl.config import ChipConfig, preset
from sdann.errors import DoesNotFitError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.mapper.placement import Placed
from sdann.mapper.routing import RouteEntry, routes_of
from sdann.mapper.tiling import tiling_options

MESH = preset("test").replace(
    rows=8, cols=8, lanes=2, requant_lanes=1, map_side=16, routes=64, neuron_words=512, weight_words=4096
)


def network(kind: str, kernel: int, stride: int, padding: int, shape: tuple[int, int, int]) -> QuantizedNetwork:
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


def placed(net: QuantizedNetwork, name: str, stage: int, cut: tuple[int, int], x: int, config: ChipConfig) -> Placed:
    rows, columns = cut
    groups = -(-net.shape_of(name)[0] // config.lanes)
    fits = min(rows, net.shape_of(name)[1]), min(columns, groups)
    return Placed(tiling=tiling_options(net, name, stage, config, fits)[0], y=1, x=x)


def deliveries(entries: list[RouteEntry], y: int, x: int, group: int) -> Count[tuple[int, int]]:
    found: Count[tuple[int, int]] = Count()
    for e in entries:
        if e.y[0] <= y <= e.y[1] and e.x[0] <= x <= e.x[1] and e.group[0] <= group <= e.group[1]:
            found.update(
                (r, c) for r in range(e.mesh_y[0], e.mesh_y[1] + 1) for c in range(e.mesh_x[0], e.mesh_x[1] + 1)
            )
    return found


@given(
    kind=st.sampled_from(["conv", "depthwise", "linear"]), kernel=st.integers(1, 4), stride=st.sampled_from([1, 2, 4]),
    padding=st.integers(0, 2), shape=st.tuples(st.integers(1, 7), st.integers(4, 9), st.integers(4, 6)),
    cuts=st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 4), st.integers(1, 3)),
)  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_each_tile_gets_what_it_needs_once(
    kind: str, kernel: int, stride: int, padding: int, shape: tuple[int, int, int], cuts: tuple[int, int, int, int]
) -> None:
    net = network(kind, kernel, stride, padding, shape)
    layer, edge = net.layers[0], net.layers[0].edges[0]
    producer, consumer = placed(net, INPUT, 0, cuts[:2], 0, MESH), placed(net, "out", 1, cuts[2:], 3, MESH)
    kh, kw = edge.weight.shape[2:]
    for region in (r for row in producer.tiling.regions for r in row):
        entries = routes_of(net, producer, region, [consumer], MESH)
        for y in region.rows:
            for x in range(region.width):
                for group in range(region.group0, region.group0 + region.groups):
                    found = deliveries(entries, y, x, group)
                    for r, row in enumerate(consumer.tiling.regions):
                        rows = {o * edge.stride - edge.padding + k for o in row[0].rows for k in range(kh)}
                        columns = {o * edge.stride - edge.padding + k for o in range(layer.shape[2]) for k in range(kw)}
                        for c, other in enumerate(row):
                            own = other.group0 <= group < other.group0 + other.groups
                            accepted = edge.kind != "depthwise" or own
                            times = found.pop((consumer.y + r, consumer.x + c), 0)
                            assert times <= int(accepted)  # never twice, never where it would be rejected
                            if y in rows and x in columns and accepted:
                                assert times == 1
                            elif kh >= edge.stride and y not in rows:
                                assert times == 0  # no tile gets rows that it does not need
                    assert not found  # nothing outside the layer's rectangle


def test_halo_rows_go_to_both_tiles() -> None:
    net = network("conv", 3, 1, 1, (2, 8, 8))
    producer, consumer = placed(net, INPUT, 0, (1, 1), 0, MESH), placed(net, "out", 1, (2, 1), 3, MESH)
    entries = routes_of(net, producer, producer.tiling.regions[0][0], [consumer], MESH)
    assert [(e.y, e.mesh_y) for e in entries] == [((0, 2), (1, 1)), ((3, 4), (1, 2)), ((5, 7), (2, 2))]


def test_rows_are_joined_where_entries_are_few() -> None:
    net = network("conv", 3, 1, 1, (2, 8, 8))
    producer, consumer = placed(net, INPUT, 0, (1, 1), 0, MESH), placed(net, "out", 1, (4, 1), 3, MESH)
    region = producer.tiling.regions[0][0]
    exact = routes_of(net, producer, region, [consumer], MESH)
    for limit in (4, 3, 1):
        joined = routes_of(net, producer, region, [consumer], MESH.replace(routes=limit))
        assert len(joined) <= limit < len(exact)
        for y in region.rows:
            assert deliveries(exact, y, 0, 0) <= deliveries(joined, y, 0, 0)
    assert joined[0].mesh_y == (1, 4)


def test_too_few_entries_are_refused() -> None:
    net = network("depthwise", 1, 1, 0, (6, 4, 4))
    producer, consumer = placed(net, INPUT, 0, (1, 1), 0, MESH), placed(net, "out", 1, (1, 3), 3, MESH)
    with pytest.raises(DoesNotFitError, match=r"'input' needs routes 3 per core .* the chip has 2"):
        routes_of(net, producer, producer.tiling.regions[0][0], [consumer], MESH.replace(routes=2))
