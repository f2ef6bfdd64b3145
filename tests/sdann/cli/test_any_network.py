"""`map`, `validate` and `size` on networks of the zoo, in one pass and in several."""

from itertools import pairwise

import pytest

from sdann.api.program import pass_path

SMALL = ("--preset", "demo", "--set", "rows=3", "--set", "cols=3", "--set", "routes=16")
"""Eight cores: the digit network needs several passes."""


def test_map_in_one_pass_with_a_picture(sdann, tmp_path):
    found = sdann(
        "map", "digit-cnn", "--samples", "1", "--picture", "chip.svg", "--out", "net.safetensors", "--json"
    ).data
    assert found["passes"] == 1 and found["cores"]["used"] <= found["cores"]["available"] == 15
    fit = found["fit"][0]
    assert fit["least_hops"] <= fit["hops"] <= fit["naive_hops"]
    assert fit["busiest_sops"] <= fit["naive_busiest_sops"] and fit["busiest_over_mean_sops"] >= 1
    for row in fit["layers"]:
        used = row["used"][row["binds"]]
        assert used["used"] <= used["available"]
    picture = (tmp_path / "chip.svg").read_text()
    assert "digit-cnn" in picture and "conv2" in picture and picture.startswith("<?xml")
    assert found["out"] == ["net.safetensors", "chip.svg"] and (tmp_path / "net.safetensors").is_file()


def test_several_passes_are_written_and_validated(sdann, refused, tmp_path):
    found = sdann("map", "digit-cnn", *SMALL, "--samples", "1", "--out", "net.safetensors", "--json").data
    count = found["passes"]
    assert count > 1 and found["out"] == [f"net-{number}.safetensors" for number in range(count)]
    checked = sdann("validate", "digit-cnn", *found["out"], "--samples", "1", "--json").data
    assert checked["different"] == 0 and checked["passes"] == count and checked["ok"]
    assert {row["layer"] for row in checked["layers"]} == {"conv1", "conv2", "pool", "conv3", "linear"}
    assert all(row["sops"] == row["expected_sops"] > 0 for row in checked["layers"])
    reversed_order = refused("validate", "digit-cnn", *found["out"][::-1], "--samples", "1")
    assert f"pass {count - 1} comes where pass 0 is due" in reversed_order
    assert f"1 of {count} passes are given" in refused("validate", "digit-cnn", found["out"][0], "--samples", "1")


def test_validate_maps_what_has_no_image(sdann):
    result = sdann("validate", "digit-cnn", "--preset", "demo", "--samples", "1")
    assert result.exit_code == 0
    found = sdann("validate", "digit-cnn", "--preset", "demo", "--samples", "1", "--json").data
    assert found["different"] == 0 and found["compared"] == 4106 and found["passes"] == 1
    assert found["fit"][0]["cores"] == found["cores"][0]


def test_an_unknown_network_is_refused(refused):
    assert "no such file" in refused("map", "digit-nothing")
    assert "no such file" in refused("size", "digit-nothing")


def test_a_picture_of_another_format_is_refused_before_anything_runs(refused, tmp_path):
    for command, option in (("map", "--picture"), ("size", "--plot")):
        assert "must end in .svg or .png" in refused(command, "digit-cnn", option, "chip.doc")
    assert not list(tmp_path.iterdir())


def test_size(sdann, tmp_path):
    arguments = ("size", "digit-cnn", "--samples", "1", "--lanes", "8", "--lanes", "16", "--plot", "size.svg")
    found = sdann(*arguments, "--json").data
    rows = found["sizes"]
    assert len(rows) > 3 and found["looked_at"] > len(rows)
    for less, more in pairwise(rows):
        assert less["memory_bits"] < more["memory_bits"] and less["window_cycles"] > more["window_cycles"]
    assert all(row["rows"] * row["cols"] > row["cores"] for row in rows)
    assert "8 lanes" in (tmp_path / "size.svg").read_text()
    assert "needs" in sdann("size", "digit-cnn", "--most", "2").stderr


@pytest.mark.parametrize(("number", "passes", "name"), [(0, 1, "a.x"), (0, 2, "a-0.x"), (11, 12, "a-11.x")])
def test_names_of_passes(tmp_path, number, passes, name):
    assert pass_path(tmp_path / "a.x", number, passes) == tmp_path / name
