"""Refusals: each names the layer, the limit, what is needed and what there is; and none comes before its limit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hdl.config import ChipConfig, preset
from sdann.errors import DoesNotFitError, UnsupportedError
from sdann.graph import INPUT, Edge, FanIn, Layer, Pool, QuantizedNetwork, Scaled
from sdann.mapper import plan_network
from sdann.mapper.limits import can_split, check_limits, need_at_most

DEMO = preset("demo")


def changed(network: QuantizedNetwork, name: str, **changes: Any) -> QuantizedNetwork:
    layers = tuple(replace(layer, **changes) if layer.name == name else layer for layer in network.layers)
    return replace(network, layers=layers)


def with_edge(network: QuantizedNetwork, name: str, **changes: Any) -> QuantizedNetwork:
    return changed(network, name, edges=(replace(network.layer(name).edges[0], **changes),))


@pytest.mark.parametrize(
    ("field", "value", "where", "words"),
    [
        ("map_side", 4, "'input'", "map_side 8, the chip has 4"),
        ("map_groups", 3, "'conv2'", "with 32 channels needs map_groups 4, the chip has 3"),
        ("isum_bits", 10, "layer 'conv2'", "(isum_bits) 3928, the chip has 511"),
        ("bias_bits", 4, "layer 'conv1'", "bias (bias_bits) -2..13, the chip holds -8..7"),
        ("bias_bits", 5, "layer 'conv2'", "bias (bias_bits) -2..29, the chip holds -16..15"),
        ("mult_bits", 8, "layer 'conv1'", "mult (mult_bits) 16384..16384, the chip holds 0..255"),
        ("max_shift", 15, "layer 'conv1'", "shift (max_shift) 20..20, the chip holds 1..15"),
        ("weight_bits", 4, "layer 'conv1'", "the chip holds -8..7 (weight_bits)"),
        ("readout_depth", 32, "layer 'linear'", "readout_depth 132, the chip has 32 flits per sample"),
        ("time_steps", 4, "network 'digits'", "time_steps 8, the chip has 2..4"),
    ],
)  # fmt: skip
def test_limits_of_the_chip(digits: QuantizedNetwork, field: str, value: int, where: str, words: str) -> None:
    if field == "readout_depth":  # a chip has 32 at least
        digits = wide_output(digits, 33 * DEMO.lanes)
    check_limits(digits, DEMO.replace(map_groups=64, readout_depth=4096))
    with pytest.raises(DoesNotFitError) as caught:
        check_limits(digits, DEMO.replace(**{field: value}))
    assert words in str(caught.value)
    assert where in str(caught.value)


def wide_output(network: QuantizedNetwork, channels: int) -> QuantizedNetwork:
    edge = network.layer("linear").edges[0]
    weight = np.ones((channels, *edge.weight.shape[1:]), dtype=np.int64)
    ones = np.ones(channels, dtype=np.int64)
    return changed(
        network, "linear", shape=(channels, 1, 1), edges=(replace(edge, weight=weight),), mult=ones, shift=ones,
        bias=ones,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"neuron_words": 3}, "'conv3' needs more than the chip's 15 cores"),
        ({"weight_words": 71}, "layer 'conv2', cut as finely .* needs weight_words 72 per core, the chip has 71"),
        ({"weight_words": 35, "parts": 1}, "layer 'conv2', .*needs weight_words 144 per core, the chip has 35"),
        ({"weight_words": 8, "parts": 1}, "layer 'conv1', .*needs weight_words 9 per core, the chip has 8"),
    ],
)  # fmt: skip
def test_limits_of_a_core(digits: QuantizedNetwork, fields: dict[str, int], words: str) -> None:
    """What is refused is the finest cut."""
    with pytest.raises(DoesNotFitError, match=words):
        plan_network(digits, DEMO.replace(**fields))


def test_edges_of_the_finest_split(digits: QuantizedNetwork) -> None:
    """One edge per core: a layer with two may be split, but for a chip without parts."""
    conv = digits.layer("conv2").edges[0]
    double = changed(digits, "conv2", edges=(conv, conv))
    plan_network(double, DEMO)
    with pytest.raises(
        DoesNotFitError, match="'conv2', cut as finely as it can be, needs edges 2 per core, the chip has 1"
    ):
        plan_network(double, DEMO.replace(edges=1, parts=1))


LayerChange = Callable[[Layer], dict[str, Any]]
THREE = tuple((FanIn(edge=i, channel0=0, channels=1),) for i in range(3))


@pytest.mark.parametrize(
    ("changes", "config", "error", "words"),
    [
        # of a layer that cannot be split: of another one, a part may have few enough
        (
            lambda x: {"edges": x.edges * 3, "scaled": Scaled(mult1=3, shift1=1)},
            {}, DoesNotFitError, "needs edges 3, the chip has 2",
        ),
        (
            lambda x: {"edges": x.edges * 3, "parts": THREE},
            {"parts": 2}, DoesNotFitError, "needs parts 3, the chip has 2",
        ),
        (
            lambda x: {"edges": (replace(x.edges[0], shift=8),)}, {}, DoesNotFitError,
            "needs max_edge_shift 8, the chip has 7",
        ),
        (
            lambda x: {"edges": (replace(x.edges[0], weight=np.ones((16, 1, 9, 1), dtype=np.int64), padding=4),)}, {},
            DoesNotFitError, "needs map_side (kernel side) 9, the chip has 8",
        ),
        (
            lambda x: {"edges": (replace(x.edges[0], weight=x.edges[0].weight * 0 + 128),)}, {}, DoesNotFitError,
            "has weights 128..128, the chip holds -128..127 (weight_bits)",
        ),
        (
            lambda x: {"edges": (replace(x.edges[0], stride=3),)}, {}, UnsupportedError,
            "has stride 3; the chip has 1, 2, 4 and 8",
        ),
        (lambda x: {"shift": x.shift * 0}, {}, DoesNotFitError, "has shift (max_shift) 0..0, the chip holds 1..31"),
        (
            lambda x: {"scaled": Scaled(mult1=70000, shift1=3)}, {}, DoesNotFitError,
            "needs mult1 (mult_bits) 70000, the chip has 65535",
        ),
        (
            lambda x: {"scaled": Scaled(mult1=7, shift1=32)}, {}, DoesNotFitError,
            "needs shift1 (max_shift) 32, the chip has 31",
        ),
        (lambda x: {"rot": 8}, {}, DoesNotFitError, "needs rot 8, the chip has 7"),
        (lambda x: {"truncate": 8}, {}, DoesNotFitError, "needs rot 8, the chip has 7"),
        (lambda x: {"drlo": 9}, {}, DoesNotFitError, "needs drlo 9, the chip has 8"),
        (lambda x: {"lo": 1}, {}, DoesNotFitError, "clamps to 1..255, the chip needs 0 <= lo <= 0 <= hi <= 255"),
        (lambda x: {"hi": 256}, {}, DoesNotFitError, "clamps to 0..256, the chip needs 0 <= lo <= 0 <= hi <= 255"),
        (lambda x: {"signed": True}, {}, UnsupportedError, "is signed: only the last layer may be"),
        (lambda x: {"pool": Pool(kernel=5, stride=1)}, {}, UnsupportedError, "pools 5 x 5; the chip at most 4"),
    ],
)  # fmt: skip
def test_limits_of_a_layer(
    digits: QuantizedNetwork, changes: LayerChange, config: dict[str, int], error: type[Exception], words: str
) -> None:
    network = changed(digits, "conv1", **changes(digits.layer("conv1")))
    with pytest.raises(error) as caught:
        check_limits(network, DEMO.replace(**config))
    assert "layer 'conv1' " in str(caught.value)
    assert words in str(caught.value)


def test_parts_begin_where_groups_do(digits: QuantizedNetwork) -> None:
    def split(at: int) -> QuantizedNetwork:
        parts = ((FanIn(edge=0, channel0=0, channels=at),), (FanIn(edge=0, channel0=at, channels=16 - at),))
        return changed(digits, "conv2", parts=parts)

    check_limits(split(8), DEMO)
    with pytest.raises(DoesNotFitError, match=r"'conv2': part 1 begins at channel 4, not a multiple .* lanes \(8\)"):
        check_limits(split(4), DEMO)


def test_output_is_clamped_to_what_is_read_out(digits: QuantizedNetwork) -> None:
    check_limits(changed(digits, "linear", lo=-(1 << 15), hi=(1 << 15) - 1), DEMO)
    with pytest.raises(DoesNotFitError, match=r"'linear' clamps to -200\.\.300, the chip needs -256 <= .* <= 255"):
        check_limits(changed(digits, "linear", lo=-200, hi=300), DEMO.replace(out_bits=9))


def test_membrane_width_is_the_chips(digits: QuantizedNetwork) -> None:
    with pytest.raises(UnsupportedError, match="'digits' has membrane_bits 32, the chip has 24"):
        check_limits(digits, DEMO.replace(membrane_bits=24))


def test_narrow_isum_message(digits: QuantizedNetwork) -> None:
    needed = {
        layer.name: int(np.abs(layer.edges[0].weight).sum(axis=(1, 2, 3)).max()) for layer in digits.layers
    }  # fmt: skip
    bits = max(needed.values()).bit_length() + 1
    check_limits(digits, DEMO.replace(isum_bits=bits))
    limit = (1 << bits - 2) - 1
    name = next(name for name, sums in needed.items() if sums > limit)
    with pytest.raises(DoesNotFitError, match=rf"'{name}'.*\(isum_bits\) {needed[name]}, the chip has {limit}"):
        check_limits(digits, DEMO.replace(isum_bits=bits - 1))


def exact(network: QuantizedNetwork) -> ChipConfig:
    """A chip that the network just fits, as far as tiling does not matter."""
    layers = network.layers
    return DEMO.replace(
        time_steps=network.time_steps,
        map_side=max(max(network.shape_of(name)[1:]) for name in (INPUT, *(layer.name for layer in layers))),
        map_groups=max(-(-layer.shape[0] // DEMO.lanes) for layer in layers),
        bias_bits=1 + max(int(layer.bias.max()) for layer in layers).bit_length(),
        mult_bits=max(int(layer.mult.max()) for layer in layers).bit_length(),
        max_shift=max(int(layer.shift.max()) for layer in layers), edges=1, parts=1, max_edge_shift=0,
    )  # fmt: skip


def test_what_just_fits_is_taken_and_one_less_refused(digits: QuantizedNetwork) -> None:
    chip = exact(digits)
    check_limits(digits, chip)
    for field in ("time_steps", "map_side", "map_groups", "bias_bits", "mult_bits", "max_shift"):
        with pytest.raises(DoesNotFitError, match=field):
            check_limits(digits, chip.replace(**{field: getattr(chip, field) - 1}))


def test_need_at_most() -> None:
    need_at_most("x", "y", 3, 3)
    with pytest.raises(DoesNotFitError, match="^x needs y 4, the chip has 3 at once$"):
        need_at_most("x", "y", 4, 3, " at once")


def test_only_exact_layers_can_be_split(digits: QuantizedNetwork) -> None:
    layer = digits.layer("conv2")
    assert can_split(layer, digits)
    assert can_split(replace(layer, scaled=Scaled(mult1=1, shift1=0)), digits)
    assert not can_split(replace(layer, scaled=Scaled(mult1=3, shift1=1)), digits)
    assert not can_split(layer, replace(digits, membrane_bits=12))
    assert not can_split(replace(layer, parts=layer.split), digits)


def test_edges_from_two_sources_count(digits: QuantizedNetwork) -> None:
    edges = (
        *digits.layer("conv1").edges,
        Edge(source=INPUT, kind="conv", weight=np.ones((16, 1, 1, 1), dtype=np.int64)),
    )
    check_limits(changed(digits, "conv1", edges=edges), DEMO)
    check_limits(changed(digits, "conv1", edges=edges), DEMO.replace(edges=1))  # it can be split
    whole = changed(digits, "conv1", edges=edges, scaled=Scaled(mult1=3, shift1=1))
    with pytest.raises(DoesNotFitError, match="'conv1' needs edges 2, the chip has 1"):
        check_limits(whole, DEMO.replace(edges=1))
