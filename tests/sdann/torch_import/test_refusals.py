"""What cannot be imported is refused by the layer's name, with the remedy."""

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sdann.errors import UnsupportedError
from sdann.torch_import import from_torch

CONV = ("c", nn.Conv2d(1, 2, 3))
RELU = ("r", nn.ReLU())
OFFSET = nn.BatchNorm2d(1)
nn.init.constant_(OFFSET.bias, -1)

CHAINS = {
    "activation": ([CONV, ("bad", nn.Sigmoid()), ("d", nn.Conv2d(2, 2, 1))], "sigmoid is possible only after the last"),
    "leaky": ([CONV, ("bad", nn.LeakyReLU()), ("d", nn.Conv2d(2, 2, 1))], r"leaky_relu .*use nn.ReLU\(\)"),
    "hardtanh": ([CONV, ("bad", nn.Hardtanh())], r"from -1.0 to 1.0 .*nn.ReLU6\(\)"),
    "no relu": ([("bad", nn.Conv2d(1, 2, 3)), ("d", nn.Conv2d(2, 2, 3))], r"where 'd' uses it.*add nn.ReLU\(\)"),
    "no relu before pool": ([("bad", nn.Conv2d(1, 2, 3)), ("p", nn.AvgPool2d(2))], r"add nn.ReLU\(\)"),
    "norm before conv": ([("bad", OFFSET), CONV], r"not followed by ReLU where 'c'"),
    "norm after pool": ([CONV, ("p", nn.MaxPool2d(2)), ("bad", nn.BatchNorm2d(2))], r"put nn.ReLU\(\) before it"),
    "pool twice": ([CONV, ("p", nn.MaxPool2d(2)), ("bad", nn.MaxPool2d(2)), RELU], "a second time"),
    "pooled output": ([("bad", nn.Conv2d(1, 2, 3)), ("p", nn.MaxPool2d(2))], "max pooling of the output"),
    "statistics": ([CONV, ("bad", nn.BatchNorm2d(2, track_running_stats=False))], "track_running_stats=True"),
    "stride": ([("bad", nn.Conv2d(1, 2, 3, stride=3))], "stride 3 is not supported; use 1, 2 or 4"),
    "uneven stride": ([("bad", nn.Conv2d(1, 2, 3, stride=(1, 2)))], "differs between rows and columns"),
    "channels": ([("bad", nn.Conv2d(3, 2, 3))], "fails on an input"),
    "too large": ([("bad", nn.Conv2d(1, 2, 9))], "fails on an input"),
    "no flatten": ([("bad", nn.Linear(8, 2))], "nn.Flatten"),
    "features": ([("f", nn.Flatten()), ("bad", nn.Linear(8, 2))], "fails on an input"),
    "padded pool": ([CONV, RELU, ("bad", nn.AvgPool2d(2, padding=1, count_include_pad=False))], "count_include_pad"),
    "divisor": ([CONV, RELU, ("bad", nn.AvgPool2d(2, divisor_override=3))], "divisor_override"),
    "ceiling": ([CONV, RELU, ("bad", nn.AvgPool2d(4, ceil_mode=True))], "ceil_mode=False"),
    "max ceiling": ([CONV, RELU, ("bad", nn.MaxPool2d(4, ceil_mode=True))], "ceil_mode=False"),
    "large window": ([CONV, RELU, ("bad", nn.MaxPool2d(5, 1))], "kernels of 1 to 4"),
    "oblong window": ([CONV, RELU, ("bad", nn.MaxPool2d((1, 2)))], "same kernel_size"),
    "dilated window": ([CONV, RELU, ("bad", nn.MaxPool2d(2, dilation=2))], "without dilation"),
    "uneven cut": ([CONV, RELU, ("bad", nn.AdaptiveAvgPool2d(4))], "evenly"),
    "adaptive max": ([CONV, RELU, ("bad", nn.AdaptiveMaxPool2d(2))], "adaptive_max_pool2d is not supported; use"),
    "norm": ([CONV, ("bad", nn.GroupNorm(1, 2))], "group_norm is not supported; use nn.BatchNorm2d"),
    "norm of positions": (
        [CONV, RELU, ("f", nn.Flatten()), ("bad", nn.BatchNorm1d(72))], "put it before the flattening"
    ),
    "transposed": ([("bad", nn.ConvTranspose2d(1, 2, 3))], "conv_transpose2d is not supported; use nn.Conv2d"),
    "row of a vector": ([("f", nn.Flatten(2)), ("bad", nn.AvgPool1d(4))], "flatten it to one row"),
    "upsampling": ([CONV, ("bad", nn.Upsample(scale_factor=2))], "upsample"),
    "shuffle": ([("c", nn.Conv2d(1, 4, 3)), RELU, ("bad", nn.PixelShuffle(2))], "pixel_shuffle is not supported; use"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHAINS)
def test_modules(case: str) -> None:
    modules, words = CHAINS[case]
    with pytest.raises(UnsupportedError, match=words) as error:
        from_torch(nn.Sequential(OrderedDict(modules)), (1, 8, 8))
    assert "'bad'" in str(error.value)


class Function(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.a, self.b, self.function = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 1), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self, F.relu(self.a(x)))


