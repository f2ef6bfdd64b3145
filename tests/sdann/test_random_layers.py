"""sdann.random_layers: edges of an asked shape, windows that fit, splits that cover every channel once."""

import numpy as np
import pytest

from sdann.check import edge_shape
from sdann.graph import Edge, Shape
from sdann.random_layers import edge_between, random_parts, random_pool


@pytest.mark.parametrize(
    ("shape", "out", "kinds"),
    [
        ((3, 8, 5), (4, 8, 5), {"conv"}),
        ((4, 8, 5), (4, 3, 2), {"conv", "depthwise"}),
        ((4, 6, 6), (4, 1, 1), {"conv", "depthwise", "linear"}),
        ((3, 9, 9), (2, 1, 1), {"conv", "linear"}),
    ],
)
def test_edges_make_the_asked_shape(shape: Shape, out: Shape, kinds: set[str]) -> None:
    rng = np.random.default_rng(1)
    found = [
        edge_between(
            rng, "a", shape, out, kinds=["conv", "depthwise", "linear"], max_kernel=7, weight_bits=4, strides=[1, 2, 4]
        )
        for _ in range(60)
    ]
    assert all(edge is not None and edge_shape(edge, shape) == out for edge in found)
    assert {edge.kind for edge in found if edge} == kinds
    assert len({(edge.stride, edge.padding, edge.weight.shape) for edge in found if edge}) > 3


def test_no_edge_where_none_fits() -> None:
    rng = np.random.default_rng(1)
    for shape, out in (((3, 2, 2), (3, 9, 9)), ((3, 9, 2), (3, 2, 9))):
        assert edge_between(rng, "a", shape, out, kinds=["conv"], max_kernel=7, weight_bits=8, strides=[1, 2]) is None
    assert edge_between(rng, "a", (3, 4, 4), (2, 4, 4), kinds=["depthwise"], max_kernel=3, weight_bits=8,
                        strides=[1]) is None  # fmt: skip


def test_windows_fit() -> None:
    rng = np.random.default_rng(2)
    pools = [random_pool(rng, (1, 3, 5), 5) for _ in range(200)]
    assert None in pools and len(set(pools)) > 6
    for pool in filter(None, pools):
        sides = [(side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in (3, 5)]
        assert min(sides) >= 1 and max(sides) <= 5 and pool.padding < pool.kernel


def test_parts_cover_every_channel_once() -> None:
    rng = np.random.default_rng(3)
    weights = (np.ones((2, 5, 1, 1), dtype=np.int64), np.ones((2, 1, 1, 1), dtype=np.int64))
    edges = [Edge(source="a", kind="conv", weight=weight) for weight in weights]
    for _ in range(50):
        parts = random_parts(rng, edges, 3)
        covered = [(some.edge, some.channel0 + i) for part in parts for some in part for i in range(some.channels)]
        assert sorted(covered) == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0)]
        assert 2 <= len(parts) <= 3 and all(parts)
    assert random_parts(rng, edges[1:], 3) == ()
