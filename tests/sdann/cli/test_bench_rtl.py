"""`sdann bench rtl` with measurements put in place: its figures, and that a missed bound is an error."""

import pytest

from sim import rtl_rate
from sim.rtl_rate import DriverRate


@pytest.fixture
def measured(monkeypatch):
    def put(compiled: float, large_build: float, mesh: float) -> None:
        monkeypatch.setattr(
            rtl_rate,
            "driver_rate",
            lambda image, x, *, mode, build_dir: DriverRate(cocotb=30, compiled=compiled, cycles=1000, tile_cycles=1),
        )
        monkeypatch.setattr(rtl_rate, "build_seconds", lambda config: large_build if config.rows == 8 else 100)
        monkeypatch.setattr(rtl_rate, "flat_rate", lambda config, cycles, *, build_dir: 1e6)
        monkeypatch.setattr(rtl_rate, "mesh_rate", lambda config, cycles, *, build_dir: mesh)

    return put


def test_figures(sdann, files, measured):
    measured(compiled=1.5, large_build=110, mesh=0.9e6)
    result = sdann("bench", "rtl", files.network, files.image, "--samples", "2", "--json")
    assert result.exit_code == 0, result.stderr
    figures = {figure["name"]: figure["value"] for figure in result.data["figures"]}
    assert figures["driver_vs_cocotb"] == 20
    assert figures["build_64_vs_4_tiles"] == pytest.approx(1.1)
    assert figures["tile_cycles_vs_flat"] == pytest.approx(0.9)
    assert (result.data["samples"], result.data["cycles"]) == (2, 1000)


@pytest.mark.parametrize(
    ("values", "figure"),
    [
        ((2.1, 110, 0.9e6), "driver_vs_cocotb"),
        ((1.5, 121, 0.9e6), "build_64_vs_4_tiles"),
        ((1.5, 110, 0.4e6), "tile_cycles_vs_flat"),
    ],
)
def test_a_missed_bound_is_an_error(sdann, files, measured, values, figure):
    measured(*values)
    result = sdann("bench", "rtl", files.network, files.image, "--samples", "2")
    assert result.exit_code == 1
    assert figure in result.stderr and "must be" in result.stderr