FUNCTIONS = {
    "gating": (lambda _, x: x * torch.sigmoid(x), "'sigmoid': sigmoid is possible only after the last layer"),
    "product": (lambda m, x: x * F.relu(m.b(x)), "'mul': mul of two tensors"),
    "two uses": (lambda m, x: (lambda z: F.relu(z) + F.relu(z + x))(m.b(x)), "'b' is used twice before its ReLU"),
    "kept sum": (lambda m, x: (lambda z: F.relu(m.b(z.relu()) + z))(m.b(x) + x), "'add' is used twice before"),
    "concatenated output": (lambda m, x: torch.cat([x, m.b(x)], 1), "the output concatenates 'a', 'b'"),
    "rows concatenated": (lambda _, x: torch.cat([x, x], 2), "'cat': .*along axis 2"),
    "batch concatenated": (lambda _, x: torch.cat([x, x], 0), "'cat': cat mixes the samples"),
    "constant concatenated": (lambda _, x: torch.cat([x, torch.ones(2, 1, 6, 6)], 1), "'cat': .*a constant"),
    "different splits": (
        lambda m, x: F.relu(torch.cat([m.b(x), x], 1) + F.conv2d(x, torch.ones(8, 4, 1, 1))), "'add': .*before concat"
    ),
    "broadcast": (lambda _, x: x + x.mean((2, 3), keepdim=True), "'add': it adds tensors of shapes"),
    "map as constant": (lambda _, x: x + torch.ones(4, 6, 6), "one number per channel"),
    "part of a map": (lambda m, x: m.b(x[:, :, 1:]), "'slice': slice selects part"),
    "split": (lambda _, x: sum(x.chunk(2, 1)), "'chunk': chunk is not supported; use one convolution per branch"),
    "permuted": (lambda m, x: m.b(x.permute(0, 1, 3, 2)), "'permute': permute.* only after the last layer"),
    "channels last": (lambda _, x: F.linear(x.transpose(1, 3), torch.ones(2, 4)), "'transpose': permute"),
    "reshaped": (lambda m, x: m.b(x.reshape(2, 4, 4, 9)), "'b': a tensor of shape .* is not a feature map"),
    "folded batch": (lambda m, x: m.b(x.reshape(4, 2, 6, 6)[:, :1].expand(4, 4, 6, 6)), "mixes the samples"),
    "mean of channels": (lambda _, x: x.mean(1), "'mean': only the mean over all rows and columns"),
    "dropout": (lambda _, x: F.dropout(x), "'dropout': .*training=self.training"),
    "active norm": (
        lambda _, x: F.batch_norm(x, torch.zeros(4), torch.ones(4), training=True), "'batch_norm': BatchNorm is active"
    ),
    "padded": (lambda m, x: m.b(F.pad(x, (1, 1))), "'pad': pad is not supported; give the padding"),
    "integers": (lambda _, x: x.to(torch.int32), "makes a tensor of torch.int32"),
    "matrices": (lambda _, x: x @ x, "'matmul': matmul is not supported"),
    "weights of the input": (lambda m, x: F.linear(x.flatten(1), x.flatten(1)), "computed from the input"),
    "tensor limits": (lambda _, x: torch.clamp(x, torch.zeros(1), torch.ones(1)), "'clamp': its limits are tensors"),
    "rounded": (lambda _, x: torch.div(x, 2, rounding_mode="floor"), "'div': a rounding division"),
    "values": (lambda m, x: m.b(x) if x.sum() > 0 else x, "branch on shapes only"),
    "several": (lambda _, x: (x, x), "1 inputs and 2 outputs"),
    "nothing": (lambda _, x: torch.ones(2, 3), "does not depend on its input"),
}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS)
def test_functions(case: str) -> None:
    function, words = FUNCTIONS[case]
    with pytest.raises(UnsupportedError, match=words):
        from_torch(Function(function), (2, 6, 6))


def test_whole_models() -> None:
    with pytest.raises(UnsupportedError, match="no layers"):
        from_torch(nn.Sequential(), (1, 8, 8))
    with pytest.raises(UnsupportedError, match=r"give \(channels, height, width\)"):
        from_torch(nn.Identity(), (1, 2, 8, 8))
    with pytest.raises(UnsupportedError, match="layer '' fails"):
        from_torch(Function(lambda _, x: x.view(-1, 7)), (2, 6, 6))
    with pytest.raises(UnsupportedError, match="used twice"):  # each sum would have to repeat what is before it
        from_torch(Function(lambda m, x: (lambda z: m.b(z.relu()) + z)(m.b(x))), (2, 6, 6))
