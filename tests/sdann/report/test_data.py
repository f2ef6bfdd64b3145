"""The report's JSON: complete, typed, versioned."""

import json

import pytest

from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.energy import load_constants, macs
from sdann.errors import FileFormatError
from sdann.mapper import map_network
from sdann.report import ReportData, load_report, run_report
from sdann.report.data import MEMORIES
from sim.tiles import run_tiles


def test_it_survives_its_file(report, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    assert load_report(path) == report


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "version 1.*version: Input should be 1"),
        ({"format": "sdann-image"}, "format: Input should be"),
        ({"cycles": -1}, "cycles: Input should be greater than or equal to 0"),
        ({"cycles": "many"}, "cycles: Input should be a valid integer"), ({"more": 1}, "more: Extra inputs"),
    ],
)  # fmt: skip
def test_another_json_is_refused(report, tmp_path, change, says):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report.model_dump(mode="json") | change))
    with pytest.raises(FileFormatError, match=says) as caught:
        load_report(path)
    assert str(path) in str(caught.value) and "`sdann report`" in str(caught.value)


def _without(number: int, field: str):
    def change(data) -> None:
        data["windows"][number][field].pop()

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        *((_without(2, f), f"windows.2.{f} has") for f in ("sops", "spikes_in", "spikes_out", "hops", "flits", "work")),
        (lambda data: data["chip"].update(rows=5), "tiles of the mesh"),
        (lambda data: data["layers"][0].update(layer="x"), "layers do not match"),
        (lambda data: data["layers"][0]["sops"].pop("golden"), "layers do not match"),
        (lambda data: data["layers"][1]["mismatches"].pop("stem"), "layers do not match"),
        (lambda data: data["spikes"][0]["steps"].pop(), "spikes do not match"),
        (lambda data: data["spikes"].pop(), "a layer has no spikes"),
        (lambda data: data["pipeline"][0].update(layer="x"), "pipeline has another layer"),
        (lambda data: data["cores"][0]["memory"].pop("routes"), "memories miss"),
        (lambda data: data["cores"][0]["counters"].pop("BUSY"), "counters miss"),
        (lambda data: data["cores"][0].update(region=None), "a region misses"),
        (lambda data: data["links"][0].update(y=9), "a link has no tile"),
        (lambda data: data["energy_pj"].pop("hop"), "energy constants miss"),
        (lambda data: data["energy"].pop(), "energy: List should have at least 2"),
        (lambda data: data["windows"].clear(), "windows: List should have at least 1"),
    ],
)
def test_a_json_that_contradicts_itself_is_refused(report, tmp_path, change, says):
    data = report.model_dump(mode="json")
    change(data)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(data))
    with pytest.raises(FileFormatError, match=says):
        load_report(path)


def test_a_file_that_is_missing_or_no_json_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="No such file"):
        load_report(tmp_path / "nothing.json")
    (tmp_path / "noise.json").write_bytes(b"\xff{")
    with pytest.raises(FileFormatError, match="noise.json: not the JSON of a report"):
        load_report(tmp_path / "noise.json")


def test_lists_are_as_long_as_what_they_speak_of(report):
    assert report.ok and report.failures == []
    for window in report.windows:
        for counts in (window.sops, window.spikes_in, window.spikes_out, window.hops):
            assert len(counts) == len(report.cores) == report.chip.rows * report.chip.cols - 1
        assert len(window.flits) == len(report.links) > 0
        assert len(window.work) == len(report.pipeline)
    for number, core in enumerate(report.cores):
        assert set(core.counters) == {counter.name for counter in Counter}
        assert sum(window.sops[number] for window in report.windows) == core.counters["SOPS"]
        assert set(core.memory) == (set() if core.layer is None else set(MEMORIES))
        assert all(use.used <= use.depth for use in core.memory.values())
    for number, link in enumerate(report.links):
        assert sum(window.flits[number] for window in report.windows) == link.flits > 0
    assert any(core.layer is None for core in report.cores)  # what the other tests want to see


def test_totals_are_the_golden_models(source, report):
    golden = reference.run(source.network, source.x)
    samples, pj = len(source.x), load_constants().pj
    sops = sum(golden.sops.values())
    assert {row.layer: row.sops["golden"] for row in report.layers} == golden.sops
    assert sum(core.counters["SOPS"] for core in report.cores) == sops
    ann, chip = report.energy
    assert (ann.operations, chip.operations) == (macs(source.network), sops / samples)
    assert chip.paper_nj == pytest.approx(sops / samples * pj["ac"] / 1000)
    assert chip.parts_nj["hop"] == pytest.approx(
        sum(core.counters["HOPS"] for core in report.cores) / samples * pj["hop"] / 1000
    )
    assert chip.extended_nj == pytest.approx(chip.paper_nj + sum(chip.parts_nj.values()))
    assert sum(row.energy_nj for row in report.layers) == pytest.approx(chip.paper_nj)
    assert [stage.name for stage in report.stages] == ["golden", "onnxruntime", "stem", "tiles"]
    assert all(stage.mismatches == 0 for stage in report.stages)


@pytest.mark.parametrize("counter", ["SOPS", "HOPS"])
def test_counters_that_are_not_the_windows_fail_the_report(source, tmp_path, monkeypatch, counter):
    def wrong(image, x, progress):
        run = run_tiles(image, x, progress)
        run.counters[0, 1][counter] += 1
        return run

    monkeypatch.setattr("sim.cosim.run_tiles", wrong)
    found = run_report(
        source, map_network(source.network, preset("demo")), simulator="tiles", build_dir=tmp_path,
        progress=lambda what: lambda done, total: None,
    )  # fmt: skip
    assert not found.ok and all(line.startswith(f"tile (0, 1): {counter} is") for line in found.failures)


def test_numbers_that_are_none_are_refused(report):
    with pytest.raises(ValueError, match="finite number"):
        ReportData.model_validate(report.model_dump() | {"seconds": float("nan")})
