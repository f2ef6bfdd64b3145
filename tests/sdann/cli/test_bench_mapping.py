"""``sdann bench mapping`` and ``sdann map --tune`` without a simulator."""

import sim.cycles

TEST = ("--preset", "test", "--samples", "2", "--windows", "2")


def test_figures(sdann, files):
    result = sdann("bench", "mapping", files.network, *TEST, "--over", "100", "--json")
    data = result.data
    (row,) = data["mappings"]
    assert data["windows"] == 2 and data["bounds"] == {"busiest_over_mean": 1.3, "over_visits": 100}
    assert 0 < row["peak"] <= row["visits"] <= row["chip"] <= row["cycles"]
    assert row["over_visits"] == row["cycles"] / row["visits"]
    assert 0 < row["working_cores"] < row["cores"] and row["busiest_over_mean_sops"] >= 1
    assert [layer["layer"] for layer in row["layers"]] == [layer.name for layer in files.net.layers]
    assert abs(sum(row["shares"].values()) - row["cycles"]) < 1e-6
    even = row["busiest_over_mean_sops"] <= 1.3
    assert result.exit_code == (0 if even else 1)
    text = sdann("bench", "mapping", files.network, *TEST, "--over", "100").stdout
    assert "Where they go" in text and "Layers: a window that waited for this one only" in text


def test_a_curve_and_its_bounds(sdann, files):
    result = sdann("bench", "mapping", files.network, *TEST, "--cores", "4", "--cores", "5", "--over", "1", "--json")
    assert [row["cores_at_most"] for row in result.data["mappings"]] == [4, 5]
    assert result.exit_code == 1
    assert "no mapping keeps 1.3 of busiest over mean SOPs and 1 of cycles over visits" in result.stderr


def test_the_rtl_is_asked(sdann, files, monkeypatch):
    asked = []

    def compare(image, samples, *, build_dir):
        asked.append(samples.shape)
        report, _ = sim.cycles.predict(image, samples)
        return sim.cycles.CycleComparison(
            report=report, cycles=round(report.cycles * slower), windows=report.windows, differences=tuple(wrong)
        )

    monkeypatch.setattr(sim.cycles, "compare_cycles", compare)
    slower, wrong = 1.0, []
    row = sdann("bench", "mapping", files.network, *TEST, "--rtl", "--json").data["mappings"][0]["rtl"]
    assert (row["cycles_error"], row["counters_wrong"], row["failures"]) == (0, 0, [])
    assert asked == [(2 + len(files.net.layers), *files.net.input_shape)]
    slower = 1.03
    result = sdann("bench", "mapping", files.network, *TEST, "--rtl", "--json")
    assert result.exit_code == 1 and "off the RTL's, which must be <= 2%" in result.stderr
    slower, wrong = 1.0, [sim.cycles.CycleDifference((0, 1), "SOPS", 1, 2)]
    result = sdann("bench", "mapping", files.network, *TEST, "--rtl", "--json")
    assert result.exit_code == 1 and "core (0, 1): SOPS is 2, 1 predicted" in result.stderr


def test_map_takes_a_judge(sdann, files):
    plain = sdann("map", files.network, "--preset", "test", "--json").data
    tuned = sdann("map", files.network, "--preset", "test", "--tune", "--json").data
    assert tuned["cores"] == plain["cores"]
