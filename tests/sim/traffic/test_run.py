"""The compiled mesh of routers: every flit is accounted for, and faults of routers are noticed."""

import pytest

from hdl.router import Port, Router, route
from sdann.errors import SdannError
from sim.traffic.patterns import PATTERNS, Pattern, bound
from sim.traffic.queues import GROUPINGS, router_with
from sim.traffic.run import TrafficError, build, mesh_config, run_traffic
from sim.traffic.sweep import cycles_per_hop, load_plot, sweep

SIDE = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("traffic")


@pytest.fixture(scope="module")
def program(folder):
    return build(mesh_config(SIDE), folder)


def test_saturation_and_speed(folder, program):
    curves, hop = sweep(SIDE, ["uniform", "multicast"], folder, loads=[0.2, 0.6], measured=2000)
    uniform, multicast = curves
    assert uniform.share >= 0.8
    assert hop == 2
    # Below saturation what is offered is accepted; copies of multicast flits are counted one by one.
    for curve in curves:
        for point in curve.points:
            assert point.traffic.accepted == pytest.approx(point.offered, rel=0.1)
    assert multicast.full.delivered > multicast.full.flits
    assert uniform.full.delivered == uniform.full.flits
    assert b"<svg" in load_plot(curves)


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_with_stalls(program, name):
    found = run_traffic(
        program, mesh_config(SIDE), PATTERNS[name](SIDE, SIDE), rate=0.5, stall=0.5, seed=3, warm_up=100, measured=1000
    )
    assert found.delivered >= found.flits > 1000


def test_hops_are_exact(program):
    """A row's multicast takes three links for each flit; the tree's shape does not depend on load."""
    row = Pattern("row", SIDE, SIDE, {(0, 0): {(0, 3, 0, 0): 1.0}})
    found = run_traffic(program, mesh_config(SIDE), row, rate=1.0, seed=1, warm_up=0, measured=500)
    assert (found.hops, found.delivered) == (3 * found.flits, 4 * found.flits)
    assert found.accepted > 0.95 * bound(row)


def test_runs_repeat(program):
    runs = [
        run_traffic(program, mesh_config(SIDE), PATTERNS["uniform"](SIDE, SIDE), rate=0.3, seed=seed, measured=300)
        for seed in (5, 5, 6)
    ]
    assert runs[0] == runs[1] != runs[2]


class Forgetful(Router):
    """Does not deliver what it passes on along X."""

    @staticmethod
    def decide(source, dst, x, y):
        wanted = route(source, dst, x, y)
        return wanted | {Port.LOCAL: wanted[Port.LOCAL] & ~wanted[Port.EAST]} if source is Port.WEST else wanted


def test_a_faulty_router_is_noticed(folder):
    config = mesh_config(SIDE)
    program = build(config, folder, router=Forgetful)
    with pytest.raises(TrafficError, match="expected|never arrived"):
        run_traffic(program, config, PATTERNS["multicast"](SIDE, SIDE), rate=0.2, seed=1, measured=500)


def test_groupings_cover_the_turns():
    for queues in GROUPINGS.values():
        for port, groups in queues.items():
            outs = [out for group in groups for out in group]
            assert sorted(outs) == sorted(GROUPINGS["input"][port][0])
    assert router_with("straight").queues == Router.queues


def test_refusals(tmp_path, program):
    with pytest.raises(SdannError, match="33 to 64 bits"):
        build(mesh_config(SIDE, data_bits=32, map_side=1024, lanes=64), tmp_path)
    with pytest.raises(ValueError, match="two distances"):
        cycles_per_hop(run_traffic(program, mesh_config(SIDE), PATTERNS["uniform"](SIDE, SIDE), rate=0, seed=1))
