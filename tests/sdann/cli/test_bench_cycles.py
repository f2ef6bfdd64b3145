"""``sdann bench cycles`` without a simulator, and ``sdann validate --cycles``."""

import numpy as np
import pytest

import sim.cycles
from sdann.cycles import predict
from sim.result import RunResult


@pytest.fixture
def counted(monkeypatch):
    """Makes the RTL count what is predicted, but ``more`` of one counter of core ``at``, or ``slower`` cycles."""

    def arrange(*, slower: float = 1.0, **more: int) -> None:
        def simulate(image, samples, **_):
            report, _ = predict(image, samples)
            counters = {
                core: {
                    "BUSY": int(report.total("busy")[n]), "STALLED": int(report.total("stalled")[n]),
                    "SOPS": int(report.total("sops")[n]),
                }
                for n, core in enumerate(report.cores)
            }  # fmt: skip
            for name, amount in more.items():
                counters[report.cores[-1]][name] += amount
            cycles = round(report.cycles * slower)
            return RunResult(outputs=np.zeros(1), counters=counters, cycles=cycles, windows=report.windows)

        monkeypatch.setattr(sim.cycles, "simulate", simulate)

    return arrange


def bench(sdann, files):
    return sdann("bench", "cycles", files.network, files.image, "--samples", "3", "--json")


def test_figures(sdann, files, counted):
    counted()
    result = bench(sdann, files)
    assert result.exit_code == 0 and result.data["differences"] == []
    values = {figure["name"]: (figure["value"], figure["bound"]) for figure in result.data["figures"]}
    assert values["cycles_predicted"] == values["cycles_measured"] and values["cycles_predicted"][0] > 0
    assert 0 < values["cycles_without_waiting"][0] <= values["cycles_predicted"][0]
    assert (values["cycles_error"], values["busy_wrong"]) == ((0, 0.02), (0, 0))
    assert result.data["samples"] == 3 and result.data["windows"] == 5


def test_two_percent_are_the_bound(sdann, files, counted):
    counted(slower=1.015)
    assert bench(sdann, files).exit_code == 0
    counted(slower=1.03)
    result = bench(sdann, files)
    assert result.exit_code == 1 and "cycles_error" in result.stderr


def test_one_visit_is_too_many(sdann, files, counted):
    counted(BUSY=1)
    result = bench(sdann, files)
    core = predict(files.program, np.zeros((1, *files.net.input_shape), dtype=np.int64))[0].cores[-1]
    assert result.exit_code == 1 and "busy_wrong" in result.stderr
    (line,) = result.data["differences"]
    assert line.startswith(f"core {core}: BUSY is ") and line.endswith(" predicted")


def test_validate_predicts(sdann, files):
    plain = sdann("validate", files.network, files.image, "--samples", "2", "--json").data
    data = sdann("validate", files.network, files.image, "--samples", "2", "--cycles", "2", "--json").data
    found = data["cycles"]
    assert "cycles" not in plain and data["ok"]
    assert (found["windows"], found["samples"], found["late"]) == (2, 4, 0)
    assert 0 < found["bound"] < found["per_sample"] < found["run"]
    assert [row["layer"] for row in found["layers"]] == ["input", *(layer.name for layer in files.net.layers)]
    assert all(0 < row["busy"] < found["per_sample"] for row in found["layers"][1:])
    text = sdann("validate", files.network, files.image, "--samples", "2", "--cycles", "1").stdout
    assert "Predicted cycles per sample" in text and "utilisation" in text
