"""`sdann verify` on a tiny chip: all stages, both ways to run the RTL, several passes, and differences by name."""

import numpy as np
import pytest

from hdl.config import preset
from sdann.mapper import plan_network
from sdann.network_file import save_network

from .conftest import BUILD_DIR, tiny_network

COMMON = ("--samples", "2", "--build-dir", str(BUILD_DIR), "--json")
MODELS = ["golden", "onnxruntime", "stem", "tiles"]


def neurons(network) -> int:
    return sum(int(np.prod(layer.shape)) for layer in network.layers)


@pytest.mark.parametrize(
    ("sim", "rtl"),
    [("compiled", "rtl"), pytest.param("amaranth", "rtl", marks=pytest.mark.long), ("tile", "rtl, tiles alone")],
)
def test_every_stage_compares_every_activation(sdann, files, sim, rtl):
    result = sdann("verify", files.network, files.image, "--sim", sim, *COMMON)
    assert result.exit_code == 0, result.stderr
    stages = result.data["stages"]
    assert [stage["name"] for stage in stages] == [*MODELS, rtl]
    for stage in stages:
        assert (stage["compared"], stage["mismatches"]) == (2 * neurons(files.net), 0), stage["name"]
    assert stages[-1]["sops"] == stages[0]["sops"] > 0
    assert result.data["first_difference"] is None


@pytest.mark.parametrize("sim", ["compiled", "tile"])
def test_a_fault_in_the_program_is_named(sdann, files, sim):
    result = sdann("verify", files.network, files.flawed, "--sim", sim, *COMMON)
    assert result.exit_code == 1
    last = files.net.layers[-1].name
    assert f"layer {last!r}" in result.data["first_difference"]
    assert [stage["mismatches"] for stage in result.data["stages"][:3]] == [0, 0, 0]
    assert all(stage["mismatches"] > 0 for stage in result.data["stages"][3:])


@pytest.mark.parametrize("sim", ["compiled", "tile", "tiles"])
def test_passes(sdann, tmp_path, sim):
    """With few cores the network takes several passes."""
    network = tiny_network(4)
    mapped = plan_network(network, preset("test"), cores=2)
    assert len(mapped.passes) > 1
    save_network(network, tmp_path / "net.safetensors")
    paths = []
    for number, image in enumerate(mapped.images()):
        paths.append(str(tmp_path / f"image{number}.safetensors"))
        image.save(paths[-1])
    result = sdann("verify", str(tmp_path / "net.safetensors"), *paths, "--sim", sim, *COMMON)
    assert result.exit_code == 0, result.stderr
    assert result.data["passes"] == len(paths)
    for stage in result.data["stages"]:
        assert (stage["compared"], stage["mismatches"]) == (2 * neurons(network), 0), stage["name"]


def test_one_layer_alone(sdann, files):
    layer = files.net.layers[-1]
    result = sdann("verify", files.network, files.image, "--sim", "tile", "--layer", layer.name, *COMMON)
    assert result.exit_code == 0, result.stderr
    rtl = [row for row in result.data["layers"] if row["stage"] == "rtl"]
    assert [(row["layer"], row["compared"]) for row in rtl] == [(layer.name, 2 * int(np.prod(layer.shape)))]
    assert result.data["tiles"] == 2 * len(files.program.cores_of(layer.name))


def test_without_an_image_the_network_is_mapped(sdann, files):
    result = sdann("verify", files.network, "--preset", "test", "--sim", "tile", *COMMON)
    assert result.exit_code == 0, result.stderr
    text = sdann("verify", files.network, "--preset", "test", "--sim", "tile", *COMMON[:-1]).stdout
    assert "rtl, tiles alone" in text and files.net.layers[0].name in text


def test_refusals(refused, files):
    assert "--sim tile only" in refused("verify", files.network, files.image, "--layer", "x", "--samples", "1")
    assert "has no layer 'x'; its layers are" in refused(
        "verify", files.network, files.image, "--layer", "x", "--sim", "tile", "--samples", "1"
    )
    assert "another network" in refused("verify", files.other, files.image, "--samples", "1")
