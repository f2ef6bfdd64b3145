"""Deliveries and hops of the XY multicast tree, against first principles."""

from hypothesis import given
from hypothesis import strategies as st

from sdann.mesh_model import deliver


@given(
    mesh=st.tuples(st.integers(1, 6), st.integers(1, 6)), source=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    y=st.tuples(st.integers(0, 7), st.integers(0, 7)), x=st.tuples(st.integers(0, 7), st.integers(0, 7)),
)  # fmt: skip
def test_each_tile_once_over_the_shortest_tree(
    mesh: tuple[int, int], source: tuple[int, int], y: tuple[int, int], x: tuple[int, int]
) -> None:
    rows, cols = mesh
    source = source[0] % rows, source[1] % cols
    way = deliver(rows, cols, source, (*y, *x))
    if y[0] > y[1] or x[0] > x[1] or y[1] >= rows or x[1] >= cols:
        assert way is None
        return
    assert way is not None
    assert list(way.tiles) == [(r, c) for r in range(y[0], y[1] + 1) for c in range(x[0], x[1] + 1)]
    # along X over the source and all columns; in each column over the source's row and all rows
    trunk = max(source[1], x[1]) - min(source[1], x[0])
    branch = max(source[0], y[1]) - min(source[0], y[0])
    assert sum(n for _, n in way.hops) == trunk + (x[1] - x[0] + 1) * branch


def test_hops_happen_where_the_flit_forks() -> None:
    way = deliver(4, 4, (1, 0), (0, 2, 2, 3))
    assert way is not None
    # (1, 0) and (1, 1) pass on; (1, 2) goes on east, north and south; (1, 3) north and south
    assert dict(way.hops) == {(1, 0): 1, (1, 1): 1, (1, 2): 3, (1, 3): 2}
    assert way.links == (
        (1, 0, "e"), (1, 1, "e"), (1, 2, "e"), (1, 2, "n"), (1, 2, "s"), (1, 3, "n"), (1, 3, "s"),
    )  # fmt: skip
    assert deliver(4, 4, (2, 2), (2, 2, 2, 2)) is not None
    assert deliver(4, 4, (2, 2), (2, 2, 2, 2)).hops == ()  # type: ignore[union-attr]
