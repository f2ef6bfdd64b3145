"""Bad programs and bad words on the whole chip: each ends in a clear error, and the chip then runs a good program."""

from pathlib import Path

import numpy as np
import pytest

from hdl.chip import CHIP_MODULE, TILE_MODULE
from sim.toolchain import run_bench
from sim.workload import Workload

BENCHES = {
    "program_bench": (
        "no_program", "wrong_version", "word_lost", "word_twice", "bit_flipped", "out_of_range", "bad_address",
        "chunks_out_of_order", "aborted_load", "settings",
    ),
    "host_bench": (
        "unknown_operation", "bad_word_in_a_run", "truncated_sample", "program_changed_in_a_run", "reset_in_a_window",
        "stalled_host", "read_window",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def workload(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("host")
    small.image.save(folder / "image.safetensors")
    np.save(folder / "expected.npy", small.expected["out"])
    return Workload(folder=folder, image_file=folder / "image.safetensors", samples=small.samples, seed=3).save()


@pytest.mark.parametrize("bench", BENCHES)
def test_every_fault_is_told_and_a_good_program_runs_after_it(bench, small_verilog, build_dir, workload):
    result = run_bench(
        verilog=small_verilog, toplevel=CHIP_MODULE, module=bench, simulator="verilator", build_dir=build_dir,
        env={"SDANN_WORKLOAD": str(workload)}, hierarchical=[TILE_MODULE], seed=1, timeout=600,
        python_path=[Path(__file__).parent],
    )  # fmt: skip
    assert sorted(result.tests) == sorted(BENCHES[bench])
