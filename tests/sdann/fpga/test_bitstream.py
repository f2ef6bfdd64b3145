"""The real bitstream, with its figures; about half an hour."""

import json
import subprocess
import sys

import pytest

from sdann.cli.fpga import GOALS


@pytest.mark.long
def test_the_preset_becomes_a_bitstream_within_its_bounds(tmp_path):
    out = tmp_path / "sdann.bit"
    done = subprocess.run(
        [sys.executable, "-c", "from sdann.cli import main; main()", "fpga", "--preset", "ecp5_85k", "--out", str(out),
         "--build-dir", str(tmp_path / "build"), "--json"],
        capture_output=True, text=True, timeout=4 * 3600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    figures = {figure["name"]: figure for figure in data["figures"]}
    assert set(figures) == set(GOALS)
    assert figures["fpga_clock_mhz"]["value"] >= 80 and figures["fpga_clock_mhz"]["bound"] == 80
    assert figures["fpga_core_lut4"]["value"] <= 4500 and figures["fpga_core_lut4"]["bound"] == 4500
    assert figures["fpga_router_lut4"]["value"] <= 1800 and figures["fpga_router_lut4"]["bound"] == 1800
    assert data["config"]["lanes"] == 16 and data["tiles"] >= 4 and data["clock_mhz"] >= 80
    assert out.read_bytes()[:1] == b"\xff" and len(out.read_bytes()) > 100_000
