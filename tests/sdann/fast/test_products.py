"""sdann.fast's products, their self-test and requantization, alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sdann import golden
from sdann.fast.columns import columns, padded
from sdann.fast.products import FloatProduct, Int8Product, usable
from sdann.fast.requantize import Requantizer
from sdann.fast.self_test import is_exact
from sdann.fast.sparsify import drlo, finish
from sdann.graph import INPUT, Edge, Layer, Pool

CPU = torch.device("cpu")


@pytest.mark.parametrize("k", [1, 2, 27, 700])
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.parametrize(("low", "high"), [(0, 255), (-128, 127), (0, 1), (-1, 1)])
def test_products_of_extremes(k: int, outputs: int, low: int, high: int) -> None:
    rng = np.random.default_rng(k)
    weight = rng.choice([-128, 127], (outputs, k)).T  # of one row, with the strides of a column
    weight[:, 0] = 127
    x = rng.choice([low, high], (40, k))
    x[0], x[1] = high, low
    for product in (
        Int8Product(weight, low, high, CPU),
        FloatProduct(weight, low, high, torch.float32, CPU),
        FloatProduct(weight, low, high, torch.float64, CPU),
    ):
        for rows in (x, x[:1]):
            found = product(torch.from_numpy(rows - product.offset).to(product.dtype))
            assert found.dtype == torch.int32 and np.array_equal(found.numpy(), rows @ weight)


def test_float32_needs_its_blocks() -> None:
    # 255 * 127 * 700 exceeds 2^24: one product would round.
    weight, x = np.full((700, 3), 127), np.full((2, 700), 255)
    weight[0, 0] = x[0, 0] = 1
    product = FloatProduct(weight, 0, 255, torch.float32, CPU)
    bounds = [(start, stop) for start, stop, _ in product._blocks]
    assert bounds == [(0, 518), (518, 700)]
    assert np.array_equal(product(torch.from_numpy(x).float()).numpy(), x @ weight)
    single = torch.from_numpy(x).float() @ torch.from_numpy(weight).float()
    assert not np.array_equal(single.numpy(), x @ weight)


def test_what_fits() -> None:
    one = np.ones((4, 2), dtype=np.int64)
    assert Int8Product.fits(one * -128, 0, 255) and Int8Product.fits(one, -128, 127)
    assert not Int8Product.fits(one * 128, 0, 255) and not Int8Product.fits(one, 0, 256)
    assert not Int8Product.fits(one, -1, 128) and not Int8Product.fits(one, -129, 127)
    assert not Int8Product.fits(np.full((1 << 17, 1), 127), 0, 255)
    assert FloatProduct.fits(one * 256, 0, 1 << 16, torch.float32)
    assert not FloatProduct.fits(one * 257, 0, 1 << 16, torch.float32)


def test_self_test_passes_here_and_notices_faults() -> None:
    assert usable("float32", CPU) and usable("float64", CPU)
    assert is_exact(lambda a, b: (a.long() @ b.long()).int(), torch.int8, CPU)

    def one_off(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        c = a.double() @ b.double()
        c[-1, -1] += 1
        return c

    def bfloat(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a.bfloat16().float() @ b.bfloat16().float()

    def refuses(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not implemented")

    def narrow(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a.long() @ b.long()).clamp(-(1 << 15), (1 << 15) - 1)

    for dtype in (torch.int8, torch.float32, torch.float64):
        assert not is_exact(one_off, dtype, CPU) and not is_exact(refuses, dtype, CPU)
        assert not is_exact(narrow, dtype, CPU)
    assert not is_exact(bfloat, torch.float32, CPU) and not is_exact(bfloat, torch.float64, CPU)
    assert not is_exact(lambda a, b: a.float() @ b.float(), torch.float64, CPU)


@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize("offset", [0, 128])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (2, 1), (4, 3)])
def test_columns_are_the_windows(channels: int, offset: int, stride: int, padding: int) -> None:
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.integers(0, 256 if offset else 128, (2, 9, 7, channels), dtype=np.uint8))
    source = padded(x, padding, torch.int8, offset)
    wide = torch.nn.functional.pad(x.int(), (0, 0, padding, padding, padding, padding)) - offset
    height, width = ((side + 2 * padding - 3) // stride + 1 for side in (9, 7))
    for rows in (slice(0, height), slice(height - 1, height)):
        found = columns(source, (3, 3), stride, rows)
        expected = [
            wide[n, y * stride : y * stride + 3, z * stride : z * stride + 3].flatten().tolist()
            for n in range(2) for y in range(rows.start, rows.stop) for z in range(width)
        ]  # fmt: skip
        assert found.tolist() == expected


def layer_of(mult: int, shift: int, bias: int, **others: Any) -> Layer:
    one = np.ones(1, dtype=np.int64)
    edge = Edge(source=INPUT, kind="conv", weight=one.reshape(1, 1, 1, 1))
    settings = {"bias_mode": "scaled", "lo": 0, "hi": 255} | others
    return Layer(
        name="one", shape=(1, 1, 1), edges=(edge,), mult=one * mult, shift=one * shift, bias=one * bias, **settings
    )


@pytest.mark.parametrize("mode", ["sum", "scaled"])
@pytest.mark.parametrize(
    ("arithmetic", "mult", "shift", "bias", "reach"),
    [
        ("float64", 40961, 24, 3, 1 << 20), ("float64", 65535, 17, -4, 1 << 20), ("float64", 1, 1, 0, 1 << 9),
        ("float64", 0, 1, 7, 1 << 20), ("int64", (1 << 16) - 1, 40, -3, 1 << 38),
        ("object", (1 << 24) - 1, 62, 3, 1 << 46), ("object", (1 << 24) - 1, 70, 0, 1 << 54),
    ],
)  # fmt: skip
@pytest.mark.parametrize("clamp", [{}, {"lo": -128, "hi": 127, "signed": True}, {"lo": 3, "hi": 200}])
def test_requantization_to_the_last_bit(
    mode: str, arithmetic: str, mult: int, shift: int, bias: int, reach: int, clamp: dict[str, Any]
) -> None:
    layer = layer_of(mult, shift, bias, bias_mode=mode, **clamp)
    requantizer = Requantizer(layer, reach, CPU)
    assert requantizer.arithmetic == arithmetic
    rng = np.random.default_rng(2)
    values = [int(v) for v in rng.integers(-reach, reach + 1, 300)] + [-reach, reach, 0]
    if mult:  # where the result steps, and one to each side
        edges = [(((k << shift) - (1 << shift - 1)) // mult - bias * (mode == "sum")) for k in range(-3, 4)]
        values += [v for e in edges for v in (e - 1, e, e + 1, e + 2) if abs(v) <= reach]
    expected = [
        min(max(((v + bias) * mult if mode == "sum" else v * mult + (bias << shift)) + (1 << shift - 1) >> shift,
                layer.lo), layer.hi)
        for v in values
    ]  # fmt: skip
    found = requantizer(torch.tensor(values, dtype=torch.int64)[:, None])
    assert found.flatten().tolist() == expected and len(set(expected)) > (1 if mult else 0)


def test_sparsity_of_every_value() -> None:
    a = np.arange(256).reshape(1, 1, 16, 16)
    for rot, cut, keep in [(0, 0, 0), (1, 0, 0), (3, 0, 2), (0, 2, 0), (0, 3, 3), (7, 0, 1), (0, 0, 1), (0, 0, 7)]:
        for pool in (None, Pool(kernel=2, stride=2), Pool(kernel=3, stride=1, padding=2), Pool(kernel=4, stride=4)):
            layer = layer_of(1 << 15, 15, 0, rot=rot, truncate=cut, drlo=keep, pool=pool)
            expected = golden.activate(replace(layer, shape=(1, 16, 16)), a, 8)
            for dtype in (torch.uint8, torch.int32):
                found = finish(layer, torch.from_numpy(a).permute(0, 2, 3, 1).to(dtype), 8)
                assert np.array_equal(found.permute(0, 3, 1, 2).numpy(), expected)
    wide = torch.arange(1 << 16, dtype=torch.int32)
    assert np.array_equal(drlo(wide, 5, 16).numpy(), golden.drlo(wide.long().numpy(), 5, 16))
