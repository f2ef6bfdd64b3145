"""sdann.zoo: shapes, layers, costs and torchvision's names of every network."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from sdann.errors import SdannError
from sdann.zoo import NETWORKS, build, cost, network_spec

torch.set_num_threads(1)

TORCHVISION = json.loads((Path(__file__).parent / "torchvision_keys.json").read_text())
"""Names and shapes of torchvision 0.28's state dicts, in their order."""

CHIP_MODULES = (
    nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Linear,
    nn.Dropout, nn.Identity,
)  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_output_shape_of_a_narrow_form(name: str) -> None:
    spec = network_spec(name, width=2, classes=7)
    model = spec.build().eval()
    # The largest inputs cost seconds; shapes follow on the meta device just as well.
    device = "meta" if spec.input_shape[1] > 112 else "cpu"
    with torch.no_grad():
        outputs = model.to(device)(torch.zeros(2, *spec.input_shape, device=device))
    if spec.grid is None:
        assert outputs.shape == (2, 7)
    else:
        assert outputs.shape == (2, spec.grid.channels, spec.grid.side, spec.grid.side)
        assert spec.grid.channels == 5 * spec.grid.boxes + 7
    assert (model.training, spec.build().training) == (False, True)


@pytest.mark.parametrize("name", NETWORKS)
def test_only_modules_that_a_chip_can_run(name: str) -> None:
    leaves = [module for module in build(name, width=2).modules() if not list(module.children())]
    assert {type(module) for module in leaves} <= set(CHIP_MODULES)
    last = [module for module in leaves if isinstance(module, (nn.Conv2d, nn.Linear, nn.ReLU))][-1]
    assert isinstance(last, nn.ReLU) == (name == "cifar10net")  # its ReLU stands before the voting


@pytest.mark.parametrize("name", TORCHVISION)
def test_state_dicts_of_torchvision_fit(name: str) -> None:
    with torch.device("meta"):
        own = build(name).state_dict()
    assert {key: list(value.shape) for key, value in own.items()} == TORCHVISION[name]
    assert list(own) == list(TORCHVISION[name])


def test_backbone_of_the_detector_has_torchvisions_names() -> None:
    with torch.device("meta"):
        own = {key: list(value.shape) for key, value in build("yolov1-resnet34").state_dict().items()}
    backbone = {key: shape for key, shape in TORCHVISION["resnet34"].items() if not key.startswith("fc.")}
    assert {key: shape for key, shape in own.items() if not key.startswith("head.")} == backbone


def test_costs_by_hand() -> None:
    found = cost(network_spec("digit-cnn"))
    weights = 16 * 9 + 32 * 16 * 9 + 32 * 32 * 9 + 10 * 512
    macs = 64 * 16 * 9 + 64 * 32 * 16 * 9 + 16 * 32 * 32 * 9 + 10 * 512
    assert (found.layers, found.weights, found.parameters) == (4, weights, weights + 16 + 32 + 32 + 10)
    assert (found.macs, found.trainable) == (macs, found.parameters + 2 * 80)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("resnet18", "trainable", 11_689_512), ("resnet34", "trainable", 21_797_672),  # torchvision's documentation
        ("vgg16", "trainable", 138_357_544), ("vgg16_bn", "trainable", 138_365_992),
        ("resnet18", "macs", 1_814_073_344), ("resnet34", "macs", 3_663_761_408), ("vgg16", "macs", 15_470_264_320),
        ("tiny-yolo", "parameters", 5_761_758),
        ("cifar10net", "weights", 9 * 3 * 256 + 5 * 9 * 256**2 + 64 * 256 * 2048 + 2048 * 100),
    ],
)  # fmt: skip
def test_costs(name: str, field: str, value: int) -> None:
    assert getattr(cost(network_spec(name)), field) == value


def test_small_siblings_are_small() -> None:
    for name, most in (("digit-cnn", 60_000), ("digit-resnet", 60_000), ("digit-yolo", 150_000)):
        assert cost(network_spec(name)).weights <= most


def test_width_scales_every_hidden_layer() -> None:
    full, half = (build("resnet18-cifar", width=width).state_dict() for width in (8, 4))
    for key, value in full.items():
        expected = [
            size // 2 if size >= 8 and not (key.startswith("fc.") and axis == 0) else size
            for axis, size in enumerate(value.shape)
        ]
        assert list(half[key].shape) == expected, key


def test_cifar10net_votes() -> None:
    torch.manual_seed(0)
    model = build("cifar10net", width=4).eval()
    voters: list[torch.Tensor] = []
    model.get_submodule("classifier").register_forward_hook(lambda module, inputs, output: voters.append(output))
    with torch.no_grad():
        scores = model(torch.rand(3, 3, 32, 32))
    assert voters[0].shape == (3, 100) and voters[0].min() >= 0 < voters[0].max()
    torch.testing.assert_close(scores, voters[0].reshape(3, 10, 10).mean(2))


def test_residual_block_adds_its_skip() -> None:
    model = build("digit-resnet").eval()
    block = model.get_submodule("layer1.0")
    torch.nn.init.zeros_(block.get_parameter("conv2.weight"))
    x = torch.rand(1, 16, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(block(x), x)  # ReLU of x alone
    assert model.get_submodule("layer2.0").get_parameter("downsample.0.weight").shape == (32, 16, 1, 1)


def test_refusals() -> None:
    with pytest.raises(SdannError, match=r"unknown network 'lenet'; known networks: digit-cnn, digit-resnet"):
        build("lenet")
    with pytest.raises(SdannError, match=r"resnet18: unknown option 'depth'; known options: classes, width"):
        build("resnet18", depth=3)
    for width in (0, True, 1.5):
        with pytest.raises(SdannError, match=r"width must be a positive integer"):
            build("resnet18", width=width)  # type: ignore[arg-type]


def test_options_give_the_same_spec_again() -> None:
    spec = network_spec("tiny-yolo", classes=3, width=4)
    assert network_spec("tiny-yolo", **spec.options) == spec
    assert spec.grid is not None and spec.grid.classes == 3 and spec.task == "detection"
    assert NETWORKS["tiny-yolo"].classes == 20
