"""sdann.training.weights: files of weights, and state dicts of others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from sdann.errors import FileFormatError, SdannError
from sdann.network_file import read_tensors, save_network
from sdann.random_networks import random_network
from sdann.training import init_from, load_float, load_trained, save_float
from sdann.zoo import build

torch.set_num_threads(1)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return build("digit-resnet", width=3, classes=7).eval()


def test_round_trip(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_float(model, "digit-resnet", path, width=3, classes=7)
    loaded, spec = load_trained(path)
    assert (spec.name, spec.width, spec.classes) == ("digit-resnet", 3, 7) and not loaded.training
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(loaded(x), model(x))
    assert load_float(path)[1] == "digit-resnet"
    metadata, _ = read_tensors(path, "sdann-float", 1, "")
    assert json.loads(metadata["options"]) == {"classes": 7, "width": 3}


def test_files_without_options_are_of_the_usual_form(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    torch.manual_seed(1)
    metadata = {"format": "sdann-float", "version": "1", "network": "digit-cnn"}
    save_file(build("digit-cnn").state_dict(), path, metadata=metadata)
    assert load_trained(path)[1].width == 16


def test_other_files_are_refused(model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    with pytest.raises(FileFormatError, match="no such file"):
        load_float(path)
    save_network(random_network(np.random.default_rng(0)), path)
    with pytest.raises(FileFormatError, match="sdann-network"):
        load_float(path)
    save_float(model, "digit-cnn", path)
    with pytest.raises(FileFormatError, match="not a checkpoint of a known network"):
        load_float(path)
    with pytest.raises(SdannError, match="unknown network"):
        save_float(model, "lenet", path)
    for changes in ({"options": "[1]"}, {"options": "{"}, {"options": '{"depth": 2}'}, {"network": "lenet"}):
        metadata = {"format": "sdann-float", "version": "1", "network": "digit-resnet"} | changes
        save_file(model.state_dict(), path, metadata=metadata)
        with pytest.raises(FileFormatError, match="not a checkpoint of a known network"):
            load_trained(path)


def saved(state: Any, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["state.pt", "state.safetensors", "nested.pth"])
def test_state_dicts_of_others(model: nn.Module, tmp_path: Path, name: str) -> None:
    state = model.state_dict()
    path = saved({"state_dict": state, "epoch": 3} if name == "nested.pth" else state, tmp_path / name)
    other = build("digit-resnet", width=3, classes=7).eval()
    result = init_from(other, path)
    assert set(result.loaded) == set(state) and result.fresh == result.unused == ()
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in state.items())


def test_other_classes_leave_the_last_layer_fresh(model: nn.Module, tmp_path: Path) -> None:
    path = saved(model.state_dict(), tmp_path / "state.pt")
    other = build("digit-resnet", width=3, classes=4)
    before = other.get_parameter("fc.weight").detach().clone()
    result = init_from(other, path)
    assert result.fresh == result.unused == ("fc.weight", "fc.bias")
    assert torch.equal(other.get_parameter("fc.weight"), before)
    assert torch.equal(other.get_parameter("conv1.weight"), model.get_parameter("conv1.weight"))


def test_a_detector_starts_from_its_backbone(tmp_path: Path) -> None:
    backbone = build("resnet34", width=1).state_dict()
    detector = build("yolov1-resnet34", width=1)
    result = init_from(detector, saved(backbone, tmp_path / "resnet34.pt"))
    assert result.unused == ("fc.weight", "fc.bias")
    assert all(key.startswith("head.") for key in result.fresh) and len(result.fresh) > 2
    assert torch.equal(detector.state_dict()["layer4.2.conv2.weight"], backbone["layer4.2.conv2.weight"])


def test_state_dicts_of_other_networks_are_refused(model: nn.Module, tmp_path: Path) -> None:
    path = saved(model.state_dict(), tmp_path / "state.pt")
    with pytest.raises(SdannError, match=r"conv1\.weight is of shape \[3, 1, 3, 3\], the network has \[4, 1, 3, 3\]"):
        init_from(build("digit-resnet", width=4), path)
    state = {key: value for key, value in model.state_dict().items() if key != "layer1.0.bn1.running_var"}
    with pytest.raises(SdannError, match=r"layer1\.0\.bn1\.running_var is missing"):
        init_from(build("digit-resnet", width=3), saved(state, path))


class Call:
    def __reduce__(self) -> Any:
        return print, ("a pickle ran code",)


def test_unreadable_state_dicts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = build("digit-resnet", width=3)
    with pytest.raises(FileFormatError, match="no such file"):
        init_from(network, tmp_path / "none.pt")
    for name in ("noise.pt", "noise.safetensors"):
        (tmp_path / name).write_bytes(b"\x80\x02 noise")
        with pytest.raises(FileFormatError, match=rf"{name}: not a"):
            init_from(network, tmp_path / name)
    with pytest.raises(FileFormatError, match="not a state dict of tensors"):
        init_from(network, saved({"weights": Call()}, tmp_path / "code.pt"))
    assert "ran code" not in capsys.readouterr().out
    with pytest.raises(FileFormatError, match="not a state dict of tensors"):
        init_from(network, saved([1, 2], tmp_path / "list.pt"))
    with pytest.raises(FileFormatError, match="not a state dict of tensors"):
        init_from(network, saved({"weights": network.state_dict()}, tmp_path / "deep.pt"))


def test_written_file_is_plain_safetensors(model: nn.Module, tmp_path: Path) -> None:
    save_float(model, "digit-resnet", tmp_path / "a.safetensors", width=3, classes=7)
    assert set(load_file(tmp_path / "a.safetensors")) == set(model.state_dict())
