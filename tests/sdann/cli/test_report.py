"""`sdann report`: a run on the RTL and its page, a page from JSON, and what is refused."""

import json

import pytest

from .conftest import BUILD_DIR

COMMON = ("--samples", "2", "--build-dir", str(BUILD_DIR))


@pytest.mark.parametrize("sim", ["compiled", "tiles"])
def test_a_run_leaves_page_and_json(sdann, files, tmp_path, sim):
    result = sdann("report", files.network, files.image, "--sim", sim, *COMMON, "--out", "a/run.html", "--json")
    assert result.exit_code == 0, result.stderr
    stages = [stage["name"] for stage in result.data["stages"]]
    assert stages == ["golden", "onnxruntime", "stem", "tiles"] + (["rtl"] if sim == "compiled" else [])
    assert all(stage["mismatches"] == 0 for stage in result.data["stages"])
    assert (result.data["simulator"], result.data["samples"]) == (sim, 2) and result.data["cycles"] > 0
    assert (tmp_path / "a" / "run.json").read_text() == result.stdout
    page = (tmp_path / "a" / "run.html").read_text()
    assert "All models agree" in page and ("no RTL" in page) == (sim == "tiles")


def test_models_and_rtl_tell_the_same(sdann, files):
    """All but cycles, which the cycle model predicts, and the stage that only one of them has."""
    rtl, models = (
        sdann("report", files.network, files.image, "--sim", sim, *COMMON, "--json").data
        for sim in ("compiled", "tiles")
    )
    assert rtl["cores"] == models["cores"] and rtl["energy"] == models["energy"]
    assert rtl["cycles"] == pytest.approx(models["cycles"], rel=0.02)


def test_from_json_the_same_page(sdann, files, tmp_path):
    sdann("report", files.network, files.image, "--sim", "tiles", *COMMON, "--out", "run.html")
    result = sdann("report", "run.json", "--out", "again.html")
    assert result.exit_code == 0 and "0 differ; wrote again.html" in result.stdout
    assert (tmp_path / "again.html").read_text() == (tmp_path / "run.html").read_text()
    assert (tmp_path / "again.json").read_text() == (tmp_path / "run.json").read_text()


def test_without_an_image_it_is_mapped(sdann, files):
    result = sdann("report", files.network, "--preset", "test", "--sim", "tiles", *COMMON, "--json")
    assert result.exit_code == 0 and result.data["chip"]["preset"] == "test"


def test_a_fault_is_on_the_page(sdann, files, tmp_path):
    result = sdann("report", files.network, files.flawed, "--sim", "tiles", *COMMON, "--json")
    assert result.exit_code == 1 and not result.data["ok"]
    assert result.data["first_difference"]["layer"] == files.net.layers[-1].name
    assert json.loads((tmp_path / "report.json").read_text()) == result.data
    page = (tmp_path / "report.html").read_text()
    assert "All models agree" not in page and "The first difference: stage tiles" in page
    again = sdann("report", "report.json")
    assert again.exit_code == 1 and "activations differ" in again.stderr


def test_refusals(refused, files, tmp_path):
    assert "must end in .html" in refused("report", files.network, "--out", "page.txt")
    (tmp_path / "other.json").write_text("{}")
    assert "other.json: not the JSON of a report" in refused("report", "other.json")
    assert "missing.json: No such file" in refused("report", "missing.json")
    assert "another network" in refused("report", files.other, files.image)
    few = refused("report", files.network, "--preset", "test", "--set", "rows=1", "--sim", "tiles", *COMMON)
    assert "passes on chip 'test'" in few and "--preset" in few and "`sdann verify`" in few
