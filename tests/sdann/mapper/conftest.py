"""Networks with fixed shapes whose tiling can be foretold."""

import numpy as np
import pytest

from sdann.graph import Edge, Layer, QuantizedNetwork, Shape


def layer(name: str, shape: Shape, *edges: Edge, mult: int = 1 << 14, shift: int = 20, signed: bool = False) -> Layer:
    constants = np.full(shape[0], mult), np.full(shape[0], shift), np.arange(shape[0]) - 2
    low, high = (-128, 127) if signed else (0, 255)
    return Layer(
        name=name, shape=shape, edges=edges, mult=constants[0], shift=constants[1], bias=constants[2],
        bias_mode="scaled", lo=low, hi=high, signed=signed,
    )  # fmt: skip


@pytest.fixture(scope="session")
def digits() -> QuantizedNetwork:
    """The digit network's shapes with random weights."""
    rng = np.random.default_rng(1)

    def weight(*shape: int) -> np.ndarray:
        return np.clip(np.rint(rng.normal(2, 30, shape)), -127, 127).astype(np.int64)

    return QuantizedNetwork(
        name="digits", input_shape=(1, 8, 8), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(
            layer("conv1", (16, 8, 8), Edge(source="input", kind="conv", weight=weight(16, 1, 3, 3), padding=1)),
            layer(
                "conv2", (32, 8, 8), Edge(source="conv1", kind="conv", weight=weight(32, 16, 3, 3), padding=1),
                shift=21,
            ),
            layer(
                "pool", (32, 4, 4),
                Edge(source="conv2", kind="depthwise", weight=np.ones((32, 1, 2, 2), dtype=np.int64), stride=2),
                shift=16,
            ),
            layer(
                "conv3", (32, 4, 4), Edge(source="pool", kind="conv", weight=weight(32, 32, 3, 3), padding=1), shift=22,
            ),
            layer(
                "linear", (10, 1, 1), Edge(source="conv3", kind="linear", weight=weight(10, 32, 4, 4)), shift=23,
                signed=True,
            ),
        ),
        scales={"input": 0.5, "linear": 0.25},
    )  # fmt: skip


@pytest.fixture(scope="session")
def residual() -> QuantizedNetwork:
    """Two layers; the second sums a convolution and a strided 1x1 edge of the same signed source, 6 channels."""
    rng = np.random.default_rng(2)

    def weight(*shape: int) -> np.ndarray:
        return rng.integers(-90, 120, shape)

    return QuantizedNetwork(
        name="residual", input_shape=(6, 6, 5), input_signed=True, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(
            layer(
                "sum", (6, 3, 3),
                Edge(source="input", kind="conv", weight=weight(6, 6, 3, 3), padding=1, stride=2),
                Edge(source="input", kind="depthwise", weight=weight(6, 1, 1, 1), stride=2, shift=1),
                shift=21,
            ),
            layer(
                "linear", (3, 1, 1), Edge(source="sum", kind="linear", weight=weight(3, 6, 3, 3)), shift=23,
                signed=True,
            ),
        ),
    )  # fmt: skip
