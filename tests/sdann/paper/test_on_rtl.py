"""Tables of the RTL: what they compare, what they say of a difference, and where their clock comes from."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hdl.config import preset
from sdann.errors import DoesNotFitError, FileFormatError
from sdann.paper import experiment
from sdann.paper.chip import ROUTED, ChipOptions, read_clock, run_on_chip

ROOT = Path(__file__).resolve().parents[3]


def run(name: str, setup):
    calls = []
    result = experiment(name).run(setup, lambda done, total: calls.append((done, total)))
    assert calls and all(0 < done <= total for done, total in calls)
    assert result.rows and all(set(result.columns) <= set(row) for row in result.rows)
    assert experiment(name).plot(result).startswith(b"\x89PNG")
    return result


def check_table_3(result) -> None:
    wide, scaled, narrow = result.rows
    assert [row["V"] for row in result.rows] == ["32 bits", "16 bits, scaled", "16 bits, not scaled"]
    assert result.failures == [] and all(row["different"] == 0 and row["compared"] > 8000 for row in result.rows)
    for row in result.rows:
        assert row["SOPs, RTL"] == row["SOPs, golden"] > 0
        assert row["saturations, RTL"] == row["saturations, golden"]
    assert wide["saturations, RTL"] == 0 < narrow["saturations, RTL"] > scaled["saturations, RTL"]


def check_table_10(result, mhz: float) -> None:
    without, hybrid = result.rows
    assert [row["sparsity"] for row in result.rows] == ["none", "hybrid"] and result.failures == []
    for row in result.rows:
        assert row["different"] == 0 and row["SOPs, RTL"] == row["SOPs, golden"]
        assert row["nJ"] == pytest.approx((row["SOPs, RTL"] + row["SOPs twice"]) * 0.03 / 1000)
        assert row["nJ, extended"] > row["nJ"] and row["hops"] > 0
        assert row["images / s"] == pytest.approx(mhz * 1e6 / row["cycles / image"]) and row["MHz"] == mhz
        # One sample by itself takes less than a row of them, more than one of a row.
        cycles = row["latency us"] * mhz
        assert row["cycles / image"] / 2 < cycles < row["cycles / image"] * row["samples"] * 2
    assert hybrid["nJ"] < without["nJ"] and hybrid["SOPs, RTL"] < without["SOPs, RTL"]


def test_table_3(setup) -> None:
    check_table_3(run("table3-rtl", setup))


def test_table_10(setup) -> None:
    clock = replace(ROUTED, mhz=50.0, source="here")
    result = run("table10", replace(setup, chip=replace(setup.chip, clock=clock)))
    check_table_10(result, 50.0)
    assert "the clock is from here" in result.notes[0] and "2.97 and 2.4 mJ" in result.notes[-1]


def test_a_changed_golden_is_noticed(setup, subject, monkeypatch) -> None:
    from sdann import stages

    real = stages.reference.run

    def wrong(*args):
        result = real(*args)
        result.activations["conv2"].flat[3] ^= 1
        return result

    monkeypatch.setattr(stages.reference, "run", wrong)
    monkeypatch.setattr("sim.cosim.locate_step", lambda first, *rest, **options: first)  # there is no RTL to ask
    found = run_on_chip(subject, subject.network, setup.chip, what="32 bits")
    assert found.different == 1
    assert any("32 bits: 1 of" in text and "rtl: layer 'conv2'" in text for text in found.failures)


@pytest.mark.parametrize(("counter", "what"), [("SOPS", "SOPs"), ("SATURATIONS", "saturations")])
def test_a_changed_counter_of_the_chip_is_noticed(setup, subject, monkeypatch, counter, what) -> None:
    from sim import cosim

    real = cosim.run_tiles

    def wrong(*args):
        result = real(*args)
        result.counters[max(core for core, n in result.counters.items() if n["SOPS"])][counter] += 1
        return result

    monkeypatch.setattr(cosim, "run_tiles", wrong)
    failures = run_on_chip(subject, subject.network, setup.chip, what="sparsity none").failures
    assert any("rtl: layer '" in text and f"{what}, the golden model counts" in text for text in failures)


def test_a_chip_that_is_too_small_is_refused(setup, subject) -> None:
    chip = replace(setup.chip, config=preset("test"))
    with pytest.raises(DoesNotFitError, match=r"chip 'test' in one pass: .* name a larger chip with --preset"):
        run_on_chip(subject, subject.network, chip, what="32 bits")


def test_the_clock_without_a_file_is_that_of_the_documentation() -> None:
    assert f"The bitstream's clock is **{ROUTED.mhz:g} MHz**" in (ROOT / "docs" / "fpga.md").read_text()


def test_the_clock_of_a_file(tmp_path) -> None:
    path = tmp_path / "fpga.json"
    path.write_text(json.dumps({"clock_mhz": 57.25, "preset": "ecp5_85k"}))
    assert read_clock(path).mhz == 57.25 and read_clock(path).source == "fpga.json: `sdann fpga`, preset ecp5_85k"
    for text, message in (("[1]", "no clock_mhz"), ('{"clock_mhz": 0}', "above 0"), ("{", "not a JSON file")):
        path.write_text(text)
        with pytest.raises(FileFormatError, match=message):
            read_clock(path)
    with pytest.raises(FileFormatError, match="No such file"):
        read_clock(tmp_path / "missing")


@pytest.mark.long
@pytest.mark.parametrize("name", ["table3-rtl", "table10"])
def test_on_the_rtl(setup, name) -> None:
    """The compiled chip, two of them for Table 3."""
    chip = ChipOptions(samples=3, build_dir=ROOT / "build" / "sim")
    result = run(name, replace(setup, chip=chip))
    if name == "table10":
        check_table_10(result, ROUTED.mhz)
    else:
        check_table_3(result)
