"""sdann.golden: against exact fractions, against torch, and that it refuses what it does not define."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn import functional

from sdann import golden, reference
from sdann.check import isum_bound, membrane_bound
from sdann.errors import SdannError
from sdann.graph import INPUT, BiasMode, Edge, EdgeKind, Layer, QuantizedNetwork
from sdann.random_networks import random_input, random_network

torch.set_num_threads(1)


def one_neuron(mult: int, shift: int, bias: int, bias_mode: BiasMode, lo: int, hi: int, signed: bool = False) -> Layer:
    def vector(value: int) -> np.ndarray:
        return np.array([value], dtype=np.int64)

    edge = Edge(source=INPUT, kind="conv", weight=np.ones((1, 1, 1, 1), dtype=np.int64))
    return Layer(
        name="one", shape=(1, 1, 1), edges=(edge,), mult=vector(mult), shift=vector(shift), bias=vector(bias),
        bias_mode=bias_mode, lo=lo, hi=hi, signed=signed,
    )  # fmt: skip


def exact_requant(v: int, layer: Layer) -> int:
    """The contract in exact fractions: round half up, then clamp."""
    m, sh, b = int(layer.mult[0]), int(layer.shift[0]), int(layer.bias[0])
    real = Fraction((v + b) * m, 1 << sh) if layer.bias_mode == "sum" else Fraction(v * m, 1 << sh) + b
    return min(max(math.floor(real + Fraction(1, 2)), layer.lo), layer.hi)


@pytest.mark.parametrize("bias_mode", ["sum", "scaled"])
@pytest.mark.parametrize(("lo", "hi", "signed"), [(0, 15, False), (-8, 7, True)])
def test_requantize_is_exact_on_a_small_domain(bias_mode: BiasMode, lo: int, hi: int, signed: bool) -> None:
    values = np.arange(-70, 71)
    for mult in range(16):
        for shift in range(1, 6):
            for bias in (-9, -1, 0, 1, 6):
                layer = one_neuron(mult, shift, bias, bias_mode, lo, hi, signed)
                found = golden.requantize(layer, values.reshape(-1, 1, 1, 1)).ravel()
                assert found.tolist() == [exact_requant(int(v), layer) for v in values]


@given(
    st.integers(-(1 << 40), 1 << 40), st.integers(0, (1 << 24) - 1), st.integers(1, 40),
    st.integers(-(1 << 31), (1 << 31) - 1), st.sampled_from(["sum", "scaled"]),
)  # fmt: skip
@example(v=1 << 40, mult=(1 << 24) - 1, shift=40, bias=0, bias_mode="sum")
@example(v=0, mult=1, shift=40, bias=1 << 30, bias_mode="scaled")
def test_requantize_never_overflows(v: int, mult: int, shift: int, bias: int, bias_mode: BiasMode) -> None:
    layer = one_neuron(mult, shift, bias, bias_mode, -32768, 32767, True)
    assert golden.requantize(layer, np.full((1, 1, 1, 1), v)).item() == exact_requant(v, layer)


@pytest.mark.parametrize("kind", ["conv", "depthwise", "linear"])
@pytest.mark.parametrize("seed", range(6))
def test_sums_equal_torch(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, edge_kinds=[kind], layers=1, max_side=9, max_kernel=5)  # type: ignore[list-item]
    x = random_input(network, rng, 3)
    edge = network.layers[0].edges[0]
    groups = x.shape[1] if kind == "depthwise" else 1
    expected = functional.conv2d(
        torch.from_numpy(x).double(), torch.from_numpy(edge.weight).double(), None, edge.stride, edge.padding, 1, groups
    )
    found = golden.run(network, x).accumulators[network.layers[0].name]
    assert (found == expected.numpy()).all() and np.any(found)


@pytest.mark.parametrize("block", [1, 40, 300, 1500, 1 << 22])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "linear"])
def test_sums_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch, kind: EdgeKind, block: int) -> None:
    rng = np.random.default_rng(1)
    kernel, inputs = (7, 5) if kind == "linear" else (3, 2), 1 if kind == "depthwise" else 3
    weight = rng.integers(-128, 128, (3, inputs, *kernel))
    edge = Edge(source=INPUT, kind=kind, weight=weight, shift=2, **{} if kind == "linear" else {"padding": 1})
    x = rng.integers(-128, 128, (5, 3, 7, 5))
    monkeypatch.setattr(golden, "BLOCK", block)
    groups = 3 if kind == "depthwise" else 1
    doubles = (torch.from_numpy(a).double() for a in (x, weight))
    expected = functional.conv2d(*doubles, None, 1, edge.padding, 1, groups) * 4
    assert (golden.edge_sum(edge, x) == expected.numpy()).all()


def test_sums_that_float64_cannot_hold_are_refused() -> None:
    weight = np.full((1, 2, 1, 1), -(1 << 26), dtype=np.int64)
    edge = Edge(source=INPUT, kind="conv", weight=weight)
    exact = np.full((1, 2, 1, 1), (1 << 26) - 1, dtype=np.int64)
    assert golden.edge_sum(edge, exact).item() == -(1 << 27) * ((1 << 26) - 1)
    with pytest.raises(SdannError, match="may reach 2\\^53"):
        golden.edge_sum(edge, exact + 1)
    with pytest.raises(SdannError, match="may reach 2\\^53"):
        golden.edge_sum(edge, -exact - 1)


def test_raw_output_and_truncation() -> None:
    layer = one_neuron(1 << 15, 16, 3, "scaled", -128, 127, True)
    v = np.full((1, 1, 1, 1), -4001)
    assert golden.activate(layer, v, 8).item() == -128
    assert golden.activate(replace(layer, raw=True), v, 8).item() == -4001
    plain = one_neuron(1 << 15, 15, 0, "scaled", 0, 255)
    for k, expected in ((0, 83), (1, 82), (2, 80), (5, 64), (7, 0)):
        assert golden.activate(replace(plain, truncate=k), np.full((1, 1, 1, 1), 83), 8).item() == expected
    assert golden.activate(replace(plain, truncate=1, drlo=2), np.full((1, 1, 1, 1), 83), 8).item() == 80


def test_sops_of_a_worked_example() -> None:
    # One spike in the corner of a 3 x 3 map reaches 4 of the 9 positions of a padded 3 x 3 kernel, 2 channels each.
    edge = Edge(source=INPUT, kind="conv", weight=np.zeros((2, 1, 3, 3), dtype=np.int64), padding=1)
    layer = replace(
        one_neuron(1, 1, 0, "sum", 0, 255), shape=(2, 3, 3), edges=(edge,),
        **{name: np.ones(2, dtype=np.int64) for name in ("mult", "shift", "bias")},
    )  # fmt: skip
    network = QuantizedNetwork(
        name="corner", input_shape=(1, 3, 3), input_signed=True, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(layer,),
    )  # fmt: skip
    x = np.zeros((1, 1, 3, 3), dtype=np.int64)
    assert golden.run(network, x).sops == {"one": 0}
    x[0, 0, 0, 0] = 1
    assert golden.run(network, x).sops == {"one": 8}
    x[0, 0, 1, 1] = -1  # 8 set bits, reaches all 9 positions
    assert golden.run(network, x).sops == {"one": 8 + 8 * 18}


def test_bounds_hold_and_are_reached() -> None:
    layer = one_neuron(1, 1, 0, "sum", 0, 255)
    weight = np.array([[[[-128]], [[127]]]], dtype=np.int64)
    layer = replace(layer, edges=(replace(layer.edges[0], weight=weight, shift=2),))
    assert isum_bound(layer) == 255 * 4
    assert membrane_bound(layer, 8) == 255 * 255 * 4


def test_refuses_bad_inputs() -> None:
    network = random_network(np.random.default_rng(1), signed_input=False)
    x = random_input(network, np.random.default_rng(2), 2)
    for bad in (x[0], x[:0], x.astype(float), np.where(x == x, 256, 0), x - 300, x[:, :, :, :1].repeat(9, axis=3)):
        with pytest.raises(SdannError, match="input"):
            golden.run(network, bad)
    signed = replace(network, input_signed=True)
    with pytest.raises(SdannError, match=r"-128\.\.127"):
        golden.run(signed, np.where(x == x, 128, 0))


def test_refuses_what_the_planes_define() -> None:
    rng = np.random.default_rng(3)
    scaled = random_network(rng, scaled=True, membrane_bits=16)
    narrow = random_network(rng, membrane_bits=12)
    for network, words in ((scaled, "scaled"), (narrow, "12 bits")):
        x = random_input(network, rng, 2)
        with pytest.raises(SdannError, match=words):
            golden.run(network, x)
        assert not reference.is_exact(network)
        reference.run(network, x)


def test_refuses_inconsistent_networks() -> None:
    network = random_network(np.random.default_rng(4), layers=2, edge_kinds=["conv"], signed_output=False)
    x = random_input(network, np.random.default_rng(5), 1)
    first, last = network.layers
    edge = first.edges[0]
    changes = (
        replace(first, shape=(first.shape[0] + 1, *first.shape[1:])), replace(first, mult=first.mult[:-1]),
        replace(first, shift=first.shift * 0), replace(first, mult=-first.mult - 1), replace(first, hi=256),
        replace(first, lo=-1),
        replace(first, rot=8), replace(first, signed=True), replace(first, edges=()), replace(first, name=last.name),
        replace(first, edges=(replace(edge, weight=edge.weight + 256),)),
        replace(first, edges=(replace(edge, source="x"),)),
        replace(first, edges=(replace(edge, stride=3),)), replace(first, bias=first.bias.astype(np.int32)),
    )  # fmt: skip
    for changed in changes:
        with pytest.raises(SdannError, match="layer"):
            golden.run(replace(network, layers=(changed, last)), x)
    golden.run(network, x)
