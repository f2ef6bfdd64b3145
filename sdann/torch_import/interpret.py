"""Walks the exported program and lets a handler say what each operation makes of what it reads."""

from collections.abc import Callable
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from ..errors import UnsupportedError
from ..graph import INPUT, Shape
from .builder import Builder
from .elementwise import add, concatenate, rectify, scale
from .export import constants
from .op import Op
from .pooling import adaptive_average, average, max_pool, mean
from .reshaping import dropout, permute, reshape, same
from .values import Value
from .weighted import batch_norm, convolution, linear

__all__ = ["interpret"]

HANDLERS: dict[str, Callable[[Builder, Op], Value]] = {
    **dict.fromkeys(("conv2d", "conv1d"), convolution), "linear": linear, "batch_norm": batch_norm,
    **dict.fromkeys(("relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max", "clip"), rectify),
    **dict.fromkeys(("add", "sub", "rsub"), add), **dict.fromkeys(("mul", "div"), scale), "cat": concatenate,
    **dict.fromkeys(("avg_pool2d", "avg_pool1d"), average), "max_pool2d": max_pool, "mean": mean,
    **dict.fromkeys(("adaptive_avg_pool2d", "adaptive_avg_pool1d"), adaptive_average),
    **dict.fromkeys(
        ("flatten", "view", "reshape", "_unsafe_view", "unflatten", "squeeze", "unsqueeze"), reshape
    ),
    **dict.fromkeys(("permute", "transpose"), permute),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), dropout),
    **dict.fromkeys(
        ("contiguous", "clone", "detach", "alias", "to", "_to_copy", "lift_fresh", "lift_fresh_copy", "slice",
         "expand", "expand_as", "type_as"), same
    ),
}  # fmt: skip
"""By torch's name of the operation, without the underscore of in-place ones."""

HOST = (
    "softmax", "log_softmax", "_softmax", "_log_softmax", "sigmoid", "log_sigmoid", "tanh", "leaky_relu", "elu", "selu",
    "celu", "gelu", "silu", "mish", "softplus", "hardswish", "hardsigmoid", "prelu",
)  # fmt: skip
"""Operations that the host can do after the last layer."""

REMEDIES = {
    "max_pool1d": "use nn.MaxPool2d on maps with rows and columns", "adaptive_max_pool2d": "use nn.MaxPool2d",
    "max_pool3d": "use nn.MaxPool2d", "conv_transpose2d": "use nn.Conv2d; upsample on the host",
    "layer_norm": "use nn.BatchNorm2d", "group_norm": "use nn.BatchNorm2d", "instance_norm": "use nn.BatchNorm2d",
    "matmul": "use nn.Linear with a parameter", "bmm": "leave attention out", "lstm": "use layers without a state",
    "scaled_dot_product_attention": "leave attention out", "upsample_nearest2d": "upsample on the host",
    "pad": "give the padding to the convolution", "constant_pad_nd": "give the padding to the convolution",
    "split": "use one convolution per branch", "chunk": "use one convolution per branch",
    "select": "use a convolution that computes only what is needed", "threshold": "use nn.ReLU()",
}  # fmt: skip
SUPPORTED = (
    "Conv2d, Linear, BatchNorm, ReLU, ReLU6, AvgPool2d, MaxPool2d, AdaptiveAvgPool2d, add, cat, Flatten, Dropout"
)


def _layer_name(node: Node, paths: dict[str, str], weight: Any) -> str:
    """The path of the torch.nn module that the operation belongs to, or of its parameter, or of the module whose
    ``forward`` calls it with the operation's name.
    """
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    if kind.startswith("torch.nn.modules.") and not kind.startswith("torch.nn.modules.container.") and path:
        return str(path)
    if isinstance(weight, Node) and (owner := paths.get(weight.name, "").rpartition(".")[0]):
        return owner
    return f"{path}.{_kind(node)}" if path else _kind(node)


def _kind(node: Node) -> str:
    packet = getattr(node.target, "overloadpacket", None)
    name = packet.__name__ if packet is not None else getattr(node.target, "__name__", str(node.target))
    return str(name).rstrip("_")


def _in_place(node: Node) -> bool:
    packet = getattr(node.target, "overloadpacket", None)
    return packet is not None and packet.__name__.endswith("_") and not packet.__name__.endswith("__")


