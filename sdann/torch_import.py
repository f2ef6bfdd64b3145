"""From a ``torch.nn.Sequential`` to the float layers that the quantizer reads. BatchNorm is folded here."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from .errors import UnsupportedError
from .float_model import FloatArray, FloatLayer, FloatModel
from .graph import Shape

__all__ = ["from_torch"]


def _modules(model: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, module in model.named_children():
        if isinstance(module, nn.Sequential):
            yield from _modules(module, f"{prefix}{name}.")
        else:
            yield prefix + name, module


def _numpy(tensor: torch.Tensor | None, size: int, default: float = 0.0) -> FloatArray:
    if tensor is None:
        return np.full(size, default)
    return np.asarray(tensor.detach().to("cpu", torch.float64).numpy())


def _square(value: int | tuple[int, ...], name: str, what: str) -> int:
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if sides[0] != sides[-1]:
        raise UnsupportedError(
            f"layer {name!r}: {what} {sides} differs between rows and columns; use the same for both"
        )
    return sides[0]


def _stride(value: int | tuple[int, ...], name: str) -> int:
    stride = _square(value, name, "stride")
    if stride not in (1, 2, 4):
        raise UnsupportedError(f"layer {name!r}: stride {stride} is not supported; use 1, 2 or 4")
    return stride


def _conv(name: str, module: nn.Conv2d, shape: Shape) -> FloatLayer:
    if module.in_channels != shape[0]:
        raise UnsupportedError(f"layer {name!r} expects {module.in_channels} channels, but gets a map of shape {shape}")
    if any(d != 1 for d in module.dilation) or module.padding_mode != "zeros":
        raise UnsupportedError(
            f"layer {name!r}: dilation and padding other than zeros are not supported; leave them out"
        )
    if isinstance(module.padding, str):
        raise UnsupportedError(f"layer {name!r}: padding {module.padding!r} is not supported; give a number")
    if module.groups == 1:
        depthwise = False
    elif module.groups == module.in_channels == module.out_channels:
        depthwise = True
    else:
        raise UnsupportedError(
            f"layer {name!r}: {module.groups} groups are not supported; use groups=1, or a depthwise "
            f"convolution with groups = in_channels = out_channels"
        )
    return FloatLayer(
        name=name, kind="depthwise" if depthwise else "conv", weight=_numpy(module.weight, 0),
        bias=_numpy(module.bias, module.out_channels), stride=_stride(module.stride, name),
        padding=_square(module.padding, name, "padding"), relu=False,
    )  # fmt: skip


def _linear(name: str, module: nn.Linear, shape: Shape, flat: bool) -> FloatLayer:
    features = shape[0] * shape[1] * shape[2]
    if not flat and shape[1:] != (1, 1):
        raise UnsupportedError(f"layer {name!r}: a Linear layer on a map of shape {shape}; put nn.Flatten() before it")
    if module.in_features != features:
        raise UnsupportedError(f"layer {name!r} expects {module.in_features} features, but gets {features}")
    weight = _numpy(module.weight, 0).reshape(module.out_features, *shape)
    return FloatLayer(
        name=name, kind="linear", weight=weight, bias=_numpy(module.bias, module.out_features), relu=False
    )


def _avgpool(name: str, module: nn.AvgPool2d, shape: Shape) -> FloatLayer:
    sides = module.kernel_size if isinstance(module.kernel_size, tuple) else (module.kernel_size, module.kernel_size)
    if _square(module.padding, name, "padding") or module.ceil_mode or module.divisor_override:
        raise UnsupportedError(f"layer {name!r}: average pooling takes kernel_size and stride only; leave the rest out")
    weight = np.full((shape[0], 1, *sides), 1 / (sides[0] * sides[1]))
    stride = _stride(module.stride, name)
    return FloatLayer(name=name, kind="avgpool", weight=weight, bias=np.zeros(shape[0]), stride=stride, relu=False)


def _folded(layer: FloatLayer, name: str, module: nn.BatchNorm1d | nn.BatchNorm2d) -> FloatLayer:
    """``layer`` followed by BatchNorm with its running statistics."""
    size = module.num_features
    if size != len(layer.bias):
        raise UnsupportedError(f"layer {name!r} expects {size} channels, but {layer.name!r} makes {len(layer.bias)}")
    if module.running_mean is None or module.running_var is None:
        raise UnsupportedError(
            f"layer {name!r} keeps no running statistics; use track_running_stats=True and train again"
        )
    gain = _numpy(module.weight, size, 1.0) / np.sqrt(_numpy(module.running_var, size) + module.eps)
    bias = (layer.bias - _numpy(module.running_mean, size)) * gain + _numpy(module.bias, size)
    return replace(layer, weight=layer.weight * gain[:, None, None, None], bias=bias)


def _shape_after(layer: FloatLayer, shape: Shape) -> Shape:
    rows, cols = (
        (side + 2 * layer.padding - kernel) // layer.stride + 1
        for side, kernel in zip(shape[1:], layer.weight.shape[2:], strict=True)
    )
    if rows < 1 or cols < 1:
        raise UnsupportedError(
            f"layer {layer.name!r}: its kernel does not fit a map of shape {shape}; pad or shrink it"
        )
    return len(layer.bias), rows, cols


def from_torch(model: nn.Module, input_shape: Shape, *, name: str = "network") -> FloatModel:
    """The layers of ``model``, an ``nn.Sequential`` (nested ones too), for inputs of ``input_shape``, (C, H, W).

    Takes Conv2d and Linear, each followed by ReLU unless it is the last (with BatchNorm between, folded with its
    running statistics), AvgPool2d, Flatten, Dropout and Identity. Raises UnsupportedError that names the layer and
    the remedy.
    """
    if not isinstance(model, nn.Sequential):
        raise UnsupportedError(
            f"the model is a {type(model).__name__}; write it as an nn.Sequential of supported layers"
        )
    layers: list[FloatLayer] = []
    shape, flat = input_shape, False
    normalized = False

    def open_layer() -> FloatLayer | None:
        """The last layer, if it is a convolution or linear one that still lacks its ReLU."""
        return layers[-1] if layers and not layers[-1].relu and layers[-1].kind != "avgpool" else None

    for path, module in _modules(model):
        pending = open_layer()
        if isinstance(module, (nn.Dropout, nn.Dropout2d, nn.Identity)):
            continue
        if isinstance(module, nn.Flatten):
            if (module.start_dim, module.end_dim) != (1, -1):
                raise UnsupportedError(f"layer {path!r}: only nn.Flatten() with its default dimensions is supported")
            flat = True
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            if pending is None or normalized:
                raise UnsupportedError(
                    f"layer {path!r}: BatchNorm must follow a convolution or linear layer; move it there"
                )
            layers[-1] = _folded(pending, path, module)
            normalized = True
        elif isinstance(module, nn.ReLU):
            if pending is None:
                raise UnsupportedError(f"layer {path!r}: ReLU must follow a convolution or linear layer; remove it")
            layers[-1] = replace(pending, relu=True)
        elif isinstance(module, (nn.Conv2d, nn.Linear, nn.AvgPool2d)):
            if pending is not None:
                raise UnsupportedError(
                    f"layer {pending.name!r} is not followed by ReLU; only the last layer may lack it: add nn.ReLU()"
                )
            if isinstance(module, nn.Linear):
                layer = _linear(path, module, shape, flat)
            elif flat:
                raise UnsupportedError(f"layer {path!r} follows nn.Flatten(); only Linear layers may")
            else:
                layer = _conv(path, module, shape) if isinstance(module, nn.Conv2d) else _avgpool(path, module, shape)
            shape = _shape_after(layer, shape)
            layers.append(layer)
            normalized = False
        else:
            raise UnsupportedError(
                f"layer {path!r} is a {type(module).__name__}, which is not supported; use Conv2d, BatchNorm, ReLU, "
                f"AvgPool2d, Flatten, Linear, Dropout"
            )
    if not layers:
        raise UnsupportedError("the model has no layers")
    return FloatModel(name=name, input_shape=input_shape, layers=tuple(layers))
