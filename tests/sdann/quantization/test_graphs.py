"""Quantization of graphs: one product scale for all edges of a layer, pooling, last layers, batches."""

from dataclasses import replace

import numpy as np
import pytest

from sdann import golden, reference, stem
from sdann.errors import DoesNotFitError, SdannError, UnsupportedError
from sdann.float_model import FloatModel, forward
from sdann.graph import Pool
from sdann.quantization import QuantizeOptions, dequantize_output, quantize, quantize_input


def error(model: FloatModel, images: np.ndarray, test: np.ndarray, options: QuantizeOptions) -> float:
    """Root mean square error of the output, of its largest magnitude."""
    network, _ = quantize(model, images, options)
    found = dequantize_output(network, reference.run(network, quantize_input(network, test)).activations["vote"])
    expected = forward(model, test)["vote"]
    return float(np.sqrt(np.mean((found - expected) ** 2)) / np.abs(expected).max())


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("per_channel", [False, True])
def test_close_to_float_and_equal_to_spikes(everything, batch, signed: bool, per_channel: bool) -> None:
    test = batch(2, 10, signed=signed)
    network, report = quantize(everything, batch(signed=signed), QuantizeOptions(per_channel=per_channel))
    result = golden.run(network, quantize_input(network, test))
    for name, expected in forward(everything, test).items():
        real = result.activations[name] * network.scales[name]
        assert np.sqrt(np.mean((real - expected) ** 2)) < 0.03 * np.abs(expected).max(), name
    assert all(entry.alive > 0.1 for entry in report.layers)
    spiking = stem.run(network, quantize_input(network, test))
    assert all((spiking.activations[n] == a).all() for n, a in result.activations.items())


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_edges_share_one_product_scale(everything, batch, bits: int, per_channel: bool) -> None:
    network, report = quantize(
        everything, batch(), QuantizeOptions(weight_bits=bits, per_channel=per_channel, bias="scaled")
    )
    several = 0
    for layer, entry, floating in zip(network.layers, report.layers, everything.layers, strict=True):
        unit = layer.mult / 2.0**layer.shift * network.scales[layer.name]  # U, from M = U / S_a
        assert entry.shifts == tuple(edge.shift for edge in layer.edges) and min(entry.shifts) == 0
        skips = len(layer.edges) > 1 and any(edge.kind == "identity" for edge in floating.edges)
        assert (entry.skip_error is not None) == skips
        assert not skips or entry.skip_error < 0.01
        several += len(layer.edges) > 1
        for edge, source in zip(layer.edges, floating.edges, strict=True):
            step = (unit * 2.0**edge.shift / network.scales[edge.source])[:, None, None, None]  # S_w of the edge
            wrong = np.abs(edge.weight * step - source.weight)
            assert (wrong <= 0.5 * step + 1e-4 * np.abs(source.weight)).all()  # 1e-4: the multiplier's 16 bits
            assert np.abs(edge.weight).max() < 2 ** (bits - 1)
    assert several == 4


def test_identity_weight_is_exact_where_it_can_be(everything, batch) -> None:
    _, report = quantize(everything, batch())
    found = {entry.name: entry for entry in report.layers}
    assert found["add"].skip_error < 1e-9 and max(found["add"].shifts) > 0
    narrow, report = quantize(everything, batch(), QuantizeOptions(max_edge_shift=0))
    assert all(set(entry.shifts) == {0} for entry in report.layers)
    assert np.abs(narrow.layer("add").edges[0].weight).max() < 10  # the skip's scale leaves little for the convolution
    assert error(everything, batch(), batch(2), QuantizeOptions()) < error(
        everything, batch(), batch(2), QuantizeOptions(max_edge_shift=0)
    )


