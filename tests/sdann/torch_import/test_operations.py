"""Single operations in all their spellings: the float network computes what torch computes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sdann.errors import UnsupportedError
from sdann.float_model import forward
from sdann.graph import INPUT
from sdann.torch_import import from_exported, from_torch


def digit_cnn() -> nn.Sequential:
    model = nn.Sequential()
    for name, module in (
        ("conv1", nn.Conv2d(1, 16, 3, padding=1)), ("norm1", nn.BatchNorm2d(16)), ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(16, 32, 3, padding=1)), ("norm2", nn.BatchNorm2d(32)), ("relu2", nn.ReLU()),
        ("pool", nn.AvgPool2d(2)), ("conv3", nn.Conv2d(32, 32, 3, padding=1)), ("norm3", nn.BatchNorm2d(32)),
        ("relu3", nn.ReLU()), ("flatten", nn.Flatten()), ("linear", nn.Linear(512, 10)),
    ):  # fmt: skip
        model.add_module(name, module)
    return model


CHAINS = {
    "digit-cnn": (digit_cnn, (1, 8, 8)),
    "strides": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 5, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout2d(),
            nn.Conv2d(5, 5, 3, groups=5, stride=4, padding=1), nn.ReLU(), nn.Identity(), nn.Conv2d(5, 4, 1),
        ),
        (3, 11, 9),
    ),
    "linear": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(12, 7), nn.BatchNorm1d(7, affine=False), nn.ReLU(), nn.Dropout(),
            nn.Linear(7, 3), nn.ReLU()
        ),
        (3, 2, 2),
    ),
    "nested": (
        lambda: nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 2, (3, 1)), nn.ReLU()), nn.AvgPool2d((2, 3), stride=1),
            nn.AvgPool2d(2), nn.Flatten()
        ),
        (1, 8, 6),
    ),
    "vector": (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU6(), nn.Linear(5, 3)), (6,)),
    "groups": (
        lambda: nn.Sequential(
            nn.Conv2d(4, 6, 3, groups=2), nn.ReLU(), nn.Conv2d(6, 12, 3, groups=6, padding=1), nn.Hardtanh(0, 2),
            nn.Conv2d(12, 1, 1),
        ),
        (4, 6, 5),
    ),
    "kernels": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, (1, 5), padding=(0, 2)), nn.ReLU(), nn.Conv2d(3, 3, 3, dilation=2), nn.ReLU(),
            nn.Conv2d(3, 3, (2, 4), padding="same"), nn.ReLU(), nn.Conv2d(3, 2, (7, 3), padding="valid"), nn.ReLU(),
            nn.Conv2d(2, 2, (1, 3), stride=(2, 1)),  # of one row there is only one
        ),
        (2, 11, 12),
    ),
    "rows": (
        lambda: nn.Sequential(
            nn.Conv1d(3, 4, 5, stride=2, padding=2), nn.BatchNorm1d(4), nn.ReLU(), nn.AvgPool1d(2), nn.ReLU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2),
        ),
        (3, 16),
    ),
    "pooling": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.ReLU(), nn.AvgPool2d(3, 1, 1),
            nn.AvgPool2d((3, 1), (2, 2), (1, 0)), nn.AdaptiveAvgPool2d((2, 1)), nn.Conv2d(3, 3, 1),
            nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1),
        ),
        (2, 9, 9),
    ),
    "relu twice": (lambda: nn.Sequential(nn.ReLU(), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.ReLU6(), nn.ReLU()), (1, 5, 5)),
    "norm last": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.BatchNorm2d(2)), (1, 5, 5)),
    "leaky end": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.LeakyReLU(0.01)), (1, 5, 5)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", CHAINS)
def test_chains(name: str, agree) -> None:
    build, shape = CHAINS[name]
    for number in range(2):
        assert agree(build, shape, number=number, name=name).name == name
    assert agree(build, shape, number=2, dtype=torch.float32).layers


class Function(nn.Module):
    """A convolution and a linear layer with ``function`` between them."""

    def __init__(self, function, features: int) -> None:
        super().__init__()
        self.conv, self.fc, self.function = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(features, 3), function
        self.register_buffer("offsets", torch.zeros(4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.function(self, self.conv(x)))


FUNCTIONS = {
    "view": (lambda _, x: F.relu(x).view(x.size(0), -1), 80),
    "reshape": (lambda _, x: torch.relu(x).reshape(-1, 80), 80),
    "unflatten": (lambda _, x: x.relu().flatten(1).unflatten(1, (4, 20)).flatten(1), 80),
    "no-ops": (lambda _, x: F.relu(x).clone().contiguous().to(x.dtype).detach()[:, :].flatten(1), 80),
    "clamp": (lambda _, x: torch.clamp(x, 0, 2.5).flatten(1), 80),
    "clamp min": (lambda _, x: x.clamp_(min=0).flatten(1), 80),
    "clamp max": (lambda _, x: F.relu(x).clamp(max=1.5).flatten(1), 80),
    "hardtanh": (lambda _, x: F.hardtanh(x, 0, 6).flatten(1), 80),
    "relu6 in place": (lambda _, x: F.relu6(x, inplace=True).flatten(1), 80),
    "permute ones": (lambda _, x: F.relu(x).mean((-2, -1), keepdim=True).permute(0, 2, 3, 1).flatten(1), 4),
    "transpose ones": (lambda _, x: F.adaptive_avg_pool2d(F.relu(x), 1).transpose(1, 3).squeeze(), 4),
    "mean of positions": (lambda _, x: F.relu(x).flatten(2).mean(2), 4),
    "pool of positions": (lambda _, x: F.avg_pool1d(F.relu(x).flatten(2), 20).squeeze(-1), 4),
    "constants": (lambda m, x: F.relu(2 * x / 4 + m.offsets - 0.5).mul(3.0).flatten(1), 80),
    "negated": (lambda _, x: F.relu(0.5 - x).flatten(1), 80),
    "channels": (lambda m, x: F.relu(x * (m.offsets + 1)[None]).flatten(1), 80),
    "doubled": (lambda _, x: (F.relu(x) + F.relu(x)).flatten(1), 80),
    "subtracted": (lambda _, x: F.relu(torch.sub(F.relu(x), F.relu6(x.relu()), alpha=2) + x.relu()).flatten(1), 80),
    "flat concatenation": (lambda _, x: torch.cat([F.relu(x).flatten(1), F.relu(x).mean((2, 3))], -1), 84),
    "concatenated sums": (lambda _, x: F.relu(torch.cat([x.relu(), 2 * x.relu()], 1) - 0.1).flatten(1), 160),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, agree) -> None:
    function, features = FUNCTIONS[name]
    agree(lambda: Function(function, features), (2, 4, 5))


def test_names_follow_the_modules() -> None:
    imported = from_torch(digit_cnn(), (1, 8, 8))
    assert [layer.name for layer in imported.layers] == ["conv1", "conv2", "pool", "conv3", "linear"]
    assert [layer.relu for layer in imported.layers] == [True, True, False, True, False]
    assert [edge.source for layer in imported.layers for edge in layer.edges] == [
        INPUT, "conv1", "conv2", "pool", "conv3",
    ]  # fmt: skip
    assert from_torch(nn.Sequential(nn.Sequential(nn.Conv2d(1, 1, 1))), (1, 2, 2)).layers[0].name == "0.0"
    assert from_torch(nn.Conv2d(1, 1, 1), (1, 2, 2)).layers[0].name == "conv2d"

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input = nn.Conv2d(1, 2, 1)
            self.taps = nn.ParameterDict({"weight": torch.ones(2, 2, 1, 1)})

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.conv2d(F.relu(self.input(x)), self.taps["weight"] * 2)

    imported = from_torch(Own(), (1, 2, 2))
    assert [layer.name for layer in imported.layers] == ["input#2", "conv2d"]
    assert (imported.layers[1].edges[0].weight == 2).all()


def test_modes_and_parameters_stay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout()).train()
    model[1].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    from_torch(model, (1, 5, 5))
    assert [module.training for module in model] == [True, False, True, True]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_exported_programs(tmp_path) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 2)).eval()
    torch.export.save(torch.export.export(model, (torch.zeros(2, 1, 5, 5),)), tmp_path / "model.pt2")
    imported = from_exported(torch.export.load(tmp_path / "model.pt2"), name="loaded")
    assert (imported.name, imported.input_shape, len(imported.layers)) == ("loaded", (1, 5, 5), 2)
    assert from_torch(model, (1, 5, 5), example=torch.zeros(4, 1, 5, 5)).input_shape == (1, 5, 5)


@pytest.mark.parametrize("divided", [False, True])
def test_dynamic_batches(divided: bool, seeded) -> None:
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(1, 2, 3), nn.Linear(72, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.relu(self.conv(x)).view(2 * x.size(0) // 2, 72)
            return self.fc(x / x.size(0) if divided else x)

    model = seeded(Halves())
    sizes = ({0: torch.export.Dim("batch", min=2)},)
    program = torch.export.export(model, (torch.zeros(3, 1, 8, 8, dtype=torch.float64),), dynamic_shapes=sizes)
    if divided:
        with pytest.raises(UnsupportedError, match="'div': its factor depends on the size of the batch"):
            from_exported(program)
        return
    imported = from_exported(program)
    x = torch.linspace(-1, 1, 5 * 64, dtype=torch.float64).reshape(5, 1, 8, 8)
    found = forward(imported, x.numpy())["fc"][:, :, 0, 0]
    assert np.abs(found - model(x).detach().numpy()).max() < 1e-9
