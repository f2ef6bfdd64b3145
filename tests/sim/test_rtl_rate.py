"""The measurements behind `sdann bench rtl`: that they measure the same runs."""

import numpy as np
import pytest

from sdann.errors import MismatchError
from sim import rtl_rate
from sim.cosim import simulate


def test_both_drivers_run_the_same_workload(small, build_dir, monkeypatch):
    rate = rtl_rate.driver_rate(small.image, small.samples, mode="stream", build_dir=build_dir)
    wanted = simulate(small.image, small.samples, simulator="compiled", mode="stream", build_dir=build_dir)
    assert rate.cycles == wanted.cycles
    assert min(rate.cocotb, rate.compiled) > 0
    assert rate.tile_cycles > 0

    def other(chip, image, job):
        result = run(chip, image, job)
        result.outputs = result.outputs + np.eye(*result.outputs.shape[:2], dtype=np.int64)[:, :, None, None]
        return result

    run = rtl_rate.run_compiled
    monkeypatch.setattr(rtl_rate, "run_compiled", other)
    with pytest.raises(MismatchError, match="read-out"):
        rtl_rate.driver_rate(small.image, small.samples, mode="stream", build_dir=build_dir)


def test_a_mesh_evaluates_all_its_tiles(small, build_dir):
    assert rtl_rate.mesh_rate(small.config, 200, build_dir=build_dir) > 0


@pytest.mark.long
def test_the_flat_chip(small, build_dir):
    assert rtl_rate.flat_rate(small.config, 1000, build_dir=build_dir) > 0
