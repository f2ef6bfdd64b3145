"""Small siblings of the paper's networks, for scikit-learn's digits: each runs whole on a small chip."""

from torch import nn

from .blocks import conv3x3, initialize
from .resnet import ResNet

__all__ = ["digit_cnn", "digit_resnet", "digit_yolo"]


def digit_cnn(classes: int = 10, width: int = 16) -> nn.Sequential:
    """Three 3 x 3 convolutions and one linear layer for 8 x 8 grey digits: [N, 1, 8, 8] -> [N, classes]."""
    w, w2 = width, 2 * width
    model = nn.Sequential()
    for name, module in (
        ("conv1", nn.Conv2d(1, w, 3, padding=1)), ("norm1", nn.BatchNorm2d(w)), ("relu1", nn.ReLU()),
        ("conv2", nn.Conv2d(w, w2, 3, padding=1)), ("norm2", nn.BatchNorm2d(w2)), ("relu2", nn.ReLU()),
        ("pool", nn.AvgPool2d(2)),
        ("conv3", nn.Conv2d(w2, w2, 3, padding=1)), ("norm3", nn.BatchNorm2d(w2)), ("relu3", nn.ReLU()),
        ("flatten", nn.Flatten()), ("linear", nn.Linear(4 * 4 * w2, classes)),
    ):  # fmt: skip
        model.add_module(name, module)
    return model


def digit_resnet(classes: int = 10, width: int = 16) -> ResNet:
    """A residual network for 8 x 8 grey digits: [N, 1, 8, 8] -> [N, classes].

    A 3 x 3 stem, one basic block with an identity skip, one of stride 2 with a 1 x 1 convolution as its skip, global
    average pooling, one linear layer.
    """
    return ResNet((1, 1), stem="small", width=width, classes=classes, inputs=1)


def digit_yolo(classes: int = 10, width: int = 16) -> nn.Sequential:
    """A detector for 32 x 32 grey scenes of digits: [N, 1, 32, 32] -> [N, 5 + classes, 4, 4].

    Convolutions only, so that it is a chain: seven 3 x 3 ones with BatchNorm and ReLU, three of them of stride 2, and
    a linear 1 x 1 convolution. One box per cell of 8 x 8 pixels.
    """
    w = width
    model = nn.Sequential()
    inputs = 1
    for number, (outputs, stride) in enumerate(
        ((w, 1), (w, 2), (2 * w, 1), (2 * w, 2), (4 * w, 1), (4 * w, 2), (4 * w, 1)), start=1
    ):
        model.add_module(f"conv{number}", conv3x3(inputs, outputs, stride))
        model.add_module(f"norm{number}", nn.BatchNorm2d(outputs))
        model.add_module(f"relu{number}", nn.ReLU())
        inputs = outputs
    initialize(model)
    model.add_module("grid", nn.Conv2d(inputs, 5 + classes, 1))
    return model
