"""From a ``torch.nn.Module`` to the float network that the quantizer reads. BatchNorm is folded here."""

import torch
from torch import nn
from torch.export import ExportedProgram

from ..errors import UnsupportedError
from ..float_model import FloatModel
from .export import exported
from .finish import float_model, map_shape
from .interpret import interpret

__all__ = ["from_exported", "from_torch"]


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
    shape = map_shape(tuple(int(side) for side in example.shape[1:]))
    builder, output = interpret(program, shape)
    return float_model(builder, output, name, shape)


def from_torch(
    model: nn.Module, input_shape: tuple[int, ...], *, name: str = "network", example: torch.Tensor | None = None
) -> FloatModel:
    """The layers of ``model`` for inputs of ``input_shape``: (C, H, W), (C, L) for a row, or (F,) for a vector.

    ``example``: a batch to trace the model with, where zeros do not serve. Takes what docs/bring-your-network.md
    lists. Raises UnsupportedError that names the layer and the remedy.
    """
    return from_exported(exported(model, input_shape, example), name=name)