class _Interpreter:
    def __init__(self, program: ExportedProgram, shape: Shape) -> None:
        self.builder = Builder(shape)
        self.tensors, self.paths = constants(program)
        self.values: dict[str, Any] = {}
        self.batch = 0
        self.host_layer = ""

    def place(self, node: Node, *, is_input: bool) -> None:
        """A parameter, a constant, or the network's input."""
        if is_input:
            self.batch, *view = (int(side) for side in node.meta["val"].shape)
            self.values[node.name] = Value((self.builder.known[INPUT],), tuple(view))
        else:
            self.values[node.name] = self.tensors.get(node.name)

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, Node):
            return self.values[argument.name]
        if isinstance(argument, (list, tuple)):
            return [self._argument(item) for item in argument]
        return argument

    def _op(self, node: Node) -> Op:
        given = [self._argument(argument) for argument in node.args]
        schema = getattr(node.target, "_schema", None)
        args: dict[str, Any] = {}
        for number, argument in enumerate(schema.arguments if schema is not None else ()):
            default = argument.default_value if argument.has_default_value() else None
            value = given[number] if number < len(given) else self._argument(node.kwargs.get(argument.name, default))
            args[argument.name] = value
        weight = next((a for a in node.args[1:2] if isinstance(a, Node)), None)
        result = node.meta.get("val")
        view = tuple(int(side) for side in result.shape[1:]) if isinstance(result, torch.Tensor) else ()
        return Op(_layer_name(node, self.paths, weight), _kind(node), args, view)

    def _checked(self, node: Node, op: Op) -> list[Value]:
        """The values that ``op`` reads; refuses stale ones and ones that only the host can make."""
        read = [a for a in op.args.values() if isinstance(a, Value)]
        read += [v for a in op.args.values() if isinstance(a, list) for v in a if isinstance(v, Value)]
        for value in read:
            if value.version != value.storage.version:
                raise op.refusal("it reads a tensor that an in-place operation changed through another view; use "
                                 "operations without inplace=True there")  # fmt: skip
            if value.host and op.kind not in HOST and HANDLERS.get(op.kind) not in (reshape, permute, same, dropout):
                raise UnsupportedError(
                    f"layer {self.host_layer!r}: {value.host[-1]} is possible only after the last layer, where the "
                    f"host does it; use nn.ReLU() for an activation, leave out the rest"
                )
        return read

    def call(self, node: Node) -> Any:
        """What one operation makes."""
        result = node.meta.get("val")
        if result is None or isinstance(result, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return result  # an assertion, or arithmetic on the size of a dynamic batch
        op = self._op(node)
        read = self._checked(node, op)
        if not read:
            return self._constant(node, op)
        if not isinstance(result, torch.Tensor):
            raise self._unknown(op)
        if result.ndim == 0 or int(result.shape[0]) != self.batch:
            raise op.refusal(f"{op.kind} mixes the samples of a batch; keep the batch as the first axis")
        if not result.is_floating_point():
            raise op.refusal(f"{op.kind} makes a tensor of {result.dtype}; keep real numbers")
        if op.kind in HOST:
            self.host_layer = op.name
            made = Value(read[0].parts, op.view, host=(*read[0].host, op.kind))
        elif op.kind in HANDLERS:
            made = HANDLERS[op.kind](self.builder, op)
            if made.host and not read[0].host:
                self.host_layer = op.name
        else:
            raise self._unknown(op)
        if _in_place(node):
            storage = read[0].storage
            storage.version += 1
            made = Value(made.parts, made.view, storage, storage.version, made.host)
        return made

    def _unknown(self, op: Op) -> UnsupportedError:
        return op.refusal(f"{op.kind} is not supported; {REMEDIES.get(op.kind, f'use {SUPPORTED}')}")

    def _constant(self, node: Node, op: Op) -> Any:
        """An operation on parameters and numbers alone is done at once."""
        if not callable(node.target):
            raise self._unknown(op)
        args = [self._argument(argument) for argument in node.args]
        kwargs = {name: self._argument(argument) for name, argument in node.kwargs.items()}
        return node.target(*args, **{k: v for k, v in kwargs.items() if k != "device"})


def interpret(program: ExportedProgram, shape: Shape) -> tuple[Builder, Value]:
    """(all layers that the program makes, its output); ``shape``: of the input as a map. Raises UnsupportedError."""
    inputs, outputs = program.graph_signature.user_inputs, program.graph_signature.user_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise UnsupportedError(
            f"the model has {len(inputs)} inputs and {len(outputs)} outputs; give it one of each, both tensors"
        )
    interpreter = _Interpreter(program, shape)
    for node in program.graph.nodes:
        if node.op == "placeholder":
            interpreter.place(node, is_input=node.name == inputs[0])
        elif node.op == "call_function":
            interpreter.values[node.name] = interpreter.call(node)
        elif node.op != "output":
            raise UnsupportedError(f"the exported program holds a {node.op} ({node.name}), which is not supported")
    output = interpreter.values.get(str(outputs[0]))
    if not isinstance(output, Value):
        raise UnsupportedError("the model's output does not depend on its input")
    return interpreter.builder, output
