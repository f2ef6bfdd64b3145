"""QDQ and QCDQ models: their integers arrive unchanged, and where no rounding can differ all activations are equal."""

from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper

from sdann.check import check_network
from sdann.graph import INPUT
from sdann.onnx_import.judge import compare, run_model
from sdann.quantization import QuantizeOptions, dequantize_output, quantize, quantize_input
from sdann.reference import run

from .conftest import FINE, Model

UNIT = 2.0**-4
"""Scale of activations; with weights' :data:`FINE` no rounding can differ."""

OPTIONS = QuantizeOptions(out_bits=9, bias_bits=24, peak_images=2)


def layer(model: Model, source: str, inputs: int, outputs: int, *, scale=FINE, kernel: int = 3, **attributes) -> str:
    """A quantized convolution."""
    weight = model.weight(model.integers(outputs, inputs // attributes.get("group", 1), kernel, kernel), scale)
    bias = model.bias(model.rng.integers(-4000, 4000, outputs), np.asarray(scale) * UNIT)
    return model.node("Conv", source, weight, bias, pads=[kernel // 2] * 4, **attributes)


def images(model: Model, count: int = 4, low: float = 0.0):
    return model.rng.uniform(low, 16, (count, *model.shape)).astype(np.float32)


def differences(found, x, options: QuantizeOptions = OPTIONS):
    """(network, differences as written, as onnxruntime fuses it)."""
    network, _ = quantize(found.model, x, options)
    check_network(network)
    return network, *(compare(found.graph, found.model, network, x, optimized=fast) for fast in (False, True))


def assert_equal(found, x, layers: int, options: QuantizeOptions = OPTIONS):
    network, *rows = differences(found, x, options)
    for some in rows:
        assert len(some) == layers + 1
        assert all(row.network == 0 and row.most == 0 for row in some), some
        assert all(row.alone == 0 for row in some if row.layer != INPUT)
        assert all(row.compared == len(x) * np.prod(network.shape_of(row.layer)) for row in some)
    for one in network.layers:
        values = run(network, quantize_input(network, x)).activations[one.name]
        assert len(np.unique(values)) > 4  # the comparison is of something
    return network


def chain(model: Model, *, zero: int = 0, kind=np.uint8, relu: bool = True, out: int = 0) -> str:
    """Convolution, max pooling, depthwise convolution, linear layer."""
    tensor = model.quantized("x", UNIT, zero, kind)
    tensor = layer(model, tensor, 2, 8)
    if relu:
        tensor = model.node("Relu", tensor)
    tensor = model.quantized(tensor, UNIT, zero, kind)
    tensor = model.quantized(model.node("MaxPool", tensor, kernel_shape=[2, 2], strides=[2, 2]), UNIT, zero, kind)
    tensor = model.node("Relu", layer(model, tensor, 8, 8, group=8))
    tensor = model.quantized(tensor, UNIT, zero, kind)
    tensor = model.quantized(model.node("Flatten", tensor), UNIT, zero, kind)
    weight = model.weight(model.integers(5, 8 * 9), FINE)
    tensor = model.node("Gemm", tensor, weight, model.bias(model.rng.integers(-999, 999, 5), FINE * UNIT), transB=1)
    return model.quantized(tensor, 16 * UNIT, out, np.int8)


@pytest.mark.parametrize(
    ("zero", "kind", "relu", "hi"),
    [(0, np.uint8, True, 255), (0, np.uint8, False, 255), (-128, np.int8, False, 255), (0, np.int8, True, 127),
     (128, np.uint8, True, 127)],
)  # fmt: skip
def test_zero_points_of_activations(zero, kind, relu, hi) -> None:
    """A zero point at the least integer is a ReLU; above it, ReLU leaves the integers from it upwards."""
    model = Model(2, 6, 6)
    found = model.imported(chain(model, zero=zero, kind=kind, relu=relu))
    network = assert_equal(found, images(model, low=-8.0), 3)
    assert [one.hi for one in network.layers] == [hi, hi, 127] and network.layers[-1].lo == -128
    assert network.input_signed == (hi == 127)
    assert network.layers[0].pool is not None and network.layers[1].edges[0].kind == "depthwise"
    for number, edge in enumerate(one.edges[0] for one in network.layers):
        weights = [c for c in model.constants if numpy_helper.to_array(c).dtype == np.int8 and len(c.dims) > 1]
        given = numpy_helper.to_array(weights[number])
        assert (edge.weight.reshape(given.shape) == given).all()


@pytest.mark.parametrize("zero", [25, -40])
def test_zero_point_of_the_output(zero) -> None:
    model = Model(2, 6, 6)
    found = model.imported(chain(model, out=zero))
    x = images(model)
    network = assert_equal(found, x, 3)
    last = network.layers[-1]
    assert (last.lo, last.hi, last.signed) == (-128 - zero, 127 - zero, True)
    output = run(network, quantize_input(network, x)).activations[last.name]
    expected = run_model(found.graph, x)[0]
    np.testing.assert_allclose(dequantize_output(network, output)[..., 0, 0], expected, rtol=1e-6)


def test_a_zero_point_before_a_relu() -> None:
    """Rounded before and after it: as onnxruntime writes what it cannot fuse."""
    model = Model(2, 6, 6)
    tensor = layer(model, model.quantized("x", UNIT), 2, 4)
    tensor = model.quantized(tensor, UNIT, 142)
    tensor = model.quantized(model.node("Relu", tensor), UNIT, 0)
    network = assert_equal(model.imported(tensor), images(model), 1)
    assert network.layers[0].hi == 255 - 142


def test_channels_have_scales_of_their_own() -> None:
    model = Model(2, 6, 6)
    tensor = layer(model, model.quantized("x", UNIT), 2, 4, scale=FINE * np.array([1.0, 0.5, 0.25, 0.125]))
    network = assert_equal(model.imported(model.quantized(tensor, UNIT)), images(model), 1)
    assert network.layers[0].shift.tolist() == [22, 23, 24, 25] and set(network.layers[0].mult.tolist()) == {2**15 + 1}


def test_batch_normalization_after_integer_weights() -> None:
    """As Brevitas leaves it; a negative factor turns the weights' signs."""
    model = Model(2, 6, 6)
    weight = model.weight(model.integers(4, 2, 3, 3), FINE)
    tensor = model.node("Conv", model.quantized("x", UNIT), weight)
    gain = np.array([1, -0.5, 2, 0.25], dtype=np.float32)
    numbers = [model.constant(np.array(v, dtype=np.float32)) for v in (gain, [0] * 4, [0] * 4, [1] * 4)]
    tensor = model.node("BatchNormalization", tensor, *numbers, epsilon=0.0)
    tensor = model.quantized(model.node("Relu", tensor), UNIT)
    found = model.imported(tensor)
    network = assert_equal(found, images(model), 1)
    given = next(a for a in map(numpy_helper.to_array, model.constants) if a.ndim == 4).astype(int)
    assert (network.layers[0].edges[0].weight == given * np.sign(gain)[:, None, None, None]).all()


def test_quantize_clip_dequantize() -> None:
    """Few bits, of weights and of activations, which the type does not tell."""
    model = Model(2, 6, 6)
    parameters = model.constant(np.float32(FINE)), model.constant(np.int8(0))
    limits = [model.constant(np.int8(limit)) for limit in (-7, 7)]
    integers = model.node("Clip", model.constant(model.integers(4, 2, 3, 3, limit=9)), *limits)
    tensor = model.node("Conv", model.quantized("x", UNIT), model.node("DequantizeLinear", integers, *parameters))
    tensor = model.quantized(model.node("Relu", tensor), UNIT, clip=(0, 15))
    network = assert_equal(model.imported(tensor), images(model), 1)
    assert network.layers[0].hi == 15 and np.abs(network.layers[0].edges[0].weight).max() == 7


def test_float_weights_that_the_model_quantizes() -> None:
    model = Model(2, 6, 6)
    weight = model.quantized(model.real(4, 2, 3, 3, low=-127 * FINE, high=127 * FINE), FINE, 0, np.int8)
    tensor = model.node("Relu", model.node("Conv", model.quantized("x", UNIT), weight))
    network = assert_equal(model.imported(model.quantized(tensor, UNIT)), images(model), 1)
    assert np.abs(network.layers[0].edges[0].weight).max() > 100


def test_relu6() -> None:
    """A clip that is no grid point: rounding is monotonic."""
    model = Model(2, 6, 6)
    tensor = layer(model, model.quantized("x", UNIT), 2, 4)
    tensor = model.node("Clip", tensor, model.constant(np.float32(0)), model.constant(np.float32(6.02)))
    network = assert_equal(model.imported(model.quantized(tensor, UNIT)), images(model), 1)
    assert network.layers[0].hi == 96


def test_other_grids_along_the_way() -> None:
    """What is rounded again is a layer of its own; a concatenation keeps the grids of its parts."""
    model = Model(2, 6, 6)
    one = model.quantized(layer(model, model.quantized("x", UNIT), 2, 4), UNIT)
    again = model.quantized(one, 1.25 * UNIT * (1 + 2.0**-15))
    both = model.node("Concat", one, again, axis=1)
    tensor = model.quantized(layer(model, both, 8, 4), UNIT)
    found = model.imported(tensor)
    assert [len(one.edges) for one in found.model.layers] == [1, 1, 2]
    network, rows, _ = differences(found, images(model))
    assert [row.alone for row in rows[:3]] == [None, 0, 0]
    assert network.layers[1].edges[0].kind == "depthwise"


def residual(model: Model, *, skip: float = UNIT, branch: float = FINE) -> str:
    """onnxruntime's form: the branch is rounded with a zero point, the sum again."""
    one = model.quantized(layer(model, model.quantized("x", UNIT), 2, 4), skip)
    branch_sum = model.quantized(layer(model, one, 4, 4, scale=branch), UNIT, 142)
    return model.quantized(model.node("Add", branch_sum, one), UNIT)


def test_a_zero_point_before_a_sum() -> None:
    """The sum is taken before any rounding, so that the branch's zero point has no effect but its clipping."""
    model = Model(2, 6, 6)
    found = model.imported(residual(model, branch=FINE / 64))
    network, rows, _ = differences(found, images(model))
    add = network.layers[1]
    conv, identity = add.edges
    assert (conv.kind, identity.kind) == ("conv", "depthwise") and conv.shift == 0
    given = [numpy_helper.to_array(c) for c in model.constants if len(c.dims) == 4]
    assert (conv.weight == given[1]).all()  # the integers that the model has
    ratio = 64 / FINE  # of the skip's unit to the branch's
    found_ratio = identity.weight[0, 0, 0, 0] << identity.shift
    assert abs(found_ratio / ratio - 1) < 1 / 128
    assert rows[2].most_alone is not None and rows[2].most_alone <= 2  # the branch's rounding, and the skip's weight


def test_every_number_counts() -> None:
    """Mutations of the network that the comparison with onnxruntime has to notice."""
    model = Model(2, 6, 6)
    found = model.imported(chain(model))
    x = images(model)
    network, *_ = differences(found, x)
    for number, one in enumerate(network.layers):
        weight = one.edges[0].weight.copy()
        weight.flat[np.abs(weight).argmax()] ^= 64
        bias = one.bias.copy()
        bias[0] += 2000
        for wrong in (
            replace(one, edges=(replace(one.edges[0], weight=weight),)), replace(one, bias=bias),
            replace(one, mult=one.mult + 200), replace(one, hi=one.hi - 1),
        ):  # fmt: skip
            layers = (*network.layers[:number], wrong, *network.layers[number + 1 :])
            rows = compare(found.graph, found.model, replace(network, layers=layers), x)
            if wrong.hi == one.hi or number < 2:  # nothing reaches the output's limit
                assert rows[number + 1].alone > 0, (one.name, wrong)
            assert sum(row.alone for row in rows[1:]) == rows[number + 1].alone
    scales = network.scales | {INPUT: network.scales[INPUT] * 1.01}
    assert compare(found.graph, found.model, replace(network, scales=scales), x)[0].network > 0


def test_a_shared_rounding_is_one_layer() -> None:
    """A pair of QuantizeLinear and DequantizeLinear for every reader, as onnxruntime may write them."""
    model = Model(2, 6, 6)
    made = layer(model, model.quantized("x", UNIT), 2, 4)
    one, two = (model.quantized(made, UNIT) for _ in range(2))
    tensor = model.node("Add", layer(model, one, 4, 4), two)
    found = model.imported(model.quantized(tensor, UNIT)).model
    assert len(found.layers) == 2 and {edge.source for edge in found.layers[1].edges} == {found.layers[0].name}


def test_scaled_integration_keeps_the_integers() -> None:
    model = Model(2, 6, 6)
    found = model.imported(chain(model))
    network, rows, _ = differences(found, images(model), replace(OPTIONS, scaled=True, membrane_bits=16))
    assert all(one.scaled is not None for one in network.layers)
    assert all(row.alone is None for row in rows)
