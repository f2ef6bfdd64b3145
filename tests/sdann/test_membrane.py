"""sdann.membrane: V_max against the spiking model's trace, constants against eqs. 15-19."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sdann import golden, reference, stem
from sdann.errors import SdannError
from sdann.graph import INPUT, Layer
from sdann.membrane import peak_membrane, with_membrane
from sdann.random_networks import FEATURES, random_input, random_network


def test_peak_is_that_of_the_spiking_trace() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, max_edges=2)
        x = random_input(network, rng, 4)
        result, trace = golden.run(network, x), stem.run(network, x, isum_bits=40)
        for layer in network.layers:
            assert peak_membrane(network, layer, result) == np.abs(trace.membranes[layer.name]).max()


def test_peak_is_that_of_the_largest_part() -> None:
    split = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, features=FEATURES, max_edges=4, max_kernel=5, signed_input=True)
        x = random_input(network, rng, 4)
        result, trace = golden.run(network, x), stem.run(network, x, isum_bits=40)
        for layer in network.layers:
            traces = trace.part_membranes.get(layer.name, trace.membranes[layer.name])
            assert peak_membrane(network, layer, result) == np.abs(traces).max()
            split += bool(layer.parts) and np.abs(traces).max() != np.abs(trace.membranes[layer.name]).max()
    assert split > 5


def rounding(layer: Layer) -> float:
    """What rounding half a unit per step and part adds to V(T-1) at most, in units of the scaled V."""
    return 127.5 * len(layer.split)


def test_scaled_layers_do_not_saturate_in_calibration_and_stay_close() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, features=FEATURES, max_edges=4, layers=1, membrane_bits=40, sparsity=False)
        x = random_input(network, rng, 20)
        exact = reference.run(network, x)
        for bits in (12, 16):
            narrow = with_membrane(network, bits, scaled=True, calibration=x)
            layer, result = narrow.layers[0], reference.run(narrow, x)
            assert layer.scaled is not None and result.saturations == {layer.name: 0}
            s1 = layer.scaled.mult1 / 2**layer.scaled.shift1
            error = result.accumulators[layer.name] - s1 * exact.accumulators[layer.name]
            assert np.abs(error).max() <= rounding(layer)


def test_scale_of_a_raw_output() -> None:
    seen = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        network = random_network(rng, features=["raw", "parts"], signed_output=True, layers=1, membrane_bits=40)
        layer = network.layers[0]
        if not layer.raw:
            continue
        network = replace(network, scales={INPUT: 0.5, layer.name: 0.25})
        x = random_input(network, rng, 10)
        narrow = with_membrane(network, 14, scaled=True, calibration=x)
        unit = narrow.scales[layer.name]
        assert narrow.scales[INPUT] == 0.5
        exact = reference.run(network, x).activations[layer.name] * 0.25
        found = reference.run(narrow, x).activations[layer.name]
        limit = rounding(layer) * unit
        assert np.abs(found * unit - exact).max() <= limit
        seen += np.abs(found * 0.25 - exact).max() > limit
    assert seen >= 3


def test_a_scale_that_does_not_fit_names_the_layer() -> None:
    network = random_network(np.random.default_rng(1), layers=1, edge_kinds=["linear"])
    (layer,) = network.layers
    steep = replace(layer, mult=layer.mult * 0 + 65535, shift=layer.shift * 0 + 1)
    x = random_input(network, np.random.default_rng(2), 5)
    with pytest.raises(SdannError, match=f"layer '{layer.name}': requantization factor"):
        with_membrane(replace(network, layers=(steep,)), 11, scaled=True, calibration=x)


def test_constants_follow_the_equations() -> None:
    rng = np.random.default_rng(2)
    network = random_network(rng, layers=3, edge_kinds=["conv"], channels=6, membrane_bits=40)
    x = random_input(network, rng, 10)
    bits = 12
    result = golden.run(network, x)
    narrow = with_membrane(network, bits, scaled=True, calibration=x)
    seen = 0
    for before, after in zip(network.layers, narrow.layers, strict=True):
        assert after.scaled is not None and after.bias_mode == "scaled"
        s1 = Fraction(after.scaled.mult1, 1 << after.scaled.shift1)
        limit = Fraction((1 << bits - 1) - 1 - (1 << network.time_steps - 1), peak_membrane(network, before, result))
        if limit >= 1:
            assert (after.scaled.mult1, after.scaled.shift1) == (1, 0)
            continue
        seen += 1
        assert limit * Fraction(9999, 10000) < s1 <= limit
        for c in range(len(before.mult)):
            factor = Fraction(int(before.mult[c]), 1 << int(before.shift[c]))
            s2 = Fraction(int(after.mult[c]), 1 << int(after.shift[c]))
            assert abs(s2 * s1 / factor - 1) < Fraction(1, 30000)
            expected = before.bias[c] * factor if before.bias_mode == "sum" else before.bias[c]
            assert abs(int(after.bias[c]) - expected) <= Fraction(1, 2)
    assert seen >= 2


def test_scaled_is_close_and_unscaled_saturates() -> None:
    rng = np.random.default_rng(3)
    network = random_network(rng, layers=1, edge_kinds=["linear"], max_side=6, membrane_bits=40, sparsity=False,
                             signed_output=False)  # fmt: skip
    x = random_input(network, rng, 30)
    name = network.layers[0].name
    exact = reference.run(network, x).activations[name]
    scaled = reference.run(with_membrane(network, 16, scaled=True, calibration=x), x)
    plain = reference.run(with_membrane(network, 16, scaled=False), x)
    assert np.abs(scaled.activations[name] - exact).max() <= 3
    assert scaled.saturations[name] == 0 < plain.saturations[name]
    assert np.abs(plain.activations[name] - exact).max() > 20


def test_refusals() -> None:
    rng = np.random.default_rng(4)
    network = random_network(rng)
    x = random_input(network, rng, 3)
    with pytest.raises(SdannError, match="calibration"):
        with_membrane(network, 16, scaled=True)
    with pytest.raises(SdannError, match="no room"):
        with_membrane(network, 8, scaled=True, calibration=x)
    scaled = with_membrane(network, 16, scaled=True, calibration=x)
    with pytest.raises(SdannError, match="already"):
        with_membrane(scaled, 12, scaled=True, calibration=x)
    assert replace(network, membrane_bits=20).layers == with_membrane(network, 20, scaled=False).layers
