"""A core's two ends in the cycle model: times that one can count by hand."""

from itertools import pairwise

import pytest

from hdl.program import Readout
from sdann.cycles.core import Inlet, Spiking, emission
from sdann.cycles.mesh import Flit, Kind
from sdann.cycles.program import CoreProgram, Match

WORDS = 9
TILE = (0, 1)


def core(routes: int) -> CoreProgram:
    """Each word matches every route."""
    return CoreProgram(
        at=TILE, stage=0, readout=Readout.NONE, part=0, target=(0, 0), ages=1, routes=routes, out_words=WORDS,
        membrane_pass=0, pool_pass=0, sends=0,
        matches=[[[Match(route, (0, 0, 2, 2), {}) for route in range(routes)] for _ in range(WORDS)]],
    )  # fmt: skip


def offered(routes: int, words: list[int]) -> tuple[list[int], int]:
    """When bundles stand at a router that takes each at once, and when the emission is over."""
    sender, times = emission(core(routes), [Spiking(words, [1] * len(words))]), []
    try:
        since, _ = next(sender)
        while True:
            times.append(since)
            since, _ = sender.send(since)
    except StopIteration as end:
        return times, end.value


@pytest.mark.parametrize(
    ("routes", "gaps"),
    [(1, [1, 2, 1, 2, 1, 2, 1, 2]), (2, [1, 1] * 8 + [1]), (3, [1] * 26)],
)
def test_words_with_spikes(routes, gaps):
    """With one route, a word in `mask` leaves just when the one before it is done, and every other time it is late."""
    times, over = offered(routes, list(range(WORDS)))
    assert times[0] == 7  # start, choice, walk, word, mask, scan, output register
    assert [later - earlier for earlier, later in pairwise(times)] == gaps
    assert over == times[-1]


def test_words_without_spikes_fill_the_gap():
    assert offered(1, [0, 2, 4, 8]) == ([7, 9, 11, 15], 15)
    assert offered(1, [0, 1, 3, 4]) == ([7, 8, 11, 12], 16)
    assert offered(1, []) == ([], 6 + WORDS - 1)


@pytest.mark.parametrize(("passes", "opens"), [(0, {-3: -3, 0: 0, 1: 2, 2: 2, 9: 9}), (7, {1: 8, 7: 8, 8: 8, 9: 9})])
def test_a_core_is_closed_after_the_command_and_after_its_passes(passes, opens):
    inlet = Inlet(TILE, passes=passes, drain=7, ports=1)
    assert {now: inlet.opens(now) for now in opens} == opens


def test_a_flit_just_before_the_command_keeps_the_next_one_out_until_after_it():
    inlet = Inlet(TILE, passes=0, drain=7, ports=1)
    inlet.take(0, Flit((0, 0, 1, 1), Kind.SAMPLE))
    assert inlet.opens(0) == 2
