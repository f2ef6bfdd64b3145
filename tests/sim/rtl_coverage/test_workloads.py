"""The workloads of the RTL's coverage: what random networks reach by themselves, and what all reach of the tile."""

from pathlib import Path

import numpy as np
import pytest

from sdann import reference
from sdann.tile_model import TileModel
from sim.coverage import Coverage
from sim.rtl_coverage.faults import faults
from sim.rtl_coverage.workloads import random_program, random_programs, run_workloads

BUILD_DIR = Path(__file__).resolve().parents[3] / "build" / "sim"


def agrees(program) -> bool:
    golden, tiles = reference.run(program.network, program.x), TileModel(program.image).run(program.x)
    return all((tiles.activations[name] == a).all() for name, a in golden.activations.items())


def words(program) -> dict:
    image = program.image
    return {core: {m: list(image.words(core, m)) for m in memories} for core, memories in image.memories.items()}


def test_the_same_numbers_give_the_same_program():
    found = [random_program(3, number) for number in range(6)]
    again = [random_program(3, number) for number in range(6)]
    assert any(program is not None for program in found)
    for first, second in zip(found, again, strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            assert words(first) == words(second) and np.array_equal(first.x, second.x)


def test_few_random_networks_reach_many_bins():
    coverage, calls = Coverage(), []
    programs = list(random_programs(0, limit=25, coverage=coverage, progress=lambda *call: calls.append(call)))
    _, hit, bins = coverage.rows()[-1]
    assert bins / 4 < hit < bins and calls[-1] == (hit, bins) and len(calls) == len(programs) > 5
    assert all(agrees(program) for program in programs[:6])


def test_faults_are_of_every_memory_that_is_checked():
    program = next(p for p in (random_program(3, number) for number in range(9)) if p is not None)
    names = [what for what, _ in faults(program.image, 0)]
    assert len(set(names)) == len(names)
    # This chip's shifts hold no more than max_shift: no REQUANT word is out of range.
    assert {name.split()[0] for name in names if "out of range" in name} == {"CORE", "EDGE", "ROUTE"}
    assert sum(name.startswith("ROUTE word") for name in names) == program.image.config.routes


@pytest.mark.long
def test_random_networks_reach_every_bin():
    coverage = Coverage()
    programs = list(random_programs(0, limit=20_000, coverage=coverage))
    assert coverage.missing == [] and all(agrees(program) for program in programs)


@pytest.mark.long
def test_the_tile_is_covered():
    found = run_workloads(
        seed=0, networks=200, build_dir=BUILD_DIR, reached=Coverage(), report=lambda what: lambda done, total: None
    )
    assert found.failures("sdann_tile", least=0.95) == []
