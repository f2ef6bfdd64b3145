"""The network of the cycle model: times that one can count by hand."""

from itertools import pairwise

import pytest

from hdl.config import preset
from sdann.cycles.free import run_free
from sdann.cycles.mesh import Flit, Kind, Mesh
from sdann.cycles.traffic import run_traffic
from sdann.mesh_model import deliver

CONFIG = preset("test").replace(rows=3, cols=4, queue_depth=4)
HOST = (0, 0)


class Core:
    """Takes a flit every ``pace`` cycles from cycle ``opens`` on, and notes when."""

    def __init__(self, pace: int = 1, opens: int = 0) -> None:
        self.pace, self.least, self.seen = pace, opens, []

    def opens(self, now: int) -> int:
        return max(now, self.least)

    def take(self, now: int, flit: Flit) -> None:
        assert now >= self.least
        self.seen.append((now, flit.spikes))
        self.least = now + self.pace


def sender(*flits: Flit, start: int = 0):
    """Offers one flit a cycle."""
    at = start
    for flit in flits:
        at = 1 + (yield at, flit)
    return at


def spikes(rectangle, *numbers: int) -> list[Flit]:
    return [Flit(rectangle, Kind.SPIKE, number) for number in numbers]


@pytest.mark.parametrize("run", [run_traffic, run_free])
@pytest.mark.parametrize(("target", "hops"), [((1, 1), 0), ((1, 2), 1), ((2, 3), 3), ((0, 1), 1)])
def test_two_cycles_a_hop(run, target, hops):
    core = Core()
    y, x = target
    found = run(Mesh(CONFIG), {(1, 1): sender(*spikes((y, y, x, x), 5, 6), start=3)}, {target: core})
    assert core.seen == [(3 + 2 * (hops + 1), 5), (4 + 2 * (hops + 1), 6)]
    assert found.empty == core.seen[-1][0] + 1 and found.ended == {(1, 1): 5}


@pytest.mark.parametrize("run", [run_traffic, run_free])
def test_every_tile_of_a_rectangle_is_reached_once(run):
    cores = {tile: Core() for tile in CONFIG.cores}
    rectangle = (1, 2, 0, 2)
    run(Mesh(CONFIG), {(2, 3): sender(*spikes(rectangle, 1))}, cores)
    reached = {tile for tile, core in cores.items() if core.seen}
    assert reached == set(deliver(3, 4, (2, 3), rectangle).tiles) and len(reached) == 6
    assert all(len(core.seen) <= 1 for core in cores.values())


def test_what_waits_for_a_slow_core_holds_up_what_is_behind_it():
    """The queues on the way to a slow core fill up; only then does its sender wait, and another core's bundle too."""
    slow, fast = Core(pace=100), Core()
    flits = [*spikes((0, 0, 2, 2), *range(30)), *spikes((0, 0, 3, 3), 99)]
    found = run_traffic(Mesh(CONFIG), {(0, 1): sender(*flits)}, {(0, 2): slow, (0, 3): fast})
    assert [number for _, number in slow.seen] == list(range(30))
    assert all(later - earlier == 100 for (earlier, _), (later, _) in pairwise(slow.seen))
    # Between sender and core are two queues of 4 and two output registers; one flit is in the core.
    room = 4 + 1 + 4 + 1
    waited = slow.seen[-1 - room][0]
    assert waited < fast.seen[0][0] and found.stalled[0, 1] > 0
    free_slow, free_fast = Core(pace=100), Core()
    run_free(Mesh(CONFIG), {(0, 1): sender(*flits)}, {(0, 2): free_slow, (0, 3): free_fast})
    assert free_fast.seen[0][0] < waited and free_slow.seen == slow.seen


def test_two_senders_take_turns():
    core = Core()
    mesh = Mesh(CONFIG)
    run_traffic(mesh, {(1, 0): sender(*spikes((1, 1, 1, 1), *[1] * 20)),
                       (1, 2): sender(*spikes((1, 1, 1, 1), *[2] * 20))}, {(1, 1): core})  # fmt: skip
    order = [number for _, number in core.seen]
    assert sorted(order) == [1] * 20 + [2] * 20 and all(a != b for a, b in pairwise(order))
    assert [now for now, _ in core.seen] == list(range(core.seen[0][0], core.seen[0][0] + 40))


def test_turns_outlive_a_phase():
    """Who was served last is served last: in the next phase the other sender begins."""
    mesh, firsts = Mesh(CONFIG), []
    for _ in range(2):
        core = Core()
        run_traffic(mesh, {(1, 0): sender(*spikes((1, 1, 1, 1), 1)), (1, 2): sender(*spikes((1, 1, 1, 1), 2, 2))},
                    {(1, 1): core})  # fmt: skip
        firsts.append(core.seen[0][1])
    mesh.serve((1, 0), (1, 1))
    core = Core()
    run_traffic(mesh, {(1, 0): sender(*spikes((1, 1, 1, 1), 1)), (1, 2): sender(*spikes((1, 1, 1, 1), 2))},
                {(1, 1): core})  # fmt: skip
    assert firsts[1] == 1 and core.seen[0][1] == 2


def test_a_rectangle_outside_the_mesh_is_dropped():
    core = Core()
    found = run_traffic(Mesh(CONFIG), {(1, 1): sender(*spikes((2, 1, 0, 0), 7))}, {(1, 1): core})
    assert not core.seen and found.ended == {(1, 1): 1}


def test_a_tile_without_a_receiver_takes_everything():
    found = run_traffic(Mesh(CONFIG), {(0, 1): sender(*spikes((0, 0, 0, 0), *range(9)))}, {})
    assert found.empty == 2 * 2 + 9 and found.stalled == {(0, 1): 0}
