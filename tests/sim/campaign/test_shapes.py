"""One tile of every distinct shape of networks of the zoo, on the RTL."""

import pytest

from hdl.config import preset
from hdl.pack import pack, unpack
from hdl.program import Memory, memory_layouts
from sdann.feature_network import feature_image, feature_network
from sim.campaign import CampaignOptions, Request, results_file, run_campaign
from sim.campaign.shapes import tile_shape
from sim.campaign.summary import summarize

from .conftest import CHIP


def test_what_a_shape_says():
    image = feature_image(feature_network())
    shapes = {layer.name: [tile_shape(image, (c.y, c.x)) for c in image.cores_of(layer.name)]
              for layer in image.manifest.layers}  # fmt: skip
    assert shapes["input"] == ["input; to 1 groups, 3 lanes in the last"]
    assert "conv 3x3 stride 1 padding 1,1 of 1 groups" in shapes["stem"][0] and "pool 3 stride 2" in shapes["stem"][0]
    assert " + conv 1x1 stride 2 padding 0,0" in shapes["a"][0]
    assert " + depthwise 1x1 stride 1 padding 0,0" in shapes["b"][0]
    assert "sums parts" in shapes["d"][0] and "; a part" in shapes["d"][1] and "; a part" in shapes["d"][2]
    assert "read out ACT" in shapes["out"][0]
    assert len(set(shapes["c"])) == 1  # two tiles that differ in their channels alone


@pytest.mark.parametrize(
    ("memory", "field", "change"),
    [
        (Memory.EDGE, "kernel_h", lambda n: n + 1), (Memory.EDGE, "stride_log2", lambda n: n + 1),
        (Memory.EDGE, "depthwise", lambda n: 1 - n), (Memory.EDGE, "y_offset", lambda n: n + 1),
        (Memory.EDGE, "groups", lambda n: n + 1), (Memory.EDGE, "signed", lambda n: 1 - n),
        (Memory.EDGE, "shift", lambda n: n + 1), (Memory.EDGE, "row_shift", lambda n: n - 1),
        (Memory.EDGE, "enable", lambda n: 0), (Memory.CORE, "groups", lambda n: n + 1),
        (Memory.CORE, "last_lanes", lambda n: n - 1), (Memory.CORE, "pool", lambda n: 1 - n),
        (Memory.CORE, "part", lambda n: 1 - n), (Memory.CORE, "scaled", lambda n: 1 - n),
        (Memory.CORE, "rot", lambda n: n + 1), (Memory.CORE, "drlo", lambda n: n + 1),
    ],
)  # fmt: skip
def test_what_makes_another_shape(memory, field, change):
    image = feature_image(feature_network())
    core = next((c.y, c.x) for c in image.cores_of("c"))
    layout = memory_layouts(image.config)[memory]
    word = unpack(layout, image.words(core, memory)[0])
    changed = image.with_word(core, memory, 0, pack(layout, word | {field: change(word[field])}))
    assert tile_shape(changed, core) != tile_shape(image, core)


def run_shapes(config, networks, client, tmp_path, build_dir):
    requests = [Request(what=what, config=config, calibration=4) for what in networks]
    with results_file(tmp_path / "results.db", write=True) as file:
        options = CampaignOptions(build_dir=build_dir, shapes=True)
        assert run_campaign(file, requests, client, options) == []
        shapes = file.query("SELECT COUNT(DISTINCT shape), COUNT(DISTINCT shape) FILTER (WHERE wanted) FROM cores")
        found = summarize(file)
    assert shapes[0][0] == shapes[0][1] == sum(run.done for run in found) > len(networks)
    assert all(run.made == run.passes and run.mismatches == 0 and run.problems == () for run in found)
    assert sum(run.compared for run in found) > 0
    return found


def test_a_network_of_the_zoo(client, tmp_path, build_dir):
    """On a chip so small that the layers are cut in every way."""
    (run,) = run_shapes(CHIP, ["digit-cnn"], client, tmp_path, build_dir)
    assert run.done >= 8


@pytest.mark.long
def test_networks_of_the_zoo_on_the_large_chip(client, tmp_path, build_dir):
    networks = ["digit-cnn", "digit-resnet", "digit-yolo", "cifar10net", "resnet18-cifar"]
    run_shapes(preset("darwin"), networks, client, tmp_path, build_dir)
