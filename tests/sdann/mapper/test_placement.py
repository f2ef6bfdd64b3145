"""Placement: no two cores on a tile, the host's tile free, near what it talks to, the same result every time."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdl.config import ChipConfig, preset
from sdann.errors import DoesNotFitError
from sdann.mapper.image import Coordinate
from sdann.mapper.placement import (
    Block,
    Placement,
    local_placement,
    rectangle_placement,
    row_placement,
    snake_placement,
    validate,
)

TEST = preset("test")
WASTE = 0.15
Method = Callable[[list[Block], ChipConfig], Placement | None]
METHODS: dict[str, Method] = {
    "rows": row_placement,
    "snake": snake_placement,
    **{f"local {n}": lambda blocks, config, n=n: local_placement(blocks, config, n) for n in (1, 2, 4)},  # type: ignore
    "rectangles": lambda blocks, config: rectangle_placement(blocks, links_of(blocks), config),
}


def mesh(rows: int, cols: int) -> ChipConfig:
    return TEST.replace(rows=rows, cols=cols)


def links_of(blocks: list[Block]) -> dict[tuple[str, str], int]:
    return {(a.name, b.name): 1 for a, b in pairwise(blocks)}


def block(name: str, rows: int, columns: int = 1, inner: int = 1) -> Block:
    centres = tuple(((y + 0.5) / rows, (x + 0.5) / columns) for y in range(rows) for x in range(columns))
    return Block(name, rows * columns * inner, inner, centres)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Block], ChipConfig]:
    config = mesh(draw(st.integers(4, 6)), draw(st.integers(2, 6)))
    free, blocks = len(config.cores), []
    for number in range(draw(st.integers(1, 4))):
        rows, columns, inner = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)))
        if rows * columns * inner <= free:
            blocks.append(block(f"b{number}", rows, columns, inner))
            free -= rows * columns * inner
    return blocks or [block("b", 1)], config


@pytest.mark.parametrize("method", METHODS)
def test_disjoint_inside_and_off_the_host(method: str) -> None:
    @given(case=cases())
    @settings(max_examples=8 if method == "rectangles" else 50, deadline=None, database=None)
    def check(case: tuple[list[Block], ChipConfig]) -> None:
        blocks, config = case
        placed = METHODS[method](blocks, config)
        if placed is None:
            assert method == "rectangles"
            return
        assert list(placed) == [block.name for block in blocks]
        assert [len(tiles) for tiles in placed.values()] == [block.cores for block in blocks]
        every = [tile for tiles in placed.values() for tile in tiles]
        assert len(set(every)) == len(every)
        assert set(every) <= set(config.cores)
        validate(placed, config)
        if method == "rectangles":
            assert all(wasted(tiles) <= WASTE * len(tiles) for tiles in placed.values())
        assert placed == METHODS[method](blocks, config)

    check()


def wasted(tiles: list[Coordinate]) -> int:
    """Tiles that the hull of a block has more than it."""
    y, x = (np.array(axis) for axis in zip(*tiles, strict=True))
    return int((y.max() - y.min() + 1) * (x.max() - x.min() + 1)) - len(tiles)


def test_rectangles_are_full_or_nearly() -> None:
    blocks = [block("a", 3, 2), block("b", 11), block("c", 5)]
    placed = rectangle_placement(blocks, links_of(blocks), mesh(6, 6))
    assert placed is not None
    assert wasted(placed["a"]) == 0
    assert wasted(placed["c"]) == 0  # 6 of 5 would waste a fifth
    assert wasted(placed["b"]) <= 1  # 6 x 2, or 4 x 3
    assert wasted([(0, 0), (0, 1), (1, 0)]) == 1


def test_neighbours_in_a_chain() -> None:
    names = ["a", "b", "c", "d", "e"]
    links = dict.fromkeys(pairwise(names), 1)
    placed = rectangle_placement([block(name, 1) for name in names], links, mesh(2, 3))
    assert placed is not None
    at = {name: tiles[0] for name, tiles in placed.items()}
    assert [abs(at[a][0] - at[b][0]) + abs(at[a][1] - at[b][1]) for a, b in pairwise(names)] == [1, 1, 1, 1]


def test_traffic_decides_who_is_near() -> None:
    blocks = [block(name, 1) for name in ("hub", "much", "little")]
    for busy, idle in (("much", "little"), ("little", "much")):
        placed = rectangle_placement(blocks, {("hub", busy): 50, ("hub", idle): 1}, mesh(1, 8))
        assert placed is not None
        assert abs(placed["hub"][0][1] - placed[busy][0][1]) == 1


def test_host_tile_stays_free_in_a_full_mesh() -> None:
    placed = rectangle_placement([block("row", 1, 3), block("pair", 1, 2)], {("row", "pair"): 1}, mesh(2, 3))
    assert placed == {"row": [(1, 0), (1, 1), (1, 2)], "pair": [(0, 1), (0, 2)]}


def test_what_does_not_pack_is_left_to_the_other_methods() -> None:
    # beside the host's corner, two squares of four do not fit
    blocks = [block("a", 2, 2), block("b", 2, 2)]
    assert rectangle_placement(blocks, links_of(blocks), mesh(3, 3)) is None
    assert row_placement(blocks, mesh(3, 3))["b"] == [(1, 2), (2, 0), (2, 1), (2, 2)]
    assert rectangle_placement([block("odd", 13)], {}, mesh(6, 6)) is None  # 7 x 2 is too long, 5 x 3 wastes two


@pytest.mark.parametrize("method", METHODS)
def test_refusals_give_numbers(method: str) -> None:
    with pytest.raises(DoesNotFitError, match=r"needs 6 cores, the chip has 5 \(a 3, b 3\)"):
        METHODS[method]([block("a", 3), block("b", 3)], mesh(2, 3))


def test_snake_turns_at_the_sides() -> None:
    placed = snake_placement([block("a", 11)], mesh(4, 3))
    steps = [abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairwise(placed["a"])]
    assert placed["a"][:3] == [(1, 0), (0, 1), (1, 1)]
    assert max(steps) <= 2
    assert row_placement([block("a", 11)], mesh(4, 3))["a"] == mesh(4, 3).cores


@pytest.mark.parametrize("bands", [1, 2, 4])
def test_local_keeps_places_of_different_maps_together(bands: int) -> None:
    """Cores of the same part of two maps are nearer than those of other parts, and than in rows."""
    config, blocks = mesh(8, 8), [block("a", 5, 5), block("b", 5, 5), block("c", 2, 2)]
    placed, rows = local_placement(blocks, config, bands), row_placement(blocks, config)

    def far(a: list[Coordinate], b: list[Coordinate]) -> float:
        return float(np.mean([abs(p[0] - q[0]) + abs(p[1] - q[1]) for p, q in zip(a, b, strict=True)]))

    assert far(placed["a"], placed["b"]) < far(rows["a"], rows["b"])
    assert far(placed["a"], placed["b"]) < 0.7 * far(placed["a"], placed["b"][::-1])
    runs = [block("a", 2, 2, inner=4)]
    tiles = local_placement(runs, config, bands)["a"]
    for run in range(4):
        own = np.array(tiles[4 * run : 4 * run + 4])
        assert np.ptp(own, axis=0).max() <= max(2, 8 // bands)  # a run stays together


@pytest.mark.parametrize("bands", [1, 2, 4])
def test_local_keeps_the_map_as_it_lies(bands: int) -> None:
    """A map of as many pieces as the mesh has tiles lies there as it is, though bands run back and forth."""
    config = mesh(8, 8)
    centres = tuple(((y + 0.5) / 8, (x + 0.5) / 8) for y, x in config.cores)
    assert local_placement([Block("a", 63, 1, centres)], config, bands) == {"a": config.cores}


def test_validate_finds_overlap_host_and_outside() -> None:
    one = [(1, 0), (1, 1)]
    validate({"one": one}, TEST)
    for other, words in (
        ([(1, 1)], r"'two' is placed on tile \(1, 1\), which belongs to one"),
        ([(0, 0)], "belongs to the host"),
        ([(0, 2), (0, 3)], r"tile \(0, 3\), outside the mesh"),
        ([(-1, 0)], r"tile \(-1, 0\), outside the mesh"),
        ([(0, 1), (0, 1)], "belongs to two"),
    ):
        with pytest.raises(DoesNotFitError, match=words):
            validate({"one": one, "two": other}, TEST)
