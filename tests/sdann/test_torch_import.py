"""sdann.torch_import: the float layers compute what torch computes; everything else is refused by name."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from sdann.errors import UnsupportedError
from sdann.float_model import forward
from sdann.torch_import import from_torch
from sdann.zoo import NETWORKS

torch.set_num_threads(1)


def seeded(model: nn.Sequential, seed: int = 0) -> nn.Sequential:
    """``model`` in double precision and evaluation mode, with random parameters and statistics."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            random = torch.rand(tensor.shape, generator=generator)
            tensor.copy_(random + 0.5 if "var" in name else random - 0.5)
    return model.double().eval()


MODELS = {
    "digit-cnn": (NETWORKS["digit-cnn"].build, (1, 8, 8)),
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
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_equals_torch(name: str) -> None:
    build, shape = MODELS[name]
    for seed in range(3):
        model = seeded(build(), seed)
        x = np.random.default_rng(seed).normal(size=(4, *shape))
        imported = from_torch(model, shape, name=name)
        outputs = forward(imported, x)
        expected = model(torch.from_numpy(x)).detach().numpy()
        found = outputs[imported.layers[-1].name]
        assert np.abs(found.reshape(expected.shape) - expected).max() < 1e-9 * max(1, np.abs(expected).max())
        assert imported.name == name and np.any(expected)


def test_names_follow_the_modules() -> None:
    imported = from_torch(NETWORKS["digit-cnn"].build(), (1, 8, 8))
    assert [layer.name for layer in imported.layers] == ["conv1", "conv2", "pool", "conv3", "linear"]
    assert [layer.relu for layer in imported.layers] == [True, True, False, True, False]
    nested = from_torch(MODELS["nested"][0](), (1, 8, 6))
    assert nested.layers[0].name == "0.0"


REFUSED = {
    "activation": ([("c", nn.Conv2d(1, 2, 3)), ("bad", nn.Sigmoid())], "Sigmoid"),
    "max pool": ([("c", nn.Conv2d(1, 2, 3)), ("r", nn.ReLU()), ("bad", nn.MaxPool2d(2))], "MaxPool2d"),
    "no relu": ([("bad", nn.Conv2d(1, 2, 3)), ("c", nn.Conv2d(2, 2, 3))], r"add nn.ReLU\(\)"),
    "no relu before pool": ([("bad", nn.Conv2d(1, 2, 3)), ("p", nn.AvgPool2d(2))], r"add nn.ReLU\(\)"),
    "relu first": ([("bad", nn.ReLU()), ("c", nn.Conv2d(1, 2, 3))], "ReLU must follow"),
    "norm first": ([("bad", nn.BatchNorm2d(1)), ("c", nn.Conv2d(1, 2, 3))], "BatchNorm must follow"),
    "norm after relu": (
        [("c", nn.Conv2d(1, 2, 3)), ("r", nn.ReLU()), ("bad", nn.BatchNorm2d(2))],
        "BatchNorm must follow",
    ),
    "two norms": ([("c", nn.Conv2d(1, 2, 3)), ("n", nn.BatchNorm2d(2)), ("bad", nn.BatchNorm2d(2))], "BatchNorm"),
    "groups": ([("bad", nn.Conv2d(1, 2, 3)), ("r", nn.ReLU()), ("bad", nn.Conv2d(2, 4, 3, groups=2))], "groups"),
    "dilation": ([("bad", nn.Conv2d(1, 2, 3, dilation=2))], "dilation"),
    "stride": ([("bad", nn.Conv2d(1, 2, 3, stride=3))], "stride 3"),
    "uneven stride": ([("bad", nn.Conv2d(1, 2, 3, stride=(1, 2)))], "stride"),
    "same": ([("bad", nn.Conv2d(1, 2, 3, padding="same"))], "same"),
    "mode": ([("bad", nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"))], "zeros"),
    "channels": ([("bad", nn.Conv2d(3, 2, 3))], "expects 3 channels"),
    "too large": ([("bad", nn.Conv2d(1, 2, 9))], "does not fit"),
    "no flatten": ([("bad", nn.Linear(8, 2))], "nn.Flatten"),
    "features": ([("f", nn.Flatten()), ("bad", nn.Linear(8, 2))], "expects 8 features"),
    "conv after flatten": ([("f", nn.Flatten()), ("bad", nn.Conv2d(1, 2, 3))], "Flatten"),
    "flatten part": ([("bad", nn.Flatten(2))], "Flatten"),
    "padded pool": ([("bad", nn.AvgPool2d(2, padding=1))], "average pooling"),
    "ceiling": ([("bad", nn.AvgPool2d(2, ceil_mode=True))], "average pooling"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_by_name(case: str) -> None:
    modules, words = REFUSED[case]
    modules = list(modules)
    if case == "groups":
        modules[0] = ("c", modules[0][1])
    with pytest.raises(UnsupportedError, match=words) as error:
        from_torch(nn.Sequential(OrderedDict(modules)), (1, 8, 8))
    assert "'bad'" in str(error.value)


def test_refuses_other_models() -> None:
    with pytest.raises(UnsupportedError, match=r"nn\.Sequential"):
        from_torch(nn.Conv2d(1, 1, 1), (1, 8, 8))
    with pytest.raises(UnsupportedError, match="no layers"):
        from_torch(nn.Sequential(), (1, 8, 8))
    with pytest.raises(UnsupportedError, match="running statistics"):
        from_torch(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)), (1, 8, 8))
