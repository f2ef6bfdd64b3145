"""``sdann quantize`` on networks that are brought: files, options, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from sdann.network_file import load_network


@pytest.fixture
def brought(tmp_path):
    """In the working folder: net.pt2 for 2 x 4 x 4 images, images.npy, labels.npy."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(2, 2, 4, 4),)), tmp_path / "net.pt2")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "images.npy", rng.integers(0, 256, (50, 2, 4, 4), dtype=np.uint8))
    np.save(tmp_path / "labels.npy", rng.integers(0, 3, 50))
    return ["net.pt2", "--images", "images.npy"]


def test_options_reach_the_network(sdann, brought) -> None:
    plain = sdann("quantize", *brought, "--json").data
    assert plain["network"] == "net" and plain["accuracy"] is None and plain["samples"] == 10
    assert plain["layers"][0]["membrane_peak"] > 0 and plain["host"] == []
    options = ["--weight-bits", "5", "--out-bits", "12", "--peak-images", "0", "--weight-observer", "mse"]
    found = sdann("quantize", *brought, "--labels", "labels.npy", *options, "--json", "--out", "net").data
    assert found["layers"][0]["membrane_peak"] is None and set(found["accuracy"]) == {"float", "integer"}
    network = load_network("net")
    assert network.weight_bits == 5 and network.layers[-1].hi == 2047 and not network.layers[-1].raw
    assert np.abs(network.layers[0].edges[0].weight).max() == 15
    assert sdann("quantize", *brought, "--raw", "--out", "net").exit_code == 0
    assert load_network("net").layers[-1].raw
    table = sdann("quantize", *brought, "--labels", "labels.npy", "--finetune", "1", "--rate", "0.02").stdout
    assert "k_e" in table and "accuracy on 10 test images" in table


def test_images_for_a_checkpoint(sdann, float_file, tmp_path) -> None:
    np.save(tmp_path / "images.npy", np.random.default_rng(0).uniform(0, 2, (20, 64)))
    found = sdann("quantize", float_file, "--images", "images.npy", "--json").data
    assert found["accuracy"] is None and found["samples"] == 4


def test_refusals(sdann, brought, tmp_path) -> None:
    def refused(*arguments: str) -> str:
        result = sdann("quantize", *arguments)
        assert result.exit_code == 2 and result.stdout == ""
        return " ".join(result.stderr.replace("│", " ").split())

    assert "needs --images" in refused("net.pt2")
    assert "no such file; write one with torch.export.save" in refused("none.pt2", *brought[1:])
    (tmp_path / "bad.pt2").write_bytes(b"noise")
    assert "not an exported program" in refused("bad.pt2", *brought[1:])
    np.savez(tmp_path / "zip.pt2", a=np.zeros(2))
    (tmp_path / "zip.pt2.npz").rename(tmp_path / "zip.pt2")
    assert "cannot load this program" in refused("zip.pt2", *brought[1:])
    assert "no such file of images" in refused("net.pt2", "--images", "none.npy")
    assert "not a file of images" in refused("net.pt2", "--images", "bad.pt2")
    assert "several arrays" in refused("net.pt2", "--images", "zip.pt2")
    np.save(tmp_path / "wrong.npy", np.zeros((50, 2, 4, 5)))
    assert "takes real images of shape [N, 2, 4, 4]" in refused("net.pt2", "--images", "wrong.npy")
    np.save(tmp_path / "few.npy", np.ones((4, 2, 4, 4)))
    assert "give at least 5" in refused("net.pt2", "--images", "few.npy")
    np.save(tmp_path / "half.npy", np.zeros(25, dtype=int))
    assert "one integer per image, [50]" in refused(*brought, "--labels", "half.npy")
    assert "--finetune needs --labels" in refused(*brought, "--finetune", "1")
    assert "6 bits per weight, but chip 'demo' has 4" in refused(
        *brought, "--set", "weight_bits=4", "--weight-bits", "6"
    )
    assert "9 bits per output" in refused(*brought, "--set", "out_bits=8", "--out-bits", "9")
    assert "use a chip with isum_bits=" in refused(*brought, "--set", "isum_bits=8")
