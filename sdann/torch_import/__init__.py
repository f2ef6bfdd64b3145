"""From a ``torch.nn.Module`` to the float network that the quantizer reads. BatchNorm is folded here."""

import torch
from torch import nn
from torch.export import ExportedProgram

from ..errors import UnsupportedError
from ..float_model import FloatModel
from ..graph import INPUT, Shape
from .export import exported
from .interpret import interpret
from .merge import merged, without_dead
from .op import Op
from .values import Affine

__all__ = ["from_exported", "from_torch"]


def _map_shape(shape: tuple[int, ...]) -> Shape:
    if len(shape) == 1:
        return shape[0], 1, 1
    if len(shape) == 2:
        return shape[0], 1, shape[1]
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    raise UnsupportedError(f"an input of shape {shape} per sample; give (channels, height, width), or (features,)")


def from_exported(program: ExportedProgram, *, name: str = "network") -> FloatModel:
    """The layers of ``program``, as of ``torch.export.export(model.eval(), (example,))`` without decompositions.

    ``example`` must be one tensor, its first axis a batch (of two or more samples, else torch may drop it). Raises
    UnsupportedError that names the layer and the remedy.
    """
    nodes = {node.name: node for node in program.graph.nodes}
    inputs = program.graph_signature.user_inputs
    example = nodes[str(inputs[0])].meta.get("val") if inputs and str(inputs[0]) in nodes else None
    if not isinstance(example, torch.Tensor) or example.ndim < 2:
        raise UnsupportedError("the model's input must be one tensor with a batch axis")
    shape = _map_shape(tuple(int(side) for side in example.shape[1:]))
    builder, output = interpret(program, shape)
    if len(output.parts) != 1:
        names = ", ".join(repr(part.name if isinstance(part, Affine) else part.source) for part in output.parts)
        raise UnsupportedError(f"the output concatenates {names}; concatenate on the host, or end with a convolution")
    last = output.parts[0]
    if isinstance(last, Affine):
        if last.pool is not None:
            raise UnsupportedError(f"layer {last.name!r}: max pooling of the output without ReLU; pool on the host")
        last = builder.layer(last, Op("output", "output", {}, ()), relu=False)
    if last.source == INPUT:
        raise UnsupportedError("the model has no layers")
    layers = merged(without_dead(builder.layers, last.source))
    return FloatModel(name=name, input_shape=shape, layers=tuple(layers), host=output.host)


def from_torch(
    model: nn.Module, input_shape: tuple[int, ...], *, name: str = "network", example: torch.Tensor | None = None
) -> FloatModel:
    """The layers of ``model`` for inputs of ``input_shape``: (C, H, W), (C, L) for a row, or (F,) for a vector.

    ``example``: a batch to trace the model with, where zeros do not serve. Takes what docs/bring-your-network.md
    lists. Raises UnsupportedError that names the layer and the remedy.
    """
    return from_exported(exported(model, input_shape, example), name=name)
