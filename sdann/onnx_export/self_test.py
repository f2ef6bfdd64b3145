"""Self-test: are onnxruntime's integer operators exact on this machine?

Some of its kernels are not on some processors: those for uint8 x int8 saturate at 16 bits on x86 without VNNI. The
exported networks use uint8 x uint8, which is exact wherever it was tried, but no product is trusted unseen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ValueInfoProto, helper

from ..errors import SdannError
from .builder import GraphBuilder
from .layers import LIMIT, floor_shift

__all__ = ["inexact_operator", "require_exact"]

Array = npt.NDArray[np.int64]
RunModel = Callable[[bytes, Mapping[str, npt.NDArray[np.generic]]], npt.NDArray[np.generic]]
"""Runs a model of one output on its inputs."""

_MATRICES = ((1, 1, 1), (3, 45, 5), (33, 288, 17), (2, 25088, 8), (1, 60000, 3))
"""M, K, N: kernels take other ways for small and ragged matrices; the last two are as deep as networks get."""

_MAPS = ((1, 3, 5, 3, 1, 1), (1, 16, 8, 3, 2, 1), (6, 6, 6, 3, 1, 1), (6, 6, 6, 2, 2, 0), (1, 64, 33, 1, 1, 0))
"""Groups, channels in and out, kernel, stride, padding."""


@dataclass(frozen=True)
class _Case:
    what: str
    model: bytes
    inputs: Mapping[str, npt.NDArray[np.generic]]
    expected: Array


def _run(model: bytes, inputs: Mapping[str, npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, dict(inputs))[0])


def _model(make: GraphBuilder, output: str, inputs: Mapping[str, npt.NDArray[np.generic]], out: type) -> bytes:
    def info(name: str, data_type: npt.DTypeLike, axes: int) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(data_type)), [None] * axes)

    ends = [info(name, array.dtype, array.ndim) for name, array in inputs.items()]
    graph = make.graph("self-test", ends, [info(output, out, next(iter(inputs.values())).ndim)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return bytes(model.SerializeToString())


def _operands(left: tuple[int, ...], right: tuple[int, ...]) -> list[tuple[Array, Array]]:
    """Bytes of both shapes: at random, extremes, all largest, and such that pairs of products are largest."""
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, 256, left), rng.integers(0, 256, right)),
        (rng.choice([0, 255], left), rng.choice([0, 255], right)),
        (np.full(left, 255), np.full(right, 255)),
        (np.full(left, 255), np.full(right, 0)),
    ]


def _matrix_cases() -> list[_Case]:
    cases = []
    for (m, k, n), x_zero in product(_MATRICES, (0, 128)):
        for x, w in _operands((m, k), (k, n)):
            make = GraphBuilder()
            zeros = make.scalar(x_zero, np.uint8), make.scalar(128, np.uint8)
            output = make.node("MatMulInteger", "x", make.constant(w, np.uint8, "weight"), *zeros)
            inputs = {"x": x.astype(np.uint8)}
            expected = (x - x_zero) @ (w - 128)
            what = f"MatMulInteger, {m} x {k} by {k} x {n}"
            cases.append(_Case(what, _model(make, output, inputs, np.int32), inputs, expected))
    return cases


def _correlate(x: Array, w: Array, groups: int, stride: int, padding: int) -> Array:
    """Plain sums over kernel offsets: x [N, C, H, W], w [C_out, C / groups, K, K]."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    kernel, (n, c) = w.shape[2], x.shape[:2]
    height, width = ((side - kernel) // stride + 1 for side in x.shape[2:])
    total = np.zeros((n, groups, len(w) // groups, height, width), dtype=np.int64)
    grouped = w.reshape(groups, len(w) // groups, c // groups, kernel, kernel)
    for ky, kx in product(range(kernel), repeat=2):
        part = x[:, :, ky : ky + stride * height : stride, kx : kx + stride * width : stride]
        part = part[:, :, :height, :width].reshape(n, groups, c // groups, height, width)
        total += np.einsum("ngchw,goc->ngohw", part, grouped[..., ky, kx])
    return total.reshape(n, len(w), height, width)


def _convolution_cases() -> list[_Case]:
    cases = []
    for (groups, c, out, kernel, stride, padding), x_zero in product(_MAPS, (0, 128)):
        for x, w in _operands((2, c, 9, 7), (out, c // groups, kernel, kernel)):
            make = GraphBuilder()
            zeros = make.scalar(x_zero, np.uint8), make.scalar(128, np.uint8)
            output = make.node(
                "ConvInteger", "x", make.constant(w, np.uint8, "weight"), *zeros, group=groups,
                kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4,
            )  # fmt: skip
            inputs = {"x": x.astype(np.uint8)}
            expected = _correlate(x - x_zero, w - 128, groups, stride, padding)
            what = f"ConvInteger, {groups} groups, {c} to {out} channels, kernel {kernel}, stride {stride}"
            cases.append(_Case(what, _model(make, output, inputs, np.int32), inputs, expected))
    return cases


def _integer_cases() -> list[_Case]:
    """64-bit products, clamps, and shifts of negative numbers."""
    rng = np.random.default_rng(1)
    shift = np.arange(63)
    x = rng.integers(-(1 << 44), 1 << 44, (2, 63, 3, 1))
    x[0] = np.array([-1, 0, 1])[:, None]
    mult = rng.integers(1 << 15, 1 << 16, 63)
    make = GraphBuilder()
    scaled = make.node("Mul", "x", make.constant(mult.reshape(-1, 1, 1), np.int64, "mult"))
    limits = (make.scalar(limit, np.int64) for limit in (-(1 << 40), 1 << 40))
    output = make.node("Clip", floor_shift(make, scaled, shift, "shift"), *limits)
    products = [
        [(value * m) >> s for value in row.flat]
        for row, m, s in zip(x.swapaxes(0, 1), mult.tolist(), range(63), strict=True)
    ]
    expected = np.array(products).reshape(63, 2, 3, 1).swapaxes(0, 1).clip(-(1 << 40), 1 << 40)
    assert abs(x).max() * mult.max() < LIMIT
    return [_Case("64-bit Mul, BitShift and Clip", _model(make, output, {"x": x}, np.int64), {"x": x}, expected)]


def inexact_operator(run_model: RunModel = _run) -> str | None:
    """None if every operator gives the integers it must, extremes included; else a line on the first that does not."""
    for case in (*_matrix_cases(), *_convolution_cases(), *_integer_cases()):
        found = run_model(case.model, case.inputs).astype(np.int64)
        if found.shape != case.expected.shape:
            return f"{case.what}: shape {found.shape}, expected {case.expected.shape}"
        if (found != case.expected).any():
            place = tuple(np.argwhere(found != case.expected)[0])
            return f"{case.what}: expected {case.expected[place]}, found {found[place]}"
    return None


@cache
def require_exact() -> None:
    """Raises SdannError that names the operator, if one is not exact here. Tests once per process."""
    if wrong := inexact_operator():
        raise SdannError(
            f"onnxruntime {onnxruntime.__version__} is not exact on this machine: {wrong}. It cannot judge here: use "
            "another version (the lock file names one that is exact), or a processor with VNNI"
        )
