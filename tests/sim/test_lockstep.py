"""What cores work and wait between barriers, from the log of a probed chip."""

import pytest

from hdl.host import Command
from sdann.errors import SdannError
from sdann.mapper.manifest import Manifest
from sim.lockstep import measure_waiting, phases_of, probed, summarize

STEP, FIRST_STEP = Command.STEP.value * 2, Command.STEP.value * 2 + 1


def log(*lines: tuple[int, ...]) -> str:
    """Of (y, x, cycle, command, idle)."""
    return "".join(f"  0.00ns INFO PROBE {' '.join(map(str, line))}\n" for line in lines)


def test_phases_of_a_log():
    found = phases_of(
        log(
            (0, 1, 3, 0, 0), (0, 1, 5, 0, 1),  # before any command: programs being written
            (0, 1, 10, FIRST_STEP, 1), (1, 0, 10, FIRST_STEP, 1),
            (0, 1, 11, 0, 0), (1, 0, 12, 0, 0), (1, 0, 14, 0, 1), (0, 1, 19, 0, 1), (1, 0, 15, 0, 0), (1, 0, 17, 0, 1),
            (1, 0, 25, STEP, 1), (0, 1, 25, STEP, 1), (1, 0, 26, 0, 0), (1, 0, 31, 0, 1),
            (1, 0, 35, STEP, 1),
        )
    )  # fmt: skip
    assert [(p.command, p.first, p.length) for p in found] == [(Command.STEP, True, 15), (Command.STEP, False, 10)]
    assert [dict(p.busy) for p in found] == [{(0, 1): 8, (1, 0): 4}, {(1, 0): 5}]


def test_a_window_that_is_told_in_advance(small):
    cores = list(small.image.cores)
    text = log(
        (*cores[0], 0, FIRST_STEP, 1), (*cores[0], 1, 0, 0), (*cores[0], 9, 0, 1),
        (*cores[1], 10, STEP, 1), (*cores[1], 11, 0, 0), (*cores[1], 17, 0, 1), (*cores[0], 20, FIRST_STEP, 1),
    )  # fmt: skip
    found = summarize(small.image, [phases_of(text)])
    assert (found.window, found.steps, found.busiest) == (20, 14, 8)
    assert found.share == pytest.approx(0.6)


@pytest.mark.long
def test_chip_says_what_its_counters_say(small, build_dir):
    assert isinstance(small.image.manifest, Manifest)
    stages = small.image.manifest.registers.STAGES
    samples = small.samples[[n % len(small.samples) for n in range(stages + 3)]]
    found = measure_waiting(small.image, samples, build_dir=build_dir)
    assert found.windows == 3
    assert 0 < found.busiest <= found.steps < found.window
    assert [layer.layer for layer in found.layers] == [layer.name for layer in small.image.manifest.layers]
    assert max(layer.busiest for layer in found.layers) == found.busiest
    assert all(layer.waits == pytest.approx(found.window - layer.busiest) for layer in found.layers)
    # Every step integrates all neurons of a core, several of them per cycle: no core can have worked less than that.
    config, steps = small.config, small.image.time_steps
    for entry in small.image.manifest.layers[1:]:
        cores = [(core.y, core.x) for core in small.image.cores_of(entry.name)]
        words = max(small.image.word_count(core, small.image.result_memory(entry.name)) for core in cores)
        assert next(w for w in found.layers if w.layer == entry.name).busiest >= words * config.requant_subwords * steps


def test_too_few_samples(small, build_dir):
    stages = small.image.manifest.registers.STAGES
    with pytest.raises(SdannError, match=f"with 1 samples no window is full; take more than the network's {stages} "):
        measure_waiting(small.image, small.samples[:1], build_dir=build_dir)


def test_probe_is_in_the_core_only(small):
    text = probed(small.config)
    assert text.count("$display") == 1 and text.count("probe_cycle <= probe_cycle + 1") == 1
