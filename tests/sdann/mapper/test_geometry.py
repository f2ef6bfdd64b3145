"""Spans on feature maps against the positions one by one."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hdl.config import preset
from hdl.program import Memory
from sdann.golden import max_pool
from sdann.graph import Edge, Pool, QuantizedNetwork
from sdann.mapper import plan_network
from sdann.mapper.geometry import (
    groups_of,
    needed_span,
    pooled_neurons,
    pooled_shape,
    row_shift_of,
    split_evenly,
    weight_words_of,
)

strides = st.sampled_from([1, 2, 4])


@given(
    kernel=st.integers(1, 5), stride=strides, padding=st.integers(0, 4), size=st.integers(1, 12),
    ends=st.tuples(st.integers(0, 5), st.integers(0, 5)), axis=st.sampled_from([0, 1]),
)  # fmt: skip
def test_needed_span_is_what_outputs_read(
    kernel: int, stride: int, padding: int, size: int, ends: tuple[int, int], axis: int
) -> None:
    first, last = sorted(ends)
    assume(last * stride + kernel <= size + 2 * padding)  # such outputs exist
    compare_span(kernel, stride, padding, size, (first, last), axis)


def compare_span(kernel: int, stride: int, padding: int, size: int, ends: tuple[int, int], axis: int) -> None:
    first, last = ends
    shape = (1, 1, kernel, 7) if axis == 0 else (1, 1, 7, kernel)
    edge = Edge(source="s", kind="conv", weight=np.ones(shape, dtype=np.int64), stride=stride, padding=padding)
    reads = [o * stride - padding + k for o in range(first, last + 1) for k in range(kernel)]
    inside = [y for y in reads if 0 <= y < size]
    low, high = needed_span(first, last, edge, axis, size)
    if not inside:
        assert low > high or kernel < stride
    elif kernel >= stride:
        assert (low, high) == (min(inside), max(inside))
    else:  # what lies between kernels belongs to the span
        assert max(0, min(reads)) == low <= min(inside) <= max(inside) <= high == min(size - 1, max(reads))


@given(
    pool=st.builds(Pool, kernel=st.integers(1, 4), stride=strides, padding=st.integers(0, 3)),
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)), data=st.data(),
)  # fmt: skip
def test_pooled_neurons_are_what_windows_read(pool: Pool, sides: tuple[int, int], data: st.DataObject) -> None:
    assume(pool.padding < pool.kernel <= min(sides) + 2 * pool.padding)
    shape = pooled_shape((3, *sides), pool)
    assert shape == max_pool(np.zeros((1, 3, *sides), dtype=np.int64), pool).shape[1:]
    first = data.draw(st.integers(0, shape[1] - 1))
    count = data.draw(st.integers(1, shape[1] - first))
    reads = {o * pool.stride - pool.padding + k for o in range(first, first + count) for k in range(pool.kernel)}
    inside = reads & set(range(sides[0]))
    low, size = pooled_neurons((first, count), sides[0], pool)
    assert (low, low + size - 1) == (min(inside), max(inside))
    assert pooled_neurons((first, count), sides[0], None) == (first, count)


@given(first=st.integers(0, 9), count=st.integers(1, 40), parts=st.integers(1, 40))
def test_split_evenly(first: int, count: int, parts: int) -> None:
    assume(parts <= count)
    spans = split_evenly(first, count, parts)
    assert [y for low, size in spans for y in range(low, low + size)] == list(range(first, first + count))
    sizes = [size for _, size in spans]
    assert len(sizes) == parts
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1
    assert sizes[0] == -(-count // parts)  # what the search of grids takes as a piece's size


def test_groups_and_weight_rows() -> None:
    assert [groups_of(c, 8) for c in (1, 7, 8, 9, 16, 17)] == [1, 1, 1, 2, 2, 3]
    assert [row_shift_of(c, 8) for c in (1, 2, 3, 4, 5, 8, 9, 20)] == [0, 1, 2, 2, 3, 3, 3, 3]


@pytest.mark.parametrize("which", ["digits", "residual"])
def test_weight_words_are_those_of_the_image(which: str, request: pytest.FixtureRequest) -> None:
    network: QuantizedNetwork = request.getfixturevalue(which)
    config = preset("demo").replace(rows=6, cols=6, edges=4, routes=32)
    parts = {"linear": (1, 1)} if which == "digits" else {}  # its weights take two cores
    mapped = plan_network(network, config, overrides=parts, one_pass=True)
    image = mapped.image(0)
    seen = set()
    for layer in mapped.passes[0].network.layers:
        for core in image.cores_of(layer.name):
            groups = groups_of(core.region.channels, image.config.lanes)
            needed = sum(
                weight_words_of(layer.edges[some.edge], some.channels, groups, image.config.lanes)
                for some in layer.split[core.part]
            )
            assert needed == len(image.words((core.y, core.x), Memory.WEIGHT))
            seen.add(len(layer.split))
    assert seen == ({1, 2} if which == "digits" else {1})


def test_a_shifted_span_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison with single positions sees a span that begins one late."""
    compare_span(3, 1, 1, 8, (2, 4), 0)
    right = needed_span
    monkeypatch.setitem(globals(), "needed_span", lambda *a: (right(*a)[0] + 1, right(*a)[1]))
    with pytest.raises(AssertionError):
        compare_span(3, 1, 1, 8, (2, 4), 0)
