"""Tiles: fewest cores within the chip's limits, and refusals that say what is needed and what there is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hdl.config import preset
from sdann.errors import DoesNotFitError, UnsupportedError
from sdann.graph import Edge, QuantizedNetwork, Scaled
from sdann.mapper.tiling import needed_span, row_shift_of, stages_of, tiling_options

DEMO = preset("demo")


def changed(network: QuantizedNetwork, name: str, **changes: Any) -> QuantizedNetwork:
    layers = tuple(replace(layer, **changes) if layer.name == name else layer for layer in network.layers)
    return replace(network, layers=layers)


def test_demo_tilings(digits: QuantizedNetwork) -> None:
    best = {name: tiling_options(digits, name, stage, DEMO)[0] for name, stage in stages_of(digits).items()}
    assert {name: (t.row_tiles, t.channel_tiles) for name, t in best.items()} == {
        "input": (1, 1), "conv1": (2, 1), "conv2": (2, 2), "pool": (1, 1), "conv3": (1, 4), "linear": (1, 2),
    }  # fmt: skip
    # a core of conv2 receives its 4 rows and one row of halo, of 8 columns and 2 groups
    assert best["conv2"].bundles == 5 * 8 * 2
    assert best["linear"].regions[0][1].channels == 2


def test_options_cover_the_map_and_are_ordered(digits: QuantizedNetwork) -> None:
    for name, stage in stages_of(digits).items():
        options = tiling_options(digits, name, stage, DEMO)
        keys = [(t.cores, t.bundles, t.channel_tiles) for t in options]
        assert keys == sorted(keys)
        for tiling in options:
            held = np.zeros(tiling.shape, dtype=int)
            for region in (r for row in tiling.regions for r in row):
                first = region.group0 * DEMO.lanes
                held[first : first + region.channels, region.y0 : region.y0 + region.height, : region.width] += 1
                assert region.words <= DEMO.neuron_words
            assert (held == 1).all()


def test_needed_span_is_what_outputs_read() -> None:
    for kernel, stride, padding in ((3, 1, 1), (3, 2, 1), (1, 2, 0), (2, 4, 3), (5, 1, 2)):
        edge = Edge(
            source="s", kind="conv", weight=np.ones((1, 1, kernel, 1), dtype=np.int64), stride=stride, padding=padding
        )
        size = 9
        for first in range(3):
            for last in range(first, 3):
                reads = [o * stride - padding + k for o in range(first, last + 1) for k in range(kernel)]
                inside = [y for y in reads if 0 <= y < size]
                low, high = needed_span(first, last, edge, 0, size)
                if not inside:
                    assert low > high
                elif kernel >= stride:
                    assert (low, high) == (min(inside), max(inside))
                else:  # rows between kernels belong to the span, rows before and after do not matter
                    assert low <= min(inside) <= max(inside) == high


def test_row_shift() -> None:
    assert [row_shift_of(c, 8) for c in (1, 2, 3, 4, 5, 8, 9, 20)] == [0, 1, 2, 2, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("field", "value", "layer", "words"),
    [
        ("weight_words", 256, "conv3", "weight_words 288, the chip has 256"),
        ("neuron_words", 7, "conv1", "neuron_words 16, the chip has 7"),
        ("map_side", 4, "conv1", "map_side 8, the chip has 4"),
        ("map_groups", 3, "conv2", "map_groups 4, the chip has 3"),
        ("isum_bits", 10, "conv2", "the chip has 511"),
        ("bias_bits", 4, "conv2", "bias (bias_bits) -2..29, the chip holds -8..7"),
        ("mult_bits", 8, "conv1", "mult (mult_bits) 16384..16384, the chip holds 0..255"),
        ("max_shift", 15, "conv1", "shift (max_shift) 20..20, the chip holds 1..15"),
        ("weight_bits", 4, "conv1", "the chip holds -8..7"),
    ],
)
def test_refusals_name_layer_limit_needed_available(
    digits: QuantizedNetwork, field: str, value: int, layer: str, words: str
) -> None:
    config = DEMO.replace(**{field: value})
    with pytest.raises(DoesNotFitError) as caught:
        tiling_options(digits, layer, 1, config)
    assert words in str(caught.value)
    assert repr(layer) in str(caught.value)


def test_narrow_isum_message(digits: QuantizedNetwork) -> None:
    needed = int(np.abs(digits.layer("conv2").edges[0].weight).sum(axis=(1, 2, 3)).max())
    bits = needed.bit_length() + 1
    assert tiling_options(digits, "conv2", 2, DEMO.replace(isum_bits=bits))
    with pytest.raises(DoesNotFitError, match=f"{needed}, the chip has {(1 << bits - 2) - 1}"):
        tiling_options(digits, "conv2", 2, DEMO.replace(isum_bits=bits - 1))


def test_bad_layers_are_refused(digits: QuantizedNetwork) -> None:
    with pytest.raises(DoesNotFitError, match=r"'conv1' clamps to 1\.\.255"):
        tiling_options(changed(digits, "conv1", lo=1), "conv1", 1, DEMO)
    with pytest.raises(DoesNotFitError, match=r"mult1 \(mult_bits\) 70000, the chip has 65535"):
        tiling_options(changed(digits, "conv1", scaled=Scaled(mult1=70000, shift1=3)), "conv1", 1, DEMO)
    with pytest.raises(DoesNotFitError, match="edges 3, the chip has 2"):
        tiling_options(changed(digits, "conv1", edges=digits.layer("conv1").edges * 3), "conv1", 1, DEMO)


def test_overrides(digits: QuantizedNetwork) -> None:
    assert [t.cores for t in tiling_options(digits, "pool", 3, DEMO, (2, 2))] == [4]
    with pytest.raises(DoesNotFitError, match=r"cannot be cut into \(1, 9\)"):
        tiling_options(digits, "pool", 3, DEMO, (1, 9))
    with pytest.raises(DoesNotFitError, match=r"4 row x 1 channel tile.* needs weight_words 576"):
        tiling_options(digits, "conv2", 2, DEMO, (4, 1))
    with pytest.raises(DoesNotFitError, match="mesh rows 5, the chip has 4"):
        tiling_options(digits, "conv2", 2, DEMO, (5, 2))


def test_stages(digits: QuantizedNetwork) -> None:
    assert list(stages_of(digits).values()) == [0, 1, 2, 3, 4, 5]
    first, second = digits.layers[:2]
    skip = replace(
        second, edges=(*second.edges, replace(first.edges[0], weight=np.ones((32, 1, 3, 3), dtype=np.int64)))
    )
    with pytest.raises(UnsupportedError, match="'conv2' reads 'input' over 2 stages"):
        stages_of(replace(digits, layers=(first, skip)))
    with pytest.raises(UnsupportedError, match="'extra' is read by no layer"):
        stages_of(replace(digits, layers=(first, replace(second, name="extra"), second)))
