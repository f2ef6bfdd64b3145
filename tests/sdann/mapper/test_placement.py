"""Placement: rectangles that do not overlap, the host's tile free, the same result every time."""

from itertools import pairwise

import pytest

from hdl.config import ChipConfig, preset
from sdann.errors import DoesNotFitError
from sdann.mapper.placement import Placed, place, validate
from sdann.mapper.tiling import Region, Tiling

TEST = preset("test")


def tiling(name: str, rows: int, columns: int) -> Tiling:
    region = Region(y0=0, height=1, width=1, group0=0, groups=1, channels=1)
    return Tiling(name=name, shape=(1, 1, 1), stage=0, regions=((region,) * columns,) * rows, bundles=0)


def mesh(rows: int, cols: int) -> ChipConfig:
    return TEST.replace(rows=rows, cols=cols)


def test_neighbours_in_a_chain() -> None:
    names = ["a", "b", "c", "d", "e"]
    links = dict.fromkeys(pairwise(names), 1)
    placed = place([[tiling(n, 1, 1)] for n in names], links, mesh(2, 3))
    distances = [abs(placed[a].y - placed[b].y) + abs(placed[a].x - placed[b].x) for a, b in pairwise(names)]
    assert distances == [1, 1, 1, 1]
    assert placed == place([[tiling(n, 1, 1)] for n in names], links, mesh(2, 3))


def test_traffic_decides_who_is_near() -> None:
    options = [[tiling(n, 1, 1)] for n in ("hub", "much", "little")]
    for busy, idle in (("much", "little"), ("little", "much")):
        placed = place(options, {("hub", busy): 50, ("hub", idle): 1}, mesh(1, 8))
        assert abs(placed["hub"].x - placed[busy].x) == 1


def test_host_tile_stays_free_in_a_full_mesh() -> None:
    placed = place([[tiling("row", 1, 3)], [tiling("pair", 1, 2)]], {("row", "pair"): 1}, mesh(2, 3))
    assert (placed["row"].y, placed["row"].x) == (1, 0)
    assert (placed["pair"].y, placed["pair"].x) == (0, 1)


def test_another_shape_is_taken_where_the_best_does_not_pack() -> None:
    placed = place([[tiling("a", 2, 1), tiling("a", 1, 2)]], {}, mesh(1, 4))
    assert placed["a"].tiling.channel_tiles == 2


def test_refusals_give_numbers() -> None:
    with pytest.raises(DoesNotFitError, match=r"needs 6 cores, the chip has 5 \(a 3, b 3\)"):
        place([[tiling("a", 1, 3)], [tiling("b", 1, 3)]], {}, mesh(2, 3))
    # beside the host's corner, two columns of two leave no row of three
    with pytest.raises(DoesNotFitError, match=r"need 5 of 5 cores but do not pack on the 2x3 mesh .*: a 2x1, b 1x3"):
        place([[tiling("a", 2, 1)], [tiling("b", 1, 3)]], {}, mesh(2, 3))


def test_validate_finds_overlap_host_and_outside() -> None:
    one = Placed(tiling=tiling("one", 1, 2), y=1, x=0)
    validate([one], TEST)
    for other, words in (
        (Placed(tiling=tiling("two", 1, 1), y=1, x=1), r"'two' is placed on tile \(1, 1\), which belongs to one"),
        (Placed(tiling=tiling("two", 1, 1), y=0, x=0), "belongs to the host"),
        (Placed(tiling=tiling("two", 1, 2), y=0, x=2), r"tile \(0, 3\), outside the mesh"),
    ):
        with pytest.raises(DoesNotFitError, match=words):
            validate([one, other], TEST)
