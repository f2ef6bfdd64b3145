"""``sdann bench noc``: what it prints and writes, and when it fails. `tests/sim/traffic` tests what it measures."""

import json
from typing import Any

import pytest

from sim.traffic.run import Traffic
from sim.traffic.sweep import Curve, Point


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replaces the compiled mesh: figures to measure, and after a run with what it was called."""
    figures: dict[str, Any] = {"accepted": 0.45, "hop": 2.0, "calls": []}

    def sweep(side: int, patterns: tuple[str, ...], folder: Any, **options: Any) -> tuple[list[Curve], float]:
        figures["calls"].append((side, patterns, options["measured"], options["depth"]))
        traffic = Traffic(
            cycles=10, flits=5, delivered=5, hops=8, accepted=figures["accepted"], accepted_least=0.4,
            delivered_rate=0.45, latency=12.5, latency_most=20, fastest=(2, 4),
        )  # fmt: skip
        return [Curve(side, name, 0.5, (Point(0.25, traffic),), traffic) for name in patterns], figures["hop"]

    monkeypatch.setattr("sim.traffic.sweep.sweep", sweep)
    return figures


def test_figures_and_files(sdann: Any, tmp_path: Any, measured: dict[str, Any]) -> None:
    options = ["--side", "4", "--side", "2", "--pattern", "hotspot", "--cycles", "500", "--depth", "4"]
    result = sdann("bench", "noc", *options, "--out", "noc", "--json")
    assert result.exit_code == 0 and result.data["ok"] and result.data["queues"] == "straight"
    assert measured["calls"] == [(side, ("uniform", "hotspot"), 500, 4) for side in (2, 4)]
    assert {figure["name"]: (figure["value"], figure["bound"]) for figure in result.data["figures"]} == {
        "noc_saturation_2x2": (0.9, 0.8), "noc_saturation_4x4": (0.9, 0.8), "noc_cycles_per_hop": (2, 2),
    }  # fmt: skip
    assert [(curve["side"], curve["pattern"]) for curve in result.data["curves"]] == [
        (2, "uniform"), (2, "hotspot"), (4, "uniform"), (4, "hotspot"),
    ]  # fmt: skip
    assert json.loads((tmp_path / "noc" / "noc.json").read_text())["figures"] == result.data["figures"]
    assert (tmp_path / "noc" / "latency.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(("name", "value"), [("accepted", 0.39), ("hop", 2.1)])
def test_a_bound_that_is_not_kept(sdann: Any, measured: dict[str, Any], name: str, value: float) -> None:
    measured[name] = value
    result = sdann("bench", "noc", "--side", "2", "--out", "noc")
    assert result.exit_code == 1 and "which must be" in result.stderr and "2 x 2" in result.stdout


def test_unknown_queues(refused: Any, tmp_path: Any) -> None:
    assert "unknown queues 'round'; known: " in refused("bench", "noc", "--side", "2", "--queues", "round")
    assert not list(tmp_path.iterdir())
