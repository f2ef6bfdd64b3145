"""sdann.quantization: scales, biases, bounds and errors on small float networks."""

from dataclasses import replace

import numpy as np
import pytest

from sdann import reference, stem
from sdann.errors import DoesNotFitError, SdannError, UnsupportedError
from sdann.float_model import FloatEdge, FloatLayer, FloatModel, forward
from sdann.quantization import QuantizeOptions, quantize, quantize_input


def small_model(seed: int = 0, *, bias: float = 0.3, gains: bool = False) -> FloatModel:
    """conv 3x3 -> average pool -> depthwise -> linear without ReLU, for 2 x 6 x 6 inputs."""
    rng = np.random.default_rng(seed)

    def layer(name: str, kind: str, *shape: int, **more: object) -> FloatLayer:
        weight = rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        if gains:
            weight *= 10.0 ** rng.uniform(-2, 0, (shape[0], 1, 1, 1))
        source = {"conv": "input", "depth": "pool", "linear": "depth"}[name]
        edge = FloatEdge(
            source=source, kind=kind, weight=weight, padding=1 if "w" not in name and kind != "linear" else 0
        )  # type: ignore[arg-type]
        return FloatLayer(name=name, edges=(edge,), bias=rng.normal(size=shape[0]) * bias, **more)  # type: ignore[arg-type]

    window = FloatEdge(source="conv", kind="avgpool", weight=np.full((5, 1, 2, 2), 0.25), stride=2)
    pool = FloatLayer(name="pool", edges=(window,), bias=np.zeros(5), relu=False)
    return FloatModel(
        name="small", input_shape=(2, 6, 6),
        layers=(
            layer("conv", "conv", 5, 2, 3, 3), pool, layer("depth", "depthwise", 5, 1, 3, 3),
            layer("linear", "linear", 4, 5, 3, 3, relu=False),
        ),
    )  # fmt: skip


def with_weight(layer: FloatLayer, weight: np.ndarray, **changes: object) -> FloatLayer:
    """``layer`` with another weight on its only edge."""
    return replace(layer, edges=(replace(layer.edges[0], weight=weight),), **changes)  # type: ignore[arg-type]


def images(seed: int = 1, *, signed: bool = False) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1 if signed else 0, 1, (60, 2, 6, 6))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"per_channel": True}, {"observer": "percentile"}, {"observer": "mse"}, {"bias": "sum"}, {"bias": "scaled"},
        {"activations": "signed"}, {"scaled": True, "membrane_bits": 16}, {"time_steps": 10},
    ],
    ids=str,
)  # fmt: skip
def test_close_to_float(options: dict[str, object], signed: bool) -> None:
    model, calibration, test = small_model(), images(signed=signed), images(2, signed=signed)
    network, report = quantize(model, calibration, QuantizeOptions(**options))  # type: ignore[arg-type]
    assert network.input_signed == signed
    x = quantize_input(network, test)
    result = reference.run(network, x)
    for name, expected in forward(model, test).items():
        real = result.activations[name] * network.scales[name]
        assert np.sqrt(np.mean((real - expected) ** 2)) < 0.03 * np.abs(expected).max(), name
    assert [entry.name for entry in report.layers] == ["conv", "pool", "depth", "linear"]
    assert all(entry.alive > 0.1 for entry in report.layers)
    spiking = stem.run(network, x)
    assert all((spiking.activations[n] == a).all() for n, a in result.activations.items())


def test_scales_and_ranges() -> None:
    model, calibration = small_model(), images()
    network, _ = quantize(model, calibration)
    outputs = forward(model, calibration)
    conv, pool, depth, linear = network.layers
    assert network.scales["input"] == pytest.approx(calibration.max() / 255)
    assert network.scales["conv"] == pytest.approx(outputs["conv"].max() / 255)
    assert network.scales["pool"] == network.scales["conv"]
    assert network.scales["linear"] == pytest.approx(np.abs(outputs["linear"]).max() / 127)
    assert (conv.lo, conv.hi, linear.lo, linear.hi) == (0, 255, -128, 127) and linear.signed and not depth.signed
    assert np.abs(conv.edges[0].weight).max() == 127
    assert (
        (pool.edges[0].weight == 1).all()
        and (pool.mult / 2.0**pool.shift == 0.25).all()
        and pool.edges[0].kind == "depthwise"
    )
    # M = S_w S_x / S_a, eq. 9's unit is S_w S_x
    weight_scale = np.abs(model.layers[0].edges[0].weight).max() / 127
    assert conv.mult / 2.0**conv.shift == pytest.approx(
        weight_scale * network.scales["input"] / network.scales["conv"], rel=1e-4
    )
    assert conv.bias.tolist() == np.rint(model.layers[0].bias / (weight_scale * network.scales["input"])).tolist()
    signed, _ = quantize(model, images(signed=True), QuantizeOptions(activations="signed"))
    assert signed.layers[0].hi == 127 and signed.scales["input"] == pytest.approx(
        np.abs(images(signed=True)).max() / 127
    )


def test_per_channel_uses_every_channel_fully() -> None:
    model = small_model(gains=True)
    network, _ = quantize(model, images(), QuantizeOptions(per_channel=True))
    for layer in network.layers:
        if layer.name != "pool":
            assert (np.abs(layer.edges[0].weight).max(axis=(1, 2, 3)) == 127).all()
            assert len(set((layer.mult / 2.0**layer.shift).tolist())) > 1

    def error(options: QuantizeOptions) -> float:
        net, _ = quantize(model, images(), options)
        real = reference.run(net, quantize_input(net, images())).activations["linear"] * net.scales["linear"]
        return float(np.abs(real - forward(model, images())["linear"]).mean())

    assert error(QuantizeOptions(weight_bits=4, per_channel=True)) < 0.9 * error(QuantizeOptions(weight_bits=4))


