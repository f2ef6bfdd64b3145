"""The same network in other hands, for comparisons of speed: torch in float32, SNN libraries, onnxruntime in int8.

Each function returns a call that runs the batch once. None of them is exact; they are not compared but in time.
"""

import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..errors import ToolMissingError, UnsupportedError
from ..float_model import FloatModel

__all__ = ["Call", "float_torch", "onnx_int8", "snntorch_lif", "spikingjelly_lif"]

Call = Callable[[], object]
Images = npt.NDArray[np.float32]


def _missing(error: ImportError) -> ToolMissingError:
    return ToolMissingError(f"{error.name} is not installed: pip install 'sdann[snn]'")


def float_torch(module: nn.Module, images: Images) -> Call:
    """``module`` itself, eager, in eval mode."""
    x, module = torch.from_numpy(images), copy.deepcopy(module).eval()

    def call() -> object:
        with torch.inference_mode():
            return module(x)

    return call


def _with_neurons(module: nn.Module, neuron: Callable[[], nn.Module]) -> nn.Module:
    """A copy in eval mode with ``neuron()`` in place of every ReLU."""
    module = copy.deepcopy(module).eval()
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, neuron())
    return module


def snntorch_lif(module: nn.Module, images: Images, steps: int) -> Call:
    """Leaky integrate-and-fire neurons of snntorch for ReLU, ``steps`` time steps, the image as the input current."""
    try:
        import snntorch
    except ImportError as error:
        raise _missing(error) from None
    neurons: list[Any] = []

    def neuron() -> nn.Module:
        made: nn.Module = snntorch.Leaky(beta=0.9, init_hidden=True)
        neurons.append(made)
        return made

    network, x = _with_neurons(module, neuron), torch.from_numpy(images)

    def call() -> object:
        with torch.inference_mode():
            for each in neurons:
                each.reset_mem()
            return sum(network(x) for _ in range(steps))

    return call


class _MultiStep(nn.Module):
    """spikingjelly's multi-step neurons between layers whose batch is [T * N, ...]."""

    def __init__(self, neuron: nn.Module, steps: int) -> None:
        super().__init__()
        self.neuron, self.steps = neuron, steps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes: torch.Tensor = self.neuron(x.view(self.steps, -1, *x.shape[1:]))
        return spikes.flatten(0, 1)


def spikingjelly_lif(module: nn.Module, images: Images, steps: int) -> Call:
    """LIF neurons of spikingjelly for ReLU, in its faster mode: every layer takes all ``steps`` at once."""
    try:
        from spikingjelly.activation_based import functional, neuron
    except ImportError as error:
        raise _missing(error) from None
    network = _with_neurons(module, lambda: _MultiStep(neuron.LIFNode(step_mode="m"), steps))
    x = torch.from_numpy(images)

    def call() -> object:
        with torch.inference_mode():
            functional.reset_net(network)
            return network(x.repeat(steps, 1, 1, 1)).view(steps, len(x), -1).sum(dim=0)

    return call


def _onnx_model(model: FloatModel) -> object:
    """A chain of convolutions, linear layers, ReLU and max pooling as a float ONNX model."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []
    value, last = "input", model.layers[-1].name
    for number, layer in enumerate(model.layers):
        if len(layer.edges) != 1 or layer.edges[0].kind not in ("conv", "linear") or layer.clip is not None:
            raise UnsupportedError(f"layer {layer.name!r}: only chains of convolutions and linear layers are compared")
        edge = layer.edges[0]
        for what, array in (("weight", edge.weight), ("bias", layer.bias)):
            constants.append(numpy_helper.from_array(array.astype(np.float32), f"{what}{number}"))
        sides: dict[str, Any] = {
            "strides": [edge.stride] * 2,
            "pads": [edge.padding] * 4,
            "kernel_shape": edge.weight.shape[2:],
        }
        nodes.append(helper.make_node("Conv", [value, f"weight{number}", f"bias{number}"], [f"sum{number}"], **sides))
        value = f"sum{number}"
        if layer.relu:
            nodes.append(helper.make_node("Relu", [value], [f"relu{number}"]))
            value = f"relu{number}"
        if layer.pool is not None:
            pool = layer.pool
            sides = {"strides": [pool.stride] * 2, "pads": [pool.padding] * 4, "kernel_shape": [pool.kernel] * 2}
            nodes.append(helper.make_node("MaxPool", [value], [f"pool{number}"], **sides))
            value = f"pool{number}"
    ends: list[tuple[str, list[str | int]]] = [
        ("input", ["N", *model.input_shape]),
        (value, ["N", len(model.layers[-1].bias), 1, 1]),
    ]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends]
    graph = helper.make_graph(nodes, last, infos[:1], infos[1:], constants)
    opset = helper.make_opsetid("", 17)
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[opset], ir_version=10))


def onnx_int8(model: FloatModel, images: Images, threads: int, folder: str) -> Call:
    """``model`` quantized by onnxruntime (uint8 activations, int8 weights, ranges of ``images``); files go to
    ``folder``.
    """
    import onnxruntime
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[dict[str, Images]] = iter([{"input": images}])

        def get_next(self) -> dict[str, Images] | None:
            return next(self._batches, None)

    path = f"{folder}/int8.onnx"
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises a preprocessing that finds nothing to do here
    try:
        quantize_static(_onnx_model(model), path, Reader(), activation_type=QuantType.QUInt8)
    finally:
        logger.setLevel(level)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would otherwise keep a core busy for a while after each run, at the cost of who comes next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"input": images})
