"""The cycle model against the RTL: not one cycle, visit or stall less or more."""

import numpy as np
import pytest

from hdl.chip import chip_verilog
from hdl.config import preset
from hdl.host import Command
from hdl.pack import fields, pack, unpack
from hdl.program import Counter, Memory, memory_layouts
from sdann.assembler import place_network
from sdann.cycles import core, model, predict
from sdann.cycles import program as cycle_program
from sdann.cycles.timing import drain_of
from sdann.errors import SdannError
from sdann.feature_network import feature_image, feature_network
from sdann.random_networks import FEATURES, random_input, random_network
from sdann.random_places import random_places, with_chip_parts
from sim.cosim import run_workload, simulate
from sim.cycles import compare_cycles, hold
from sim.lockstep import phases_of, probed
from sim.result import RunResult

SAMPLES = {"small": 5, "features": 3}


@pytest.fixture(scope="module", params=list(SAMPLES))
def case(request, build_dir) -> tuple:
    """(image, samples, what the RTL counts)."""
    if request.param == "small":
        small = request.getfixturevalue("small")
        image, x = small.image, small.samples[[n % len(small.samples) for n in range(SAMPLES["small"])]]
    else:
        network = feature_network()
        image, x = feature_image(network), random_input(network, np.random.default_rng(1), SAMPLES["features"])
    verilog = chip_verilog(image.config)
    return image, x, simulate(image, x, mode="stream", build_dir=build_dir, verilog=verilog)


def test_every_count_is_predicted(case):
    image, x, counted = case
    report, _ = predict(image, x)
    found = hold(report, counted)
    assert not found.differences, "; ".join(map(str, found.differences))
    assert (report.cycles, report.windows, report.late) == (counted.cycles, counted.windows, 0)
    assert report.total("busy").sum() > 0
    assert (report.total("stalled").sum() > 0) == (image.manifest.registers.PARTS > 0)  # the features' cores do wait


CONSTANTS = {
    "pass": (cycle_program, "PASS_DRAIN"), "pool": (cycle_program, "POOL_DRAIN"), "pass starts": (model, "PASS_STARTS"),
    "emission": (core, "EMIT_CHOOSES"), "read-out": (core, "RESPONDER_FILL"), "setup": (core, "SETUP_STAGES"),
    "sums": (core, "ADDING"), "window": (model, "WINDOW_START"), "refill": (core, "EMIT_REFILLS"),
    "closed": (core, "CLOSED"),
}  # fmt: skip


@pytest.mark.parametrize("constant", list(CONSTANTS))
def test_a_wrong_constant_is_noticed(case, constant, monkeypatch):
    image, x, counted = case
    where, name = CONSTANTS[constant]
    monkeypatch.setattr(where, name, getattr(where, name) + 1)
    report, _ = predict(image, x)
    if constant in ("pool", "sums") and not image.manifest.registers.PARTS:
        assert report.cycles == counted.cycles  # this network has neither
    else:
        assert report.cycles != counted.cycles


def test_a_longer_drain_is_noticed(case, monkeypatch):
    image, x, counted = case
    monkeypatch.setattr(model, "drain_of", lambda config: drain_of(config) + 1)
    assert predict(image, x)[0].cycles != counted.cycles


def test_an_edge_too_narrow_is_noticed(case):
    """One kernel row less in one core, whose results no other one gets: its visits are less than the chip's."""
    image, x, counted = case
    entry = next(c for c in image.cores.values() if c.layer == image.output_layer.name)
    place, layout = (entry.y, entry.x), memory_layouts(image.config)[Memory.EDGE]
    values = unpack(layout, image.words(place, Memory.EDGE)[0])
    values["kernel_h"] -= 1
    wrong = image.with_word(place, Memory.EDGE, 0, pack(layout, values, fields(layout)))
    found = hold(predict(wrong, x)[0], counted)
    assert {d.core for d in found.differences if d.counter == "BUSY"} == {place}
    assert found.wrong(Counter.BUSY) == 1 and f"core {place}: BUSY is " in "; ".join(map(str, found.differences))


def test_a_wrong_turn_is_noticed(case, monkeypatch):
    """Queues of half the depth: bundles wait where on the chip they do not."""
    image, x, counted = case

    class Shallow(model.Mesh):
        def __init__(self, config):
            super().__init__(config.replace(queue_depth=config.queue_depth // 2))

    monkeypatch.setattr(model, "Mesh", Shallow)
    assert hold(predict(image, x)[0], counted).wrong(Counter.STALLED)


@pytest.mark.long
def test_every_phase_takes_what_is_predicted(small, build_dir):
    samples = small.samples[[n % len(small.samples) for n in range(5)]]
    path, bench = run_workload(
        small.image, samples, simulator="verilator", mode="stream", build_dir=build_dir, verilog=probed(small.config)
    )
    report, _ = predict(small.image, samples)
    assert report.cycles == RunResult.load(path).cycles
    phases = [p for p in phases_of(bench.log.read_text()) if p.command in (Command.STEP, Command.REQUANT)]
    predicted = report.phases[:-1]  # the last one's end is not in the log
    assert len(phases) == len(predicted)
    for found, phase in zip(phases, predicted, strict=True):
        # After requantization come two phases of the sequencer without a command: WINDOW and FIRST.
        assert (found.command.name, found.length) == (phase.command, phase.cycles + 2 * (phase.command == "REQUANT"))


CHIP = preset("test").replace(
    name="cycles", neuron_words=64, weight_words=256, membrane_bits=16, edges=4, routes=16, stages=12, readout_depth=256
)
CHIPS = {
    "square": CHIP.replace(rows=4, cols=4),
    "two rows, one port, short queues": CHIP.replace(rows=2, cols=7, weight_ports=1, requant_lanes=1, queue_depth=2),
    "three columns, wide passes": CHIP.replace(rows=6, cols=3, requant_lanes=4, queue_depth=4),
    "eight lanes, one port": CHIP.replace(rows=3, cols=5, lanes=8, requant_lanes=4, weight_ports=1),
}
NETWORKS = 12


@pytest.mark.long
@pytest.mark.parametrize("name", list(CHIPS))
def test_random_networks_on_random_tiles(name, build_dir):
    """Of 2 to 8 steps, one sample to seven: short windows, where barriers and the host's samples count most."""
    config, seen, seed = CHIPS[name], 0, 0
    while seen < NETWORKS:
        seed += 1
        rng = np.random.default_rng([list(CHIPS).index(name), seed])
        network = random_network(
            rng, membrane_bits=config.membrane_bits, max_side=int(rng.choice([2, 5, 8])),
            channels=int(rng.choice([4, 9, 14])), time_steps=int(rng.choice([2, 4, 8])),
            scaled=bool(rng.random() < 0.5), max_edges=int(rng.choice([1, 2])),
            features=FEATURES if rng.random() < 0.8 else (),
        )  # fmt: skip
        network = with_chip_parts(network, rng, config)
        places = random_places(network, rng, config)
        try:
            image = place_network(network, config, places or {})
        except SdannError:  # it does not fit
            continue
        found = compare_cycles(image, random_input(network, rng, int(rng.integers(1, 8))), build_dir=build_dir)
        assert not found.differences and found.report.cycles == found.cycles > 0, f"seed {seed}: {found}"
        seen += 1