def test_bias_choice_and_report() -> None:
    model = small_model(bias=0.3)
    _, report = quantize(model, images(), QuantizeOptions(bias="sum", bias_bits=24))
    needed = {entry.name: entry for entry in report.layers}
    assert all(entry.bias_mode == "sum" for entry in report.layers)
    assert all(needed[n].bias_bits_sum > needed[n].bias_bits_scaled for n in ("conv", "depth", "linear"))
    bits = sorted(needed[n].bias_bits_sum for n in ("conv", "depth", "linear"))
    network, _ = quantize(model, images(), QuantizeOptions(bias_bits=bits[1]))
    for layer in network.layers:
        assert layer.bias_mode == ("sum" if needed[layer.name].bias_bits_sum <= bits[1] else "scaled")
        assert -(1 << bits[1] - 1) <= layer.bias.min() and layer.bias.max() < 1 << bits[1] - 1
    assert bits[-1] == bits[1] or {layer.bias_mode for layer in network.layers} == {"sum", "scaled"}
    with pytest.raises(DoesNotFitError, match=r"layer '.*bias needs .*eq\. 10"):
        quantize(model, images(), QuantizeOptions(bias="sum", bias_bits=bits[-1] - 1))
    with pytest.raises(DoesNotFitError, match="bias needs"):
        quantize(small_model(bias=3), images(), QuantizeOptions(bias_bits=4))


@pytest.mark.parametrize(("value", "bits"), [(0, 1), (-1, 1), (1, 2), (127, 8), (128, 9), (-128, 8), (-129, 9)])
def test_bits_of_a_bias(value: int, bits: int) -> None:
    model = small_model(bias=0)
    network, _ = quantize(model, images(), QuantizeOptions(bias="sum"))
    factor = np.abs(model.layers[0].edges[0].weight).max() / 127 * network.scales["input"]
    first = replace(model.layers[0], bias=np.full(5, value * factor))
    _, report = quantize(replace(model, layers=(first, *model.layers[1:])), images(), QuantizeOptions(bias="sum"))
    assert report.layers[0].bias_bits_sum == bits


def test_overflow_verdicts() -> None:
    model = small_model()
    for bits, scaled, verdict in ((32, False, "impossible"), (13, True, "unlikely"), (12, False, "expected")):
        network, report = quantize(model, images(), QuantizeOptions(membrane_bits=bits, scaled=scaled))
        assert report.layers[0].overflow == verdict
        saturations = reference.run(network, quantize_input(network, images())).saturations["conv"]
        assert (saturations > 0) == (verdict == "expected")
    bits = report.layers[0].membrane_bits
    assert quantize(model, images(), QuantizeOptions(membrane_bits=bits))[1].layers[0].overflow == "impossible"
    assert quantize(model, images(), QuantizeOptions(membrane_bits=bits - 1))[1].layers[0].overflow != "impossible"


def test_zero_channel() -> None:
    model = small_model()
    weight = model.layers[0].edges[0].weight.copy()
    weight[2] = 0
    first = with_weight(model.layers[0], weight, bias=np.abs(model.layers[0].bias))
    model = replace(model, layers=(first, *model.layers[1:]))
    for options in (
        QuantizeOptions(bias="scaled", per_channel=True),
        QuantizeOptions(bias="sum", bias_bits=20, per_channel=True),
    ):
        network, _ = quantize(model, images(), options)
        assert (network.layers[0].mult[2] == 0) == (options.bias == "scaled")
        found = reference.run(network, quantize_input(network, images())).activations["conv"][:, 2]
        assert (np.abs(found * network.scales["conv"] - first.bias[2]) <= network.scales["conv"]).all()


def test_refusals() -> None:
    model, calibration = small_model(), images()
    with pytest.raises(DoesNotFitError, match=r"layer 'conv'.*I\(t\)"):
        quantize(model, calibration, QuantizeOptions(isum_bits=9))
    with pytest.raises(SdannError, match=r"eq\. 10"):
        quantize(model, calibration, QuantizeOptions(bias="sum", scaled=True))
    with pytest.raises(SdannError, match="signed input"):
        quantize(model, images(signed=True), QuantizeOptions(input_signed=False))
    for bad in (calibration[0], calibration[:0], calibration * np.nan, calibration[:, :1]):
        with pytest.raises(SdannError, match="calibration images must be"):
            quantize(model, bad)
    with pytest.raises(SdannError, match="all zero"):
        quantize(model, calibration * 0)
    dead = replace(model.layers[0], bias=np.full(5, -100.0))
    with pytest.raises(SdannError, match="layer 'conv': all its values are zero"):
        quantize(replace(model, layers=(dead, *model.layers[1:])), calibration)
    with pytest.raises(UnsupportedError, match="layer 'conv': it is not followed by ReLU"):
        quantize(replace(model, layers=(replace(model.layers[0], relu=False), *model.layers[1:])), calibration)
    from_input = replace(model.layers[1], edges=(replace(model.layers[1].edges[0], source="input"),))
    with pytest.raises(UnsupportedError, match="average pooling of a signed input"):
        quantize(replace(model, input_shape=(5, 6, 6), layers=(from_input,)), np.full((2, 5, 6, 6), -1.0))


def test_inputs_are_rounded_and_clipped() -> None:
    network, _ = quantize(small_model(), images(), QuantizeOptions(input_range=1.0))
    values = np.array([-1, 0, 0.4 / 255, 0.6 / 255, 1, 2])
    found = quantize_input(network, np.broadcast_to(values, (2, 6, 6))[None])
    assert found[0, 0, 0].tolist() == [0, 0, 0, 1, 255, 255]
