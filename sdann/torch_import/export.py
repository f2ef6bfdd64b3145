"""From a module to torch's exported program: a flat list of tensor operations that knows each one's module."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.export import ExportedProgram

from ..errors import UnsupportedError

__all__ = ["constants", "exported"]

Dimensions = tuple[int, ...]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """BatchNorm and dropout as in inference; every module's own mode comes back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _failing_module(model: nn.Module, example: torch.Tensor) -> str | None:
    """Name of the innermost module in which running ``model`` fails, or None if it does not."""
    names = {module: name for name, module in model.named_modules()}
    running: list[str] = []

    def enter(module: nn.Module, args: object) -> None:
        running.append(names.get(module, ""))

    def leave(module: nn.Module, args: object, output: object) -> None:
        running.pop()

    handles = [module.register_forward_pre_hook(enter) for module in names]
    handles += [module.register_forward_hook(leave) for module in names]
    try:
        with torch.no_grad():
            model(example)
    except Exception:
        return running[-1] if running else ""
    finally:
        for handle in handles:
            handle.remove()
    return None


def exported(model: nn.Module, input_shape: Dimensions, example: torch.Tensor | None) -> ExportedProgram:
    """``model`` as a program, traced in evaluation mode on ``example`` (default: two samples of ``input_shape``).

    Raises UnsupportedError that names the module in which running or tracing it fails.
    """
    if example is None:
        tensor = next(model.parameters(), torch.empty(0))
        example = torch.zeros((2, *input_shape), dtype=tensor.dtype, device=tensor.device)
    with _evaluating(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about its own speed
        try:
            return torch.export.export(model, (example,), strict=False)
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            where = _failing_module(model, example)
            if where is not None:
                raise UnsupportedError(
                    f"layer {where!r} fails on an input of shape {list(example.shape)}: {reason}; correct the "
                    f"module, or give the input shape it is made for"
                ) from None
            raise UnsupportedError(
                f"torch.export cannot trace the model: {reason}; branch on shapes only, never on a tensor's values"
            ) from None


def constants(program: ExportedProgram) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """(parameters, buffers and constants by their placeholder's name, in float64 where real; their paths)."""
    signature = program.graph_signature
    paths = {
        **signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants
    }  # fmt: skip
    tensors = {}
    for name, path in paths.items():
        tensor = program.state_dict[path] if path in program.state_dict else program.constants[path]
        tensor = tensor.detach().to("cpu")
        tensors[name] = tensor.to(torch.float64) if tensor.is_floating_point() else tensor
    return tensors, paths
