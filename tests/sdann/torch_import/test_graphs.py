"""Whole modules with branches, sums, concatenations and reuse: the float network computes what torch computes."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sdann.graph import INPUT, Pool
from sdann.torch_import import from_torch


class Block(nn.Module):
    """ResNet's basic block, with one ReLU for all and sums in place."""

    def __init__(self, fan_in: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(fan_in, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or fan_in != out:
            self.downsample = nn.Sequential(nn.Conv2d(fan_in, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 7, 2, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.layers = nn.Sequential(Block(4, 4), Block(4, 6, 2), Block(6, 6))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.flatten(self.pool(self.layers(self.stem(x))), 1)
        return F.log_softmax(self.fc(x), dim=1)


def test_resnet(agree) -> None:
    model = agree(ResNet, (3, 33, 29), name="resnet")
    assert model.name == "resnet" and model.host == ("log_softmax",)
    layers = {layer.name: layer for layer in model.layers}
    assert list(layers) == [
        "stem.0", "layers.0.conv1", "layers.0.add", "layers.1.conv1", "layers.1.add", "layers.2.conv1", "layers.2.add",
        "pool", "fc",
    ]  # fmt: skip
    assert layers["stem.0"].pool == Pool(kernel=3, stride=2, padding=1)
    skip, down = layers["layers.0.add"], layers["layers.1.add"]
    assert [(e.source, e.kind) for e in skip.edges] == [("layers.0.conv1", "conv"), ("stem.0", "identity")]
    assert [(e.source, e.kind, e.stride) for e in down.edges] == [
        ("layers.1.conv1", "conv", 1), ("layers.0.add", "conv", 2),
    ]  # fmt: skip
    assert [layer.relu for layer in model.layers] == [True] * 7 + [False] * 2
    agree(ResNet, (3, 33, 29), dtype=torch.float32)


class Inception(nn.Module):
    """Four branches, one of them pooled, concatenated before one ReLU; then pooled per part."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.one = nn.Conv2d(4, 3, 1)
        self.three = nn.Sequential(nn.Conv2d(4, 2, 1), nn.ReLU(), nn.Conv2d(2, 5, 3, padding=1))
        self.wide = nn.Conv2d(4, 2, (1, 5), padding=(0, 2))
        self.pooled = nn.Conv2d(4, 2, 1)
        self.bn = nn.BatchNorm2d(12)
        self.head = nn.Conv2d(12, 4, 3, padding=1)
        self.fc = nn.Linear(16 * 2 * 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x).relu_()
        branches = [self.one(x), self.three(x), self.wide(x), self.pooled(F.max_pool2d(x, 3, 1, 1))]
        x = F.relu(self.bn(torch.cat(branches, dim=1)), inplace=True)
        y = F.relu(self.head(x))
        x = F.avg_pool2d(torch.cat([F.max_pool2d(x, 2), F.max_pool2d(y, 2)], 1), (2, 3), 1)
        return self.fc(x.flatten(1))


def test_inception(agree) -> None:
    model = agree(Inception, (2, 7, 9))
    layers = {layer.name: layer for layer in model.layers}
    assert [edge.source for edge in layers["head"].edges] == ["one", "three.2", "wide", "pooled"]
    assert layers["wide"].edges[0].weight.shape == (2, 4, 5, 5)  # (1, 5) in a square frame of zeros
    assert len(layers["fc"].edges) == 5 and all(edge.kind == "linear" for edge in layers["fc"].edges)
    assert [e.weight.shape[:2] for e in layers["head"].edges] == [(4, 3), (4, 5), (4, 2), (4, 2)]


class Shared(nn.Module):
    """A loop over one module, a branch on a shape, additions of every spelling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.act = nn.ReLU6()
        self.fc = nn.Linear(27, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(2):
            x = self.act(self.conv(x))
        if x.shape[-1] > 4:
            x = F.avg_pool2d(x, 2)
        y = self.act(self.conv(x))
        x = F.relu(x + y - 0.25 * self.conv(y) + 0.5)
        x = F.dropout(x, training=self.training)
        x = torch.add(x, y, alpha=2).contiguous()
        return torch.sigmoid(self.fc(x.permute(0, 1, 2, 3).reshape(x.shape[0], -1)))


def test_reuse_and_shape_branches(agree) -> None:
    model = agree(Shared, (3, 6, 7))
    assert model.host == ("sigmoid",)
    names = [layer.name for layer in model.layers]
    assert names[:3] == ["conv", "conv#2", "avg_pool2d"] and names[-1] == "fc" and len(names) == len(set(names))
    assert [layer.clip for layer in model.layers][:2] == [6, 6]
    assert "avg_pool2d" not in [layer.name for layer in agree(Shared, (3, 3, 3)).layers]


class Voting(nn.Module):
    """CIFAR10Net's end: the mean over ten neurons per class."""

    def __init__(self, relu: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 20)
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.vote = nn.AvgPool1d(10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.vote(self.relu(self.fc(x.flatten(1))).unsqueeze(1)).squeeze(1)


def test_voting(agree) -> None:
    model = agree(lambda: Voting(True), (3, 2, 2))
    fc, vote = model.layers
    assert fc.relu and vote.name == "vote" and vote.edges[0].kind == "linear"
    assert set(vote.edges[0].weight.ravel().tolist()) == {0, 0.1}
    assert [layer.name for layer in agree(lambda: Voting(False), (3, 2, 2)).layers] == ["fc"]


class PoolFirst(nn.Module):
    """Max pooling in every place that is possible."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.fc = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(x, 2)
        x = F.relu(self.pool(self.a(x)))
        y = F.relu(self.b(x))
        y = F.max_pool2d(F.max_pool2d(y, 3, 1, 1), 2) + F.max_pool2d(F.avg_pool2d(y, 2), 1) + self.pool(x)
        return self.fc(y.mean(dim=[-1, -2]))


def test_max_pooling(agree) -> None:
    model = agree(PoolFirst, (2, 16, 16))
    layers = {layer.name: layer for layer in model.layers}
    assert (layers["max_pool2d"].edges[0].source, layers["max_pool2d"].edges[0].kind) == (INPUT, "identity")
    assert not layers["max_pool2d"].relu and layers["max_pool2d"].pool == Pool(kernel=2, stride=2)
    assert layers["a"].relu and layers["a"].pool == Pool(kernel=2, stride=2)
    assert layers["b"].pool is None  # others read it unpooled


class Densely(nn.Module):
    """BatchNorm before ReLU on a concatenation, as in DenseNet."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norms = nn.ModuleList(nn.BatchNorm2d(4 + 3 * n) for n in range(3))
        self.convs = nn.ModuleList(nn.Conv2d(4 + 3 * n, 3, 3, padding=1) for n in range(2))
        self.fc = nn.Linear(10, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(x))
        for norm, conv in zip(self.norms, self.convs, strict=False):
            x = torch.cat([x, F.relu(conv(F.relu(norm(x))))], 1)
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.norms[2](x)), (1, 1)).flatten(1))


def test_batch_norm_of_its_own(agree) -> None:
    model = agree(Densely, (2, 5, 5))
    layers = {layer.name: layer for layer in model.layers}
    assert layers["norms.0"].edges[0].kind == "depthwise" and layers["norms.0"].relu
    assert {"norms.1", "norms.1#2"} <= set(layers)


class InPlace(nn.Module):
    """The identity is changed in place before it is added, as Python sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        identity = x
        y = self.b(F.relu_(x))
        y += identity
        return F.relu(y)


class StaleView(InPlace):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x)
        F.relu_(x.view(x.shape))
        return F.relu(self.b(x))


def test_in_place(agree) -> None:
    model = agree(InPlace, (1, 6, 6))
    assert [[e.source for e in layer.edges] for layer in model.layers] == [[INPUT], ["a", "a"]]
    with pytest.raises(Exception, match="in-place"):
        from_torch(StaleView(), (1, 6, 6))
