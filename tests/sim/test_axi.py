"""The chip behind AXI, with bus models of another project, on both Verilog simulators."""

import json
from pathlib import Path

import numpy as np
import pytest

from hdl.axi_top import AXI_MODULE, AxiChip, axi_verilog
from hdl.chip import TILE_MODULE
from hdl.config import ConfigError, preset
from sdann import reference
from sim.toolchain import Simulator, run_bench
from sim.workload import Workload

from .conftest import Case

TESTS = (
    "outputs_and_counters", "every_activation", "responses", "many_accesses_at_once", "words_cut_short",
    "truncated_sample", "reset_passes_words_that_wait", "a_response_stays_while_nobody_takes_it",
)  # fmt: skip


ONE_SAMPLE = ("outputs_and_counters", "responses", "many_accesses_at_once", "a_response_stays_while_nobody_takes_it")


def run(
    case: Case,
    folder: Path,
    simulator: Simulator,
    data_bytes: int | None,
    tests: tuple[str, ...],
    count: int,
    **options,
):
    """The given tests, with ``count`` samples in the one that runs them back to back."""
    case.image.save(folder / "image.safetensors")
    np.save(folder / "expected.npy", case.expected["out"])
    np.savez(folder / "layers.npz", **case.expected)
    golden = [reference.run(case.network, case.samples[k : k + 1]) for k in range(count)]
    sums = {
        "sops": [sum(g.sops.values()) for g in golden],
        "saturations": [sum(g.saturations.values()) for g in golden],
    }
    (folder / "golden.json").write_text(json.dumps(sums))
    workload = Workload(folder=folder, image_file=folder / "image.safetensors", samples=case.samples, seed=3).save()
    result = run_bench(
        verilog=axi_verilog(case.config, data_bytes=data_bytes), toplevel=AXI_MODULE, module="axi_bench",
        simulator=simulator, env={"SDANN_WORKLOAD": str(workload)}, hierarchical=[TILE_MODULE], seed=1, testcase=tests,
        timeout=900, python_path=[Path(__file__).parent], **options,
    )  # fmt: skip
    assert sorted(result.tests) == sorted(tests)


def test_a_word_in_one_beat_under_verilator(small, tmp_path, build_dir):
    run(small, tmp_path, "verilator", None, TESTS, 3, build_dir=build_dir)


def test_a_word_in_two_beats_under_icarus(small, tmp_path, build_dir):
    run(small, tmp_path, "icarus", 4, ONE_SAMPLE, 1, build_dir=build_dir)


@pytest.mark.long
@pytest.mark.parametrize(("simulator", "data_bytes"), [("verilator", 4), ("icarus", 1), ("icarus", None)])
def test_other_widths(small, tmp_path, build_dir, simulator, data_bytes):
    run(small, tmp_path, simulator, data_bytes, TESTS, 3, build_dir=build_dir)


@pytest.mark.parametrize("data_bytes", [0, 3, 256])
def test_impossible_widths_are_refused(data_bytes):
    with pytest.raises(ConfigError, match=f"power of two of bytes, up to 128, not {data_bytes}"):
        AxiChip(preset("test"), data_bytes=data_bytes)
