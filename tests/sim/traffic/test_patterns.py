"""Traffic patterns: weights, closed-form bounds, and forks that count each link once."""

import math

import pytest

from sim.traffic.patterns import PATTERNS, Pattern, bound, hotspot, multicast, uniform, uniform_bound


@pytest.mark.parametrize("side", [2, 4, 6])
def test_uniform_bound(side):
    """The busiest link carries what half of the tiles of its row send across the middle."""
    if side == 2:
        assert bound(uniform(2, 2)) == 1  # the middle could carry more than a tile can send
    else:
        assert math.isclose(bound(uniform(side, side)), uniform_bound(side))


@pytest.mark.parametrize("name", PATTERNS)
def test_weights(name):
    pattern = PATTERNS[name](4, 4)
    assert all(math.isclose(sum(choices.values()), 1) for choices in pattern.table.values())
    assert len(pattern.table) == (12 if name == "transpose" else 16)
    assert pattern.copies > 1.1 if name == "multicast" else math.isclose(pattern.copies, 1)


def test_hotspot_is_bound_by_its_ejection():
    share, tiles = 0.5, 16
    to_hot = (tiles - 1) * (share + (1 - share) / (tiles - 1))
    assert math.isclose(bound(hotspot(4, 4, share=share)), 1 / to_hot)


def test_a_tree_loads_each_link_once():
    """One tile sends to a whole row: the link next to it carries one copy, not one per destination."""
    row = Pattern("row", 1, 4, {(0, 0): {(0, 3, 0, 0): 1.0}})
    assert bound(row) == 1
    everywhere = Pattern("all", 4, 4, {(y, x): {(0, 3, 0, 3): 1.0} for y in range(4) for x in range(4)})
    assert math.isclose(bound(everywhere), 1 / 16)  # every tile takes every flit
    assert bound(multicast(4, 4)) < bound(uniform(4, 4))
