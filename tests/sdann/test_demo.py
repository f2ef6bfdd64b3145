"""The demonstration with the tile model in the chip's place (the RTL itself takes a minute and runs elsewhere)."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from hdl.config import preset
from hdl.program import Counter
from sdann.cli import main
from sdann.demo import DemoOptions, run_demo
from sdann.graph import INPUT
from sdann.mapper import load_image
from sdann.network_file import load_network
from sdann.quantization import QuantizeOptions
from sdann.report import load_report, write_report
from sdann.tile_model import TileModel
from sim.result import RunResult

NAMES = ["float", "golden", "stem", "tiles", "rtl"]


def simulate(image, x, *, mode, **options) -> RunResult:
    """A faultless chip."""
    found = TileModel(image).run(x)
    counters = {
        core: {c.name: 0 for c in Counter} | {c.name: n for c, n in values.items()}
        for core, values in found.counters.items()
    }
    for values in counters.values():
        values["BUSY"] = values["SOPS"] // image.config.lanes
    activations = {k: v for k, v in found.activations.items() if k != INPUT} if mode == "observe" else {}
    return RunResult(
        outputs=found.readout, activations=activations, counters=counters, samples=len(x), cycles=290_000,
        windows=len(x) + image.manifest.registers.STAGES,
    )  # fmt: skip


@pytest.fixture
def chip(monkeypatch):
    monkeypatch.setattr("sim.cosim.simulate", simulate)


@pytest.fixture
def result(chip, tmp_path):
    options = DemoOptions(config=preset("demo"), quantize=QuantizeOptions(), out=tmp_path, samples=3)
    return run_demo(options, lambda what: lambda done, total: None)


def test_command_prints_what_it_reports(chip, tmp_path):
    done = CliRunner().invoke(main, ["demo", "--samples", "20", "--out", str(tmp_path / "demo"), "--json"])
    assert done.exit_code == 0, done.stderr
    data = json.loads(done.stdout)
    assert (tmp_path / "demo" / "report.json").read_text() == done.stdout
    assert data["ok"] and [stage["name"] for stage in data["stages"]] == NAMES
    neurons = 16 * 64 + 32 * 64 + 32 * 16 + 32 * 16 + 10
    for stage in data["stages"][1:]:
        assert (stage["samples"], stage["compared"], stage["mismatches"]) == (20, 20 * neurons, 0)
        assert stage["sops"] == data["stages"][1]["sops"] > 0 and stage["saturations"] == 0
    blank = data["stages"][0]
    assert [blank[k] for k in ("compared", "mismatches", "sops", "cycles", "saturations")] == [None] * 5
    assert blank["accuracy"] > 0.9
    figures = {figure["name"]: figure for figure in data["figures"]}
    assert figures["windows"]["value"] == figures["windows"]["bound"] == 25
    assert figures["float test accuracy"]["value"] >= 0.97
    assert figures["layers split over rows and channels, with a halo"]["value"] >= 1
    network = load_network(tmp_path / "demo" / "net.safetensors")
    assert load_image(tmp_path / "demo" / "image.safetensors").manifest.network == network.name
    assert {p.name for p in (tmp_path / "demo").iterdir()} == {
        "float.safetensors", "net.safetensors", "image.safetensors", "chip.v", "report.html", "report.json",
    }  # fmt: skip


def test_a_wrong_activation_fails_the_demo(tmp_path, monkeypatch):
    def wrong(image, x, *, mode, **options):
        run = simulate(image, x, mode=mode)
        if mode == "observe":
            run.activations["conv2"] = run.activations["conv2"] ^ (np.arange(64).reshape(8, 8) == 63)
        return run

    monkeypatch.setattr("sim.cosim.simulate", wrong)
    monkeypatch.setattr("sim.cosim.locate_step", lambda difference, *args, **options: difference)
    done = CliRunner().invoke(main, ["demo", "--samples", "2", "--out", str(tmp_path), "--json"])
    assert done.exit_code == 1
    data = json.loads(done.stdout)
    assert not data["ok"] and data["first_difference"]["layer"] == "conv2"
    assert data["stages"][-1]["mismatches"] == 2 * 32 and [s["mismatches"] for s in data["stages"][1:-1]] == [0, 0, 0]
    assert "layer &#39;conv2&#39;" in (tmp_path / "report.html").read_text()


def test_report_knows_the_whole_demo(result, tmp_path):
    page = write_report(result.report, tmp_path / "again.html").read_text()
    assert "All models agree" in page and 'id="quantization"' in page and "no RTL" not in page
    assert [row.layer for row in result.report.quantization] == [layer.name for layer in result.network.layers]
    conv2 = [core.region for core in result.report.cores if core.layer == "conv2"]
    assert sorted((r.y0, r.channel0) for r in conv2) == [(0, 0), (0, 16), (4, 0), (4, 16)]
    assert load_report(tmp_path / "again.json") == result.report
    for stage, shown in zip(result.stages, result.report.stages, strict=True):
        assert stage.as_dict() == shown.model_dump()


def test_low_bounds_fail_the_demo(chip, tmp_path, monkeypatch):
    monkeypatch.setattr("sdann.demo.FLOAT_ACCURACY", 1.01)
    monkeypatch.setattr("sdann.demo.LEAST_ALIVE", 0.99)
    options = DemoOptions(config=preset("demo"), quantize=QuantizeOptions(), out=tmp_path, samples=2)
    found = run_demo(options, lambda what: lambda done, total: None).report.failures
    assert len(found) == 2 and "float test accuracy" in found[0] and "non-zero" in found[1]