def test_pooling(everything, batch) -> None:
    network, _ = quantize(everything, batch())
    copied = network.layer("max_pool2d#2")  # others read its source unpooled
    assert network.scales["max_pool2d#2"] == network.scales["add"] and (copied.mult == 1 << copied.shift).all()
    assert copied.pool is not None and copied.output_shape == (8, 3, 3)
    average = network.layer("adaptive_avg_pool2d")
    assert (average.edges[0].weight == 1).all() and average.edges[0].kind == "depthwise"
    octaves = np.log2(network.scales["max_pool2d#2"] / network.scales["adaptive_avg_pool2d"])
    assert octaves == round(octaves) >= 0
    assert average.mult / 2.0**average.shift == pytest.approx(2**octaves / 9, rel=2**-16)
    vote = network.layer("vote")
    assert set(vote.edges[0].weight.ravel().tolist()) == {0, 1} and not vote.signed


def test_relu6_limits_the_range(everything, batch) -> None:
    layers = [replace(layer, clip=0.05 if layer.name == "conv1" else layer.clip) for layer in everything.layers]
    clipped = replace(everything, layers=tuple(layers))
    network, _ = quantize(clipped, batch())
    assert network.scales["conv1"] * 255 == pytest.approx(0.05)
    assert reference.run(network, quantize_input(network, batch(2))).activations["conv1"].max() == 255


def test_ranges_fixed_by_training(everything, batch) -> None:
    layers = [replace(layer, range=0.7 if layer.name == "conv1" else None) for layer in everything.layers]
    fixed = replace(everything, layers=tuple(layers), input_range=2.0)
    network, _ = quantize(fixed, batch())
    assert network.scales["conv1"] == pytest.approx(0.7 / 255) and network.scales["input"] == 2 / 255
    network, _ = quantize(fixed, batch(), QuantizeOptions(input_range=3.0))
    assert network.scales["input"] == 3 / 255


def linear_end(model: FloatModel) -> FloatModel:
    """``model`` without its voting, and without the ReLU before it."""
    return replace(model, layers=(*model.layers[:-2], replace(model.layers[-2], relu=False, name="vote")))


