"""`sdann train` and `sdann zoo`."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sdann.training import load_trained
from sdann.zoo import NETWORKS


def test_zoo(sdann):
    data = sdann("zoo", "--json").data
    assert [row["network"] for row in data["networks"]] == list(NETWORKS)
    rows = {row["network"]: row for row in data["networks"]}
    assert rows["tiny-yolo"]["parameters"] == 5_761_758 and rows["resnet18"]["macs"] == 1_814_073_344
    text = sdann("zoo").stdout
    assert "5,761,758" in text and "3 x 224 x 224" in text and "detection" in text
    narrow = sdann("zoo", "--width", "2", "--json").data["networks"]
    assert all(row["width"] == 2 for row in narrow) and narrow[0]["weights"] < rows["digit-cnn"]["weights"]


def test_train_writes_weights_log_and_checkpoint(sdann, tmp_path):
    words = ["train", "digit-resnet", "--width", "4", "--epochs", "2", "--seed", "3", "--out", "deep/net.safetensors"]
    data = sdann(*words, "--json").data
    assert (data["network"], data["width"], data["classes"], data["data"]) == ("digit-resnet", 4, 10, "digits")
    assert data["measure"] == "accuracy" and 0.3 < data["value"] <= 1 and data["samples"] == 360
    model, spec = load_trained("deep/net.safetensors")
    assert (
        spec.options == {"classes": 10, "width": 4} and sum(p.numel() for p in model.parameters()) == data["parameters"]
    )
    records = [json.loads(line) for line in Path("deep/net.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [1, 2] and records[1]["validation"]["samples"] == 237
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["net.checkpoint", "net.jsonl", "net.safetensors"]
    again = sdann(*words, "--resume").stdout  # nothing is left to do
    assert again.startswith(f"digit-resnet: accuracy {data['value']:.2%} on 360 test images")
    assert len(Path("deep/net.jsonl").read_text().splitlines()) == 2


def test_init_from(sdann):
    sdann("train", "digit-cnn", "--width", "2", "--epochs", "1", "--out", "a.safetensors")
    words = ["--epochs", "1", "--rate", "1e-30", "--decay", "0", "--init-from", "a.safetensors"]
    sdann("train", "digit-cnn", "--width", "2", *words, "--out", "b.safetensors")
    one, two = load_file("a.safetensors"), load_file("b.safetensors")
    assert (one["conv2.weight"] == two["conv2.weight"]).all()  # at that rate nothing moves


def test_detector(sdann):
    words = ["train", "digit-yolo", "--width", "1", "--epochs", "1", "--out", "net", "--checkpoint", "c", "--log", "l"]
    data = sdann(*words, "--json").data
    assert data["measure"] == "mAP@0.5" and data["samples"] == 500 and 0 <= data["coco"] <= 1
    assert Path("c").exists() and Path("l").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cifar10net"], "cifar10 needs the folder where it lies: cifar10:PATH"),
        (["cifar10net", "--data", "cifar10:gone"], "gone: no CIFAR-10 here"),
        (["digit-cnn", "--data", "scenes"], "scenes has images of (1, 32, 32), the network takes (1, 8, 8)"),
        (["digit-cnn", "--resume"], "nothing to resume"),
        (["digit-cnn", "--init-from", "gone.pt"], "gone.pt: no such file; give a state dict"),
    ],
)
def test_refusals(sdann, words, message):
    for extra in ([], ["--json"]):
        result = sdann("train", *words, "--out", "net.safetensors", *extra)
        assert result.exit_code == 2 and result.stdout == ""
        assert message in " ".join(result.stderr.split()), result.stderr
    assert not Path("net.safetensors").exists()
