"""``sdann bench core`` without a simulator: figures, bounds, and what breaks them."""

import pytest

import sim.core_rate
from sim.core_rate import Rate, StepRate


@pytest.fixture
def measured(monkeypatch):
    """Makes every measurement find ``span`` cycles where 100 visits do 3200 SOPs."""

    def arrange(*, span: int, counted: int = 3200) -> None:
        step = StepRate(sops=counted, visits=100, span=span, cycles=span + 20)
        monkeypatch.setattr(sim.core_rate, "measure", lambda *_, **__: Rate(steps=[step], sops=3200, visits=100))

    return arrange


def test_figures(sdann, measured):
    measured(span=104)
    data = sdann("bench", "core", "--epochs", "1", "--json").data
    figures = {figure["name"]: figure for figure in data["figures"]}
    assert figures["core_sop_per_cycle"]["bound"] == pytest.approx(0.95 * 32)
    assert figures["core_sop_per_cycle_recorded"]["value"] == pytest.approx(3200 / 104)
    assert figures["core_sop_per_cycle_whole_step"]["value"] == pytest.approx(3200 / 124)
    assert data["ok"] and data["steps"]["core"] == [{"sops": 3200, "visits": 100, "span": 104, "cycles": 124}]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"span": 106}, "core_sop_per_cycle: 30.1"),
        ({"span": 104, "counted": 3199}, "the core counted 3,199 SOPs, the spiking model 3,200"),
    ],
)
def test_what_fails(sdann, measured, found, message):
    measured(**found)
    result = sdann("bench", "core", "--epochs", "1")
    assert result.exit_code == 1 and message in result.stderr


def test_a_layer_that_is_not_there(sdann):
    result = sdann("bench", "core", "--epochs", "1", "--layer", "linear")
    assert result.exit_code == 2 and "no 3 x 3 convolution 'linear'" in result.stderr
