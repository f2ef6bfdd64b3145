"""Route entries: rectangles that hold the tiles and no other, and entries that are joined without harm."""

from collections import Counter
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdann.errors import DoesNotFitError
from sdann.mapper.image import Coordinate
from sdann.mapper.routing import MOST_NEEDLESS, Ends, Kind, Need, RouteEntry, rectangles, routes_of

A, B = Kind(layer="a", edge=0, age=0), Kind(layer="a", edge=1, age=0)
tiles = st.tuples(st.integers(0, 5), st.integers(0, 5))


@given(st.sets(tiles, max_size=20))
def test_rectangles_hold_each_tile_once_and_no_other(some: set[Coordinate]) -> None:
    found = rectangles(some)
    held = [(y, x) for y0, y1, x0, x1 in found for y in range(y0, y1 + 1) for x in range(x0, x1 + 1)]
    assert sorted(held) == sorted(some)
    assert found == rectangles(sorted(some, reverse=True))


@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 5), st.integers(1, 5))
def test_a_rectangle_is_one(y: int, x: int, height: int, width: int) -> None:
    whole = {(y + i, x + j) for i in range(height) for j in range(width)}
    assert rectangles(whole) == [(y, y + height - 1, x, x + width - 1)]


def ends(size: int) -> st.SearchStrategy[Ends]:
    return st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).map(lambda e: (min(e), max(e)))


@st.composite
def demands(draw: st.DrawFn) -> tuple[list[Need], dict[Kind, dict[Coordinate, Ends]]]:
    """What tiles read of a core with 5 x 4 positions and 4 groups; every tile accepts the groups it reads, or more."""
    needs: list[Need] = []
    takes: dict[Kind, dict[Coordinate, Ends]] = {A: {}, B: {}}
    for kind in (A, B):
        for tile in draw(st.lists(tiles, max_size=5, unique=True)):
            box = draw(ends(5)), draw(ends(4)), draw(ends(4))
            needs.append(Need(kind=kind, tile=tile, box=box))
            low, high = box[2]
            takes[kind][tile] = draw(st.integers(0, low)), draw(st.integers(high, 3))
    return needs, takes


def delivered(entries: list[RouteEntry]) -> Counter[tuple[Kind, Coordinate, tuple[int, int, int]]]:
    return Counter(
        (entry.kind, tile, at)
        for entry in entries
        for tile in entry.tiles
        for at in product(*(range(first, last + 1) for first, last in entry.box))
    )


def read(needs: list[Need]) -> Counter[tuple[Kind, Coordinate, tuple[int, int, int]]]:
    return delivered(
        [RouteEntry(kind=n.kind, box=n.box, dst=(n.tile[0], n.tile[0], n.tile[1], n.tile[1])) for n in needs]
    )


