"""The model that was imported, run by onnxruntime, beside the integer network: what differs, layer by layer.

An ONNX model rounds the real product of a sum and its scales, half to even; the integer network multiplies and shifts,
half up. So integers may differ by one where the product is near a tie, and later layers see those differences. To tell
both apart, every layer is compared twice: alone, on the activations that onnxruntime gave its sources, and in the
network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import ModelProto, helper

from .. import golden, reference
from ..errors import SdannError
from ..float_model import FloatArray, FloatModel, Grid
from ..graph import INPUT, IntArray, Layer, QuantizedNetwork
from ..quantization import quantize_input
from .model import OnnxGraph

__all__ = ["Difference", "compare", "run_model"]

BATCH = 32
"""Samples at a time, where the model leaves that open."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Integers of one layer, or of the input, against onnxruntime's.

    ``compared``: how many. ``alone``, ``network``: how many of them differ, on onnxruntime's own sources (None where
    the model gives none, or the layer is scaled) and in the network; ``most_alone``, ``most``: the largest differences.
    """

    layer: str
    compared: int
    alone: int | None
    most_alone: int | None
    network: int
    most: int


def run_model(
    graph: OnnxGraph, images: npt.ArrayLike, tensors: Sequence[str] = (), *, optimized: bool = True
) -> list[npt.NDArray[np.generic]]:
    """The model's output, and ``tensors`` of it, for real ``images`` [N, C, H, W].

    ``optimized``: with onnxruntime's fusions, as it runs by default, or operator by operator. Raises SdannError for a
    model that onnxruntime refuses.
    """
    model = ModelProto()
    model.CopyFrom(graph.model)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors if name != graph.output)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    kind = next(v.type.tensor_type.elem_type for v in graph.model.graph.input if v.name == graph.input)
    x = np.asarray(images).astype(helper.tensor_dtype_to_np_dtype(kind))
    x = x.reshape(len(x), *graph.view)
    size = graph.batch if graph.fixed_batch else BATCH
    rows = []
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for start in range(0, len(x), size):
            some = x[start : start + size]
            missing = size - len(some) if graph.fixed_batch else 0
            some = np.concatenate([some, np.repeat(some[-1:], missing, axis=0)])
            found = session.run([graph.output, *tensors], {graph.input: some})
            rows.append([np.asarray(values)[: size - missing] for values in found])
    except Exception as error:  # its exceptions have no common base but this
        raise SdannError(f"onnxruntime {onnxruntime.__version__} cannot run the model: {error}") from None
    return [np.concatenate(parts) for parts in zip(*rows, strict=True)]


def _integers(values: npt.NDArray[np.generic], grid: Grid, shape: tuple[int, ...]) -> IntArray:
    """Integers of the network's that stand for ``values``: clipped at 0 where the network has a ReLU."""
    if values.dtype.kind == "f":
        whole = np.rint(values.astype(np.float64) / grid.step).astype(np.int64)
    else:
        whole = values.astype(np.int64) - grid.zero
    return whole.reshape(len(values), *shape)


def _alone(layer: Layer, network: QuantizedNetwork, given: dict[str, IntArray]) -> IntArray | None:
    if any(edge.source not in given for edge in layer.edges):
        return None
    v = sum((golden.edge_sum(edge, given[edge.source]) for edge in layer.edges), start=np.int64(0))
    return golden.activate(layer, np.asarray(v), network.time_steps)


def compare(
    graph: OnnxGraph, model: FloatModel, network: QuantizedNetwork, images: FloatArray, *, optimized: bool = True
) -> list[Difference]:
    """Every layer of ``network``, made of ``model``, whose integers the ONNX model has too, on real ``images``.

    A raw layer, and what has no grid in the ONNX model, is left out. ``optimized``: see :func:`run_model`.
    """
    grids = {layer.name: layer.grid for layer in model.layers if not network.layer(layer.name).raw}
    grids = {INPUT: model.input_grid} | grids
    known = {name: grid for name, grid in grids.items() if grid is not None and grid.tensor}
    values = run_model(graph, images, [grid.tensor for grid in known.values()], optimized=optimized)[1:]
    given = {
        name: _integers(found, grid, network.shape_of(name))
        for (name, grid), found in zip(known.items(), values, strict=True)
    }
    for name in given:
        if name != INPUT and not network.layer(name).signed:
            given[name] = np.maximum(given[name], 0)  # where ReLU comes after the rounding
    found = reference.run(network, quantize_input(network, images)).activations
    exact = reference.is_exact(network)
    rows = []
    for name, expected in given.items():
        alone = None if name == INPUT or not exact else _alone(network.layer(name), network, given)
        off = np.abs(found[name] - expected)
        own = None if alone is None else np.abs(alone - expected)
        rows.append(
            Difference(
                layer=name, compared=expected.size, network=int(np.count_nonzero(off)), most=int(off.max()),
                alone=None if own is None else int(np.count_nonzero(own)),
                most_alone=None if own is None else int(own.max()),
            )
        )  # fmt: skip
    return rows