@pytest.mark.parametrize("scaled", [False, True])
def test_wide_and_raw_outputs(everything, batch, scaled: bool) -> None:
    model, test = linear_end(everything), batch(2)
    base = {"scaled": scaled, "membrane_bits": 24, "observer": "minmax"}
    errors = [error(model, batch(), test, QuantizeOptions(out_bits=bits, **base)) for bits in (3, 5, 8)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    wide, _ = quantize(model, batch(), QuantizeOptions(out_bits=16, **base))
    assert (wide.layers[-1].lo, wide.layers[-1].hi, wide.layers[-1].signed) == (-(1 << 15), (1 << 15) - 1, True)
    raw, _ = quantize(model, batch(), QuantizeOptions(raw=True, **base))
    assert raw.layers[-1].raw and raw.layers[-1].signed
    x = quantize_input(raw, test)
    exact, rounded = (reference.run(network, x).activations["vote"] for network in (raw, wide))
    inside = np.abs(rounded) < (1 << 15) - 1  # what calibration has not seen may be clipped
    difference = np.abs(dequantize_output(raw, exact) - dequantize_output(wide, rounded))[inside]
    assert inside.mean() > 0.8 and difference.max() < 3 * wide.scales["vote"]
    assert error(model, batch(), test, QuantizeOptions(raw=True, **base)) < 1.1 * errors[2]
    channels, _ = quantize(model, batch(), QuantizeOptions(raw=True, per_channel=True))
    assert len(set(channels.layers[-1].mult.tolist())) == 1 < len(set(channels.layers[0].mult.tolist()))
    # A vote's mean is never negative: it needs no sign, unless more bits are asked for.
    assert not quantize(everything, batch())[0].layers[-1].signed
    assert quantize(everything, batch(), QuantizeOptions(out_bits=12))[0].layers[-1].signed


def test_bits_of_weights_and_activations(everything, batch) -> None:
    for steps in range(2, 9):
        network, _ = quantize(everything, batch(), QuantizeOptions(time_steps=steps, weight_bits=steps, bias="scaled"))
        assert network.time_steps == network.weight_bits == steps
        assert {layer.hi for layer in network.layers[:-1]} == {2**steps - 1}
        x = quantize_input(network, batch(2, 3))
        found, spiking = reference.run(network, x), stem.run(network, x)
        assert all((spiking.activations[n] == a).all() for n, a in found.activations.items())
    errors = [error(everything, batch(), batch(2), QuantizeOptions(time_steps=b, weight_bits=b)) for b in (3, 5, 8)]
    assert errors[0] > 1.5 * errors[1] > 2 * errors[2]
    for field, value in (("time_steps", 1), ("weight_bits", 1), ("out_bits", 17), ("max_edge_shift", -1)):
        with pytest.raises(SdannError, match=f"{field} must be"):
            quantize(everything, batch(), QuantizeOptions(**{field: value}))


def test_report_without_running_the_integers(everything, batch, monkeypatch) -> None:
    network, report = quantize(everything, batch(), QuantizeOptions(peak_images=0, membrane_bits=16))
    _, run = quantize(everything, batch(), QuantizeOptions(membrane_bits=16))
    assert {entry.membrane_peak for entry in report.layers} == {None}
    verdicts = {(entry.overflow, other.overflow) for entry, other in zip(report.layers, run.layers, strict=True)}
    assert verdicts == {("unknown", "expected"), ("impossible", "impossible")}
    assert all(abs(a.alive - b.alive) < 0.05 for a, b in zip(report.layers, run.layers, strict=True))
    with pytest.raises(SdannError, match="peak_images"):
        quantize(everything, batch(), QuantizeOptions(peak_images=0, scaled=True))
    one, few = (quantize(everything, batch(), QuantizeOptions(peak_images=n))[1].layers for n in (1, 40))
    assert all(a.membrane_peak <= b.membrane_peak for a, b in zip(one, few, strict=True))
    assert network.layers[0].mult.tolist() == quantize(everything, batch())[0].layers[0].mult.tolist()


@pytest.mark.parametrize("observer", ["minmax", "percentile", "mse"])
def test_batches_change_nothing(everything, batch, monkeypatch, observer: str) -> None:
    options = QuantizeOptions(observer=observer, membrane_bits=14, scaled=True)
    whole, report = quantize(everything, batch(), options)
    monkeypatch.setattr("sdann.quantization.calibration.ELEMENTS", 3 * 8 * 12 * 12)
    parts, again = quantize(everything, batch(), options)
    assert [entry.membrane_peak for entry in report.layers] == [entry.membrane_peak for entry in again.layers]
    for name, scale in whole.scales.items():
        assert parts.scales[name] == pytest.approx(scale, rel=1e-12)


def test_refusals(everything, batch) -> None:
    with pytest.raises(
        DoesNotFitError, match=r"layer 'stem': .*I\(t\) of 8 bits holds 127; use a chip with isum_bits=1\d"
    ):
        quantize(everything, batch(), QuantizeOptions(isum_bits=8))
    pooled = replace(everything.layers[0], edges=(replace(everything.layers[5].edges[0], source="input"),))
    first = replace(pooled, bias=np.zeros(8), relu=False)
    model = replace(everything, input_shape=(8, 12, 12), layers=(first, *everything.layers[1:]))
    images = np.random.default_rng(0).uniform(-1, 1, (4, 8, 12, 12))
    with pytest.raises(UnsupportedError, match="'stem': max pooling of a signed input; pool the data before"):
        quantize(model, images)
    network, _ = quantize(model, np.abs(images))
    assert network.scales["stem"] == network.scales["input"]
    end = replace(linear_end(everything).layers[-1], pool=Pool(kernel=1, stride=1))
    with pytest.raises(UnsupportedError, match="'vote': max pooling of an output without ReLU"):
        quantize(replace(everything, layers=(*everything.layers[:-2], end)), batch())
