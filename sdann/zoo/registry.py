"""All networks of the zoo."""

from dataclasses import replace

from torch import nn

from ..detection.grid import Grid
from ..errors import SdannError
from .cifar10net import Cifar10Net
from .digits import digit_cnn, digit_resnet, digit_yolo
from .resnet import resnet18, resnet18_cifar, resnet34, resnet34_cifar
from .spec import SCALED_DIGITS, NetworkSpec, Recipe
from .tiny import tiny_vgg, tiny_yolo
from .vgg import vgg16, vgg16_bn, vgg16_cifar
from .yolo import yolov1_resnet34

__all__ = ["NETWORKS", "TABLE2", "build", "network_spec"]

_CIFAR = Recipe(epochs=200, batch=128)
_IMAGENET = Recipe(epochs=90, batch=256, decay=1e-4)
_VOC = Recipe(epochs=135, batch=64, rate=0.001, warmup=1000)
_RGB32, _RGB112, _RGB224, _RGB448 = (3, 32, 32), (3, 112, 112), (3, 224, 224), (3, 448, 448)
_VGG = "Simonyan and Zisserman 2015, configuration D"
_RESNET = "He et al. 2016"

_SPECS = (
    NetworkSpec(
        name="digit-cnn", input_shape=(1, 8, 8), classes=10, width=16, source="chosen here", data="digits",
        recipe=Recipe(epochs=12, batch=64, rate=0.05), make=digit_cnn,
    ),
    NetworkSpec(
        name="digit-resnet", input_shape=(1, 8, 8), classes=10, width=16, source="chosen here", data="digits",
        recipe=Recipe(epochs=20, batch=64), make=digit_resnet,
    ),
    NetworkSpec(
        name="digit-yolo", input_shape=(1, 32, 32), classes=10, width=16, source="chosen here", data="scenes",
        recipe=Recipe(epochs=30, batch=32, rate=0.02, warmup=50), make=digit_yolo,
        grid=Grid(side=4, boxes=1, classes=10),
    ),
    NetworkSpec(
        name="cifar10net", input_shape=_RGB32, classes=10, width=256, source="Fang et al. 2021, ReLU for LIF",
        data="cifar10", recipe=_CIFAR, make=Cifar10Net,
    ),
    NetworkSpec(
        name="vgg16-cifar", input_shape=_RGB32, classes=10, width=64, source=f"{_VGG}, BatchNorm, one linear layer",
        data="cifar10", recipe=_CIFAR, make=vgg16_cifar,
        scaled_digits=replace(SCALED_DIGITS, rate=0.01),
    ),
    NetworkSpec(
        name="resnet18-cifar", input_shape=_RGB32, classes=10, width=64, source=f"{_RESNET}, 3 x 3 stem",
        data="cifar10", recipe=_CIFAR, make=resnet18_cifar,
    ),
    NetworkSpec(
        name="resnet34-cifar", input_shape=_RGB32, classes=10, width=64, source=f"{_RESNET}, 3 x 3 stem",
        data="cifar10", recipe=_CIFAR, make=resnet34_cifar,
    ),
    NetworkSpec(
        name="vgg16", input_shape=_RGB224, classes=1000, width=64, source=_VGG, data="imagenet",
        recipe=replace(_IMAGENET, rate=0.01, decay=5e-4), make=vgg16,
    ),
    NetworkSpec(
        name="vgg16_bn", input_shape=_RGB224, classes=1000, width=64, source=f"{_VGG}, BatchNorm", data="imagenet",
        recipe=_IMAGENET, make=vgg16_bn,
    ),
    NetworkSpec(
        name="resnet18", input_shape=_RGB224, classes=1000, width=64, source=_RESNET, data="imagenet",
        recipe=_IMAGENET, make=resnet18,
    ),
    NetworkSpec(
        name="resnet34", input_shape=_RGB224, classes=1000, width=64, source=_RESNET, data="imagenet",
        recipe=_IMAGENET, make=resnet34,
    ),
    NetworkSpec(
        name="tiny-vgg", input_shape=_RGB112, classes=1000, width=32, source="chosen here: not in the paper",
        data="imagenet", recipe=_IMAGENET, make=tiny_vgg,
    ),
    NetworkSpec(
        name="tiny-yolo", input_shape=_RGB112, classes=20, width=32, source="chosen here: 5.76 M parameters",
        data="voc", recipe=_VOC, make=tiny_yolo, grid=Grid(side=7, boxes=2, classes=20),
    ),
    NetworkSpec(
        name="yolov1-resnet34", input_shape=_RGB448, classes=20, width=64,
        source="Redmon et al. 2015 on ResNet-34; head chosen here", data="voc", recipe=_VOC, make=yolov1_resnet34,
        grid=Grid(side=7, boxes=2, classes=20),
    ),
)  # fmt: skip

NETWORKS: dict[str, NetworkSpec] = {spec.name: spec for spec in _SPECS}
"""Known networks by name, in their usual form."""

TABLE2 = (
    "vgg16-cifar", "resnet18-cifar", "tiny-vgg", "vgg16", "resnet18", "resnet34", "tiny-yolo", "yolov1-resnet34",
)  # fmt: skip
"""Those of the paper's table 2, in its order."""


def network_spec(name: str, **options: int) -> NetworkSpec:
    """The network called ``name``, with other ``classes`` or another ``width`` if given.

    Raises SdannError that lists the known names, or options.
    """
    try:
        spec = NETWORKS[name]
    except KeyError:
        raise SdannError(f"unknown network {name!r}; known networks: {', '.join(NETWORKS)}") from None
    return spec.with_options(**options)


def build(name: str, **options: int) -> nn.Module:
    """:meth:`NetworkSpec.build` of :func:`network_spec`."""
    return network_spec(name, **options).build()
