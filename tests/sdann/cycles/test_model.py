"""The cycle model by itself: what it counts twice is equal, what it watches is not changed, what it reports adds up."""

import numpy as np
import pytest

import hdl.chip
from hdl.config import preset
from hdl.program import Counter
from sdann.assembler import Place, place_network
from sdann.cycles import predict
from sdann.cycles.model import _Run
from sdann.cycles.program import Program, _offsets
from sdann.cycles.timing import Barrier
from sdann.feature_network import feature_image, feature_network
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.random_networks import random_input
from sdann.tile_model import TileModel

SAMPLES = 9


@pytest.fixture(scope="module")
def case() -> tuple:
    network = feature_network()
    image, x = feature_image(network), random_input(network, np.random.default_rng(2), SAMPLES)
    return image, x, *predict(image, x)


def test_the_observer_changes_nothing(case):
    image, x, _, seen = case
    alone = TileModel(image).run(x)
    np.testing.assert_array_equal(alone.readout, seen.readout)
    assert alone.counters == seen.counters


def test_sops_are_the_tile_models(case):
    _, _, report, tiles = case
    for core, sops in zip(report.cores, report.total("sops"), strict=True):
        assert sops == tiles.counters[core][Counter.SOPS]
    assert report.total("sops").sum() > 0


def test_visits_are_those_of_the_bundles_that_arrive(case, monkeypatch):
    """BUSY comes from products over words; each core's accumulator counts the same ones bundle by bundle."""
    image, x, report, _ = case
    arrived = dict.fromkeys(report.cores, 0)
    traffic = _Run._traffic

    def counted(self, *arguments):
        arrivals, inlets = traffic(self, *arguments)
        for core in arrived:
            arrived[core] += inlets[core].visits
        return arrivals, inlets

    monkeypatch.setattr(_Run, "_traffic", counted)
    predict(image, x)
    assert arrived == {core: int(n) for core, n in zip(report.cores, report.total("busy"), strict=True)}


def test_cycles_add_up(case):
    image, _, report, _ = case
    registers = image.manifest.registers
    assert report.windows == SAMPLES + registers.STAGES
    assert len(report.phases) == report.windows * (registers.STEPS + registers.PARTS + 1)
    assert report.cycles == sum(phase.cycles for phase in report.phases) + report.windows == report.window_cycles.sum()
    full = [report.window_cycles[n] for n in range(registers.STAGES, SAMPLES)]
    assert len(full) == 2 and report.per_sample == sum(full) / 2
    assert 0 < report.bound < report.per_sample
    rows = {row.layer: row for row in report.by_layer()}
    assert list(rows) == [entry.name for entry in image.manifest.layers]
    assert all(row.cores == len(image.cores_of(name)) for name, row in rows.items())
    assert all(row.utilisation == row.busy / report.per_sample < 1 for row in rows.values())
    assert rows["stem"].pool > 0 == rows["a"].pool and rows["input"].busy == 0 < rows["input"].emit
    for phase in report.phases:
        assert phase.cycles > max(phase.quiet[phase.last], phase.network)
        assert (phase.stalled <= phase.emit).all() and (phase.busy <= phase.quiet).all()
        assert phase.busy[phase.busiest] == phase.busy.max()


def test_without_waiting_it_is_not_slower(case):
    image, x, report, _ = case
    free, _ = predict(image, x, queues=False)
    np.testing.assert_array_equal(free.total("busy"), report.total("busy"))
    assert report.total("stalled").sum() > 0 == free.total("stalled").sum()
    assert free.cycles <= report.cycles  # here the busiest cores never wait for the network


def test_without_spikes_only_passes_and_barriers_are_left(case):
    image, x, _, _ = case
    report, _ = predict(image, np.zeros_like(x[:1]))
    first = report.phases[: image.time_steps]  # of the input's own window
    assert all(phase.busy.sum() == phase.sops.sum() == 0 for phase in first)
    assert len({phase.cycles for phase in first[1:]}) == 1


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_offsets(kernel, stride):
    """Counted from the other side: which outputs does a position reach?"""
    for size in (1, 3, 5):
        for u in range(-3, 20):
            reached = sum(0 <= u - row * stride < kernel for row in range(size))
            assert _offsets(u, kernel, stride, size) == reached


@pytest.mark.parametrize("name", ["test", "demo", "darwin"])
def test_round_trip_is_the_chips(name, monkeypatch):
    """The blanking that the chip is built with."""
    found = []

    class Stop(Exception):
        pass

    def host_tile(config, *, round_trip):
        found.append(round_trip)
        raise Stop

    monkeypatch.setattr(hdl.chip, "HostTile", host_tile)
    config = preset(name)
    with pytest.raises(Stop):
        hdl.chip.Chip(config).elaborate(None)
    barrier = Barrier.of(config)
    assert found == [barrier.round_trip] and barrier.latency == 2 * barrier.down
    assert (barrier.phase(0), barrier.phase(100)) == (barrier.round_trip + 1, 101 + barrier.latency)


@pytest.mark.parametrize(("lanes", "steps", "late"), [(4, 2, 0), (16, 2, 1), (16, 3, 0)])
def test_a_sample_that_comes_too_late(lanes, steps, late):
    """An input of one word at the far end of a long mesh: the first step ends before the host's next sample begins.

    On the RTL the second of these chips runs windows with bubbles, and the others do not.
    """
    config = preset("test").replace(rows=1, cols=17, lanes=lanes)
    one = np.ones(1, dtype=np.int64)
    layer = Layer(
        name="a", shape=(1, 1, 1), edges=(Edge(source=INPUT, kind="conv", weight=one.reshape(1, 1, 1, 1)),), mult=one,
        shift=one, bias=0 * one, bias_mode="scaled", lo=0, hi=(1 << steps) - 1,
    )  # fmt: skip
    network = QuantizedNetwork(
        name="tiny", input_shape=(1, 1, 1), input_signed=False, time_steps=steps, membrane_bits=32, weight_bits=8,
        layers=(layer,),
    )  # fmt: skip
    image = place_network(network, config, {INPUT: (Place(tile=(0, 16)),), "a": (Place(tile=(0, 1)),)})
    report, _ = predict(image, np.zeros((5, 1, 1, 1), dtype=np.int64))
    assert report.late == late


def test_every_programmed_core_is_seen(case):
    image, *_ = case
    assert set(Program(image).cores) == set(image.cores)