@given(demand=demands(), words=st.sampled_from([1, 20, 80]), limit=st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_deliveries(
    demand: tuple[list[Need], dict[Kind, dict[Coordinate, Ends]]], words: int, limit: int
) -> None:  # fmt: skip
    needs, takes = demand
    wanted = read(needs)
    exact = routes_of("x", words, needs, takes, 1000)
    assert delivered(exact) == wanted
    try:
        joined = routes_of("x", words, needs, takes, limit)
    except DoesNotFitError as error:
        assert f"'x' needs routes {len(exact)} per core" in str(error)  # noqa: PT017
        assert f"the chip has {limit}" in str(error)  # noqa: PT017
        assert limit < len(exact)
        return
    assert len(joined) <= limit
    assert joined == exact if len(exact) <= limit else True
    got = delivered(joined)
    assert all(got[key] == 1 for key in wanted)
    assert set(got.values()) <= {1}
    for kind, tile, (_, _, group) in got:
        low, high = takes[kind][tile]
        assert low <= group <= high


def box(y0: int, y1: int, g0: int = 0, g1: int = 0) -> tuple[Ends, Ends, Ends]:
    return (y0, y1), (0, 3), (g0, g1)


def test_what_several_read_differently_costs_the_least() -> None:
    """Positions that two tiles share are sent once, or each its own: whatever takes fewer cycles."""
    needs = [Need(kind=A, tile=(0, 1), box=box(0, 4)), Need(kind=A, tile=(0, 2), box=box(3, 7))]
    takes = {A: {(0, 1): (0, 0), (0, 2): (0, 0)}}
    few, many = routes_of("x", 1, needs, takes, 9), routes_of("x", 1000, needs, takes, 9)
    assert [(e.box[0], e.dst) for e in few] == [
        ((0, 2), (0, 0, 1, 1)), ((3, 4), (0, 0, 1, 2)), ((5, 7), (0, 0, 2, 2)),
    ]  # fmt: skip
    assert [(e.box[0], e.dst) for e in many] == [((0, 4), (0, 0, 1, 1)), ((3, 7), (0, 0, 2, 2))]
    assert delivered(few) == delivered(many) == read(needs)


def test_the_cheapest_pair_is_joined() -> None:
    needs = [
        Need(kind=A, tile=(0, 1), box=box(0, 0)), Need(kind=A, tile=(0, 2), box=box(1, 1)),
        Need(kind=A, tile=(0, 3), box=box(7, 7)),
    ]  # fmt: skip
    takes = {A: {(0, x): (0, 0) for x in (1, 2, 3)}}
    joined = routes_of("x", 1, needs, takes, 2)
    assert sorted((e.box[0], e.dst) for e in joined) == [((0, 1), (0, 0, 1, 2)), ((7, 7), (0, 0, 3, 3))]
    (one,) = routes_of("x", 1, needs, takes, 1)
    assert (one.box[0], one.dst) == ((0, 7), (0, 0, 1, 3))


@given(demand=demands(), wanted=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_fewer_entries_for_speed(
    demand: tuple[list[Need], dict[Kind, dict[Coordinate, Ends]]], wanted: int
) -> None:  # fmt: skip
    """Everything that is needed arrives once, and not too much else."""
    needs, takes = demand
    exact, joined = routes_of("x", 20, needs, takes, 1000), routes_of("x", 20, needs, takes, 1000, wanted)
    assert joined == exact if len(exact) <= wanted else len(joined) <= len(exact)
    got, needed = delivered(joined), read(needs)
    assert all(got[key] == 1 for key in needed)
    assert set(got.values()) <= {1}
    assert got.total() <= MOST_NEEDLESS * needed.total()


def test_how_far_entries_are_joined_for_speed() -> None:
    needs = [Need(kind=A, tile=(0, x), box=box(2 * x, 2 * x + 1)) for x in range(1, 7)]
    takes = {A: {(0, x): (0, 0) for x in range(1, 7)}}
    assert [len(routes_of("x", 1, needs, takes, 9, wanted)) for wanted in (6, 4, 3)] == [6, 4, 3]
    # all in one would deliver six times what is needed
    assert len(routes_of("x", 1, needs, takes, 9, 1)) == 2
    assert len(routes_of("x", 1, needs, takes, 1)) == 1  # where the chip has no more, it must be


@pytest.mark.parametrize(
    ("takes", "third"),
    [
        ({(0, 1): (0, 0), (0, 2): (1, 1)}, []),  # groups that the other does not take
        ({(0, 1): (0, 1), (0, 3): (0, 1)}, []),  # a tile between them that takes nothing
        # it would get rows twice: the entry for all rows is its own already
        ({(0, 1): (0, 1), (0, 3): (0, 1), (0, 2): (0, 0)}, [Need(kind=A, tile=(0, 2), box=box(0, 1))]),
    ],
)
def test_entries_that_cannot_be_joined(takes: dict[Coordinate, Ends], third: list[Need]) -> None:
    last = max(tile for tile in takes if tile != (0, 1))
    needs = [Need(kind=A, tile=(0, 1), box=box(0, 0, 0, 0)), Need(kind=A, tile=last, box=box(1, 1, 1, 1)), *third]
    with pytest.raises(DoesNotFitError, match=rf"'x' needs routes {len(needs)} per core .*, the chip has 1: use fewer"):
        routes_of("x", 1, needs, {A: takes}, 1)
    other = [needs[0], Need(kind=B, tile=(0, 2), box=box(1, 1))]  # of different edges
    with pytest.raises(DoesNotFitError, match="needs routes 2 per core"):
        routes_of("x", 1, other, {A: {(0, 1): (0, 1)}, B: {(0, 2): (0, 1)}}, 1)
