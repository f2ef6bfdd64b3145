"""`sdann cosim` on a tiny chip."""

import pytest

from .conftest import BUILD_DIR


@pytest.mark.parametrize("simulator", [pytest.param("amaranth", marks=pytest.mark.long), "compiled"])
def test_rtl_agrees(sdann, files, simulator):
    result = sdann(
        "cosim", files.network, files.image, "--simulator", simulator, "--samples", "2", "--build-dir", str(BUILD_DIR),
        "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    data = result.data
    assert [stage["name"] for stage in data["stages"]] == ["golden", "tiles", "rtl"]
    rtl = data["stages"][-1]
    neurons = sum(c * h * w for c, h, w in (layer.shape for layer in files.net.layers))
    assert (rtl["compared"], rtl["mismatches"], rtl["samples"]) == (2 * neurons, 0, 2)
    assert rtl["sops"] == data["stages"][0]["sops"] > 0 and rtl["cycles"] > 0
    windows = next(figure for figure in data["figures"] if figure["name"] == "windows")
    assert windows == {"name": "windows", "value": 4, "bound": 4, "unit": "windows"}  # 2 samples + 2 layers


def test_icarus_runs_the_verilog_file_and_stalls(sdann, files):
    assert sdann("verilog", "--preset", "test", "--out", "chip.v").exit_code == 0
    common = ["--simulator", "icarus", "--samples", "1", "--verilog", "chip.v", "--build-dir", str(BUILD_DIR), "--json"]
    smooth = sdann("cosim", files.network, files.image, *common).data
    rough = sdann("cosim", files.network, files.image, *common, "--stall", "0.4").data
    assert smooth["ok"] and rough["ok"] and rough["stall"] == 0.4
    assert smooth["stages"][-1]["sops"] == rough["stages"][-1]["sops"] > 0


def test_first_difference_has_layer_core_neuron_and_step(sdann, files):
    result = sdann(
        "cosim", files.network, files.flawed, "--simulator", "compiled", "--samples", "2",
        "--build-dir", str(BUILD_DIR), "--json",
    )  # fmt: skip
    assert result.exit_code == 1
    first, last = result.data["first_difference"], files.net.layers[-1].name
    rtl = result.data["stages"][-1]
    assert rtl["name"] == "rtl" and rtl["mismatches"] > 0
    line = next(line for line in result.data["failures"] if "rtl: layer" in line)
    assert first["layer"] == last and f"rtl: layer {last!r}, core (" in line
    assert "neuron (c, y, x) = (" in line and ", step " in line and line in result.stderr
