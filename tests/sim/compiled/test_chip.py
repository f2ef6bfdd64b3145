"""The compiled chip is the chip: the same results in the same cycles as the Verilog of the whole mesh under cocotb."""

import numpy as np
import pytest

from hdl.core.counters import VISITS
from sdann.errors import SdannError
from sim.compiled.build import build_library, changed_tile
from sim.compiled.chip import CompiledChip, run_compiled
from sim.cosim import simulate, trace_core
from sim.driver import ChipError, ChipTimeoutError
from sim.session import observe, stream

MODES = {"observe": observe, "stream": stream}


def same(found, wanted) -> None:
    """Every field of two runs."""
    for name in ("windows", "cycles", "samples", "barriers", "stray", "counters"):
        assert getattr(found, name) == getattr(wanted, name), name
    np.testing.assert_array_equal(found.outputs, wanted.outputs)
    assert set(found.activations) == set(wanted.activations)
    for layer, values in wanted.activations.items():
        np.testing.assert_array_equal(found.activations[layer], values)


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("mode", MODES)
def test_results_and_cycles_are_those_under_cocotb(small, small_verilog, build_dir, mode, stall):
    wanted = simulate(
        small.image, small.samples, simulator="verilator", mode=mode, stall=stall, seed=7, build_dir=build_dir,
        verilog=small_verilog,
    )  # fmt: skip
    found = simulate(
        small.image, small.samples, simulator="compiled", mode=mode, stall=stall, seed=7, build_dir=build_dir
    )
    same(found, wanted)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(5))
def test_leaving_out_idle_tiles_changes_no_cycle(small, build_dir, mode, seed):
    """Under a host that stalls, tiles come to rest and are woken at many different moments."""
    runs = {}
    for skip in (False, True):
        with CompiledChip(small.config, build_dir=build_dir, stall=0.1 + 0.2 * seed, seed=seed) as chip:
            chip.skip_idle(skip)
            result = run_compiled(chip, small.image, lambda driver: MODES[mode](driver, small.samples))
            runs[skip] = result, chip.cycles, chip.tile_cycles
    same(runs[True][0], runs[False][0])
    assert runs[True][1] == runs[False][1]
    assert runs[False][2] == runs[False][1] * len(small.config.cores)
    assert runs[True][2] < runs[False][2] / 2, "nothing was left out"


def test_reading_counters_takes_the_same_cycles_from_any_visit(small, build_dir):
    """Visits of the counters go on in a tile that is left out."""
    from hdl.program import Counter, Memory

    def asked(skip: bool) -> list[tuple[int, list[int]]]:
        with CompiledChip(small.config, build_dir=build_dir) as chip:
            chip.skip_idle(skip)

            async def job(driver):
                await driver.load()
                found = []
                for pause in range(VISITS + 3):
                    await driver.port.wait(100 + pause)
                    words = await driver.read_words((2, 2), Memory.COUNTER, range(len(Counter)))
                    found.append((chip.cycles, words))
                return found

            return run_compiled(chip, small.image, job)

    assert asked(True) == asked(False)


def test_a_second_run_on_one_chip_after_reset(small, build_dir):
    with CompiledChip(small.config, build_dir=build_dir) as chip:
        first = run_compiled(chip, small.image, lambda driver: stream(driver, small.samples))
        chip.reset()
        assert chip.cycles == 0
        same(run_compiled(chip, small.image, lambda driver: stream(driver, small.samples)), first)


def test_the_tile_and_cycle_model_as_a_simulator(small, build_dir):
    wanted = simulate(small.image, small.samples, simulator="compiled", build_dir=build_dir)
    timed = simulate(small.image, small.samples, simulator="compiled", mode="stream", build_dir=build_dir)
    wanted.cycles, wanted.counters = timed.cycles, timed.counters
    same(simulate(small.image, small.samples, simulator="tiles"), wanted)


def test_traces_are_those_under_cocotb(small, small_verilog, build_dir):
    core = next(at for at, entry in small.image.cores.items() if entry.layer == "conv2")
    wanted = trace_core(small.image, small.samples[0], core, build_dir=build_dir, verilog=small_verilog)
    found = trace_core(small.image, small.samples[0], core, simulator="compiled", build_dir=build_dir)
    np.testing.assert_array_equal(found.currents, wanted.currents)
    np.testing.assert_array_equal(found.membranes, wanted.membranes)
    with pytest.raises(ValueError, match="no RTL"):
        trace_core(small.image, small.samples[0], core, simulator="tiles")


def test_a_changed_tile_is_simulated_and_any_other_change_refused(small, small_verilog, build_dir):
    assert changed_tile(small.config, small_verilog) is None
    accumulator = small_verilog.index("module \\sdann_tile.neurons.accumulator ")
    end = small_verilog.index("endmodule", accumulator)
    changed = small_verilog[:end] + "wire mutation;\n" + small_verilog[end:]
    assert changed_tile(small.config, changed) == changed
    host = small_verilog.index("module \\sdann_chip.host ")
    end = small_verilog.index("endmodule", host)
    with pytest.raises(SdannError, match="differs in module 'sdann_chip.host'; run it with --simulator verilator"):
        simulate(
            small.image, small.samples, simulator="compiled", build_dir=build_dir,
            verilog=small_verilog[:end] + "wire mutation;\n" + small_verilog[end:],
        )  # fmt: skip


def test_a_fault_in_the_program_is_reported_as_by_the_other_simulators(small, build_dir):
    with pytest.raises(ChipError, match="WATCHDOG"):
        simulate(small.image, small.samples, simulator="compiled", build_dir=build_dir, step_limit=20)
    with pytest.raises(ChipTimeoutError, match="no movement for 3 cycles"):
        simulate(small.image, small.samples, simulator="compiled", build_dir=build_dir, answer_limit=3)


def test_one_library_serves_and_is_not_built_twice(small, build_dir):
    assert build_library(small.config, build_dir=build_dir) == build_library(small.config, build_dir=build_dir)
    assert build_library(small.config, build_dir=build_dir).is_file()


@pytest.mark.long
def test_waves_of_some_tiles_in_some_cycles(small, build_dir, tmp_path):
    path = tmp_path / "waves.vcd"
    with CompiledChip(small.config, build_dir=build_dir, waves=True) as chip:
        chip.trace(path, [(0, 0), (1, 1)], range(200, 400))
        result = run_compiled(chip, small.image, lambda driver: stream(driver, small.samples))
        chip.end_trace()
    same(result, simulate(small.image, small.samples, simulator="compiled", mode="stream", build_dir=build_dir))
    text = path.read_text()
    assert "$scope module tile_1_1" in text and "host_tile" in text and "tile_0_1" not in text
    stamps = [int(line[1:]) for line in text.splitlines() if line.startswith("#")]
    assert stamps == list(range(201, 401))


def test_waves_need_a_chip_that_writes_them(small, build_dir, tmp_path):
    with (
        CompiledChip(small.config, build_dir=build_dir) as chip,
        pytest.raises(ValueError, match="waves=True"),
    ):
        chip.trace(tmp_path / "waves.vcd", [(0, 0)], range(10))
