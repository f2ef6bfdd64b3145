"""What does not fit is refused by the node's name, with what to do."""

import numpy as np
import onnx
import pytest

from sdann.errors import DoesNotFitError, FileFormatError, SdannError, UnsupportedError
from sdann.finetune import finetune
from sdann.onnx_import import from_onnx, load_graph
from sdann.quantization import QuantizeOptions, quantize

from .conftest import FINE, Model

UNIT = 2.0**-4


def conv(model: Model, source: str = "x", inputs: int = 2, **attributes) -> str:
    return model.node("Conv", source, model.real(4, inputs, 3, 3), **attributes)


def quantized_conv(model: Model, source: str, inputs: int = 2, **attributes) -> str:
    return model.node("Conv", source, model.weight(model.integers(4, inputs, 3, 3), FINE), **attributes)


def per_input_channel(model: Model) -> str:
    weight = model.weight(model.integers(4, 2, 3, 3), [FINE, 2 * FINE], axis=1)
    return model.node("Conv", "x", weight, name="first")


def dequantized_otherwise(model: Model) -> str:
    one, two = model.constant(np.float32(0.1)), model.constant(np.float32(0.2))
    zero = model.constant(np.uint8(0))
    return model.node("DequantizeLinear", model.node("QuantizeLinear", "x", one, zero), two, zero, name="first")


def pool_of_integers(model: Model) -> str:
    parameters = model.constant(np.float32(UNIT)), model.constant(np.uint8(0))
    integers = model.node("QuantizeLinear", "x", *parameters)
    integers = model.node("MaxPool", integers, kernel_shape=[2, 2], name="first")
    return model.node("DequantizeLinear", integers, *parameters)


def signed_reader(model: Model) -> str:
    """Activations with a zero point and no ReLU, read by a convolution."""
    tensor = model.quantized(quantized_conv(model, model.quantized("x", UNIT)), UNIT, 128)
    return quantized_conv(model, tensor, 4)


def leaky(model: Model) -> str:
    return conv(model, model.node("LeakyRelu", conv(model), name="first"), 4)


def dynamic(model: Model) -> str:
    return model.node("DynamicQuantizeLinear", "x", outputs=3, name="first")


CASES = {
    "unknown": (lambda m: m.node("Sin", conv(m), name="first"), "layer 'first': Sin is not supported; use Conv"),
    "upsampling": (lambda m: m.node("ConvTranspose", "x", m.real(2, 4, 3, 3), name="first"), "upsample on the host"),
    "operators of integers": (dynamic, "quant_format=QuantFormat.QDQ, not quantize_dynamic"),
    "qonnx": (
        lambda m: m.node("Quant", "x", m.real(1), domain="qonnx.custom_op.general", name="first"),
        "layer 'first': qonnx.custom_op.general.Quant is not supported; export as QCDQ",
    ),
    "activation inside": (leaky, "layer 'first': leaky_relu is possible only after the last layer"),
    "no ReLU": (lambda m: conv(m, conv(m), 4), "layer 'Conv0' is not followed by ReLU"),
    "zero point, no ReLU": (signed_reader, "is not followed by ReLU"),
    "per input channel": (per_input_channel, "layer 'first': its weight is quantized per input channel"),
    "two scales": (dequantized_otherwise, "layer 'first': its scale and zero point 0.2, 0 are not those of"),
    "integers between": (pool_of_integers, "layer 'first': MaxPool on integers; only Clip may stand between"),
    "stride": (lambda m: conv(m, strides=[3, 3], name="first"), "layer 'first': stride 3 is not supported; use 1, 2"),
    "ceil_mode": (
        lambda m: m.node("MaxPool", m.node("Relu", conv(m, pads=[1] * 4)), kernel_shape=[4, 4], strides=[4, 4],
                         ceil_mode=1, name="first"),
        "layer 'first': ceil_mode=True",
    ),
    "border": (
        lambda m: m.node("AveragePool", m.node("Relu", conv(m)), kernel_shape=[3, 3], pads=[1] * 4, name="first"),
        "layer 'first': count_include_pad=False",
    ),
    "one side": (
        lambda m: m.node("MaxPool", m.node("Relu", conv(m)), kernel_shape=[2, 2], pads=[0, 0, 1, 1], name="first"),
        "layer 'first': its padding [(0, 1), (0, 1)] differs between the two ends",
    ),
    "batch": (
        lambda m: m.node("Reshape", conv(m), m.constant(np.array([4, 32])), name="first"),
        "layer 'first': Reshape mixes the samples of a batch",
    ),
    "signed clip": (
        lambda m: m.node("Clip", conv(m), m.constant(np.float32(-1)), m.constant(np.float32(1)), name="first"),
        "layer 'first': clamp from -1.0 to 1.0 is not supported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_operators(case) -> None:
    build, message = CASES[case]
    model = Model(2, 6, 6)
    with pytest.raises(UnsupportedError) as error:
        model.imported(build(model))
    assert message in str(error.value)


def quantize_it(model: Model, output: str, **options) -> None:
    rng = np.random.default_rng(0)
    quantize(model.imported(output).model, rng.uniform(0, 8, (3, *model.shape)), QuantizeOptions(**options))


def test_integers_that_do_not_fit() -> None:
    model = Model(2, 6, 6)
    with pytest.raises(UnsupportedError, match=r"the model's input takes -100..155 .*ActivationSymmetric"):
        quantize_it(model, quantized_conv(model, model.quantized("x", UNIT, 100)))
    model = Model(2, 6, 6)
    weight = model.weight(model.integers(4, 2, 3, 3).view(np.uint8), FINE, zero=3)
    with pytest.raises(SdannError, match=r"layer 'Conv3': its weights are -\d+..\d+ steps, 8 bits hold -128..127"):
        quantize_it(model, model.node("Conv", model.quantized("x", UNIT), weight))
    model = Model(2, 6, 6)
    output = model.quantized(quantized_conv(model, model.quantized("x", UNIT)), UNIT, 25, np.int8)
    with pytest.raises(DoesNotFitError, match=r"its values -153..102 need 9 bits, the output has 8: use out_bits=9"):
        quantize_it(model, output)
    model = Model(2, 6, 6)
    hidden = model.quantized(quantized_conv(model, model.quantized("x", UNIT, clip=(0, 15))), UNIT)
    with pytest.raises(DoesNotFitError, match=r"its activations 0..255 need 8 time steps, there are 4"):
        quantize_it(model, hidden, time_steps=4)
    model = Model(2, 6, 6)
    output = model.node("Conv", model.quantized("x", UNIT), model.weight(model.integers(4, 2, 3, 3), [FINE, 1, 1, 1]))
    with pytest.raises(UnsupportedError, match="a raw output has one scale, and its weights have several"):
        quantize_it(model, output, raw=True)


def test_a_quantized_model_is_not_fine_tuned() -> None:
    model = Model(2, 6, 6)
    found = model.imported(model.quantized(quantized_conv(model, model.quantized("x", UNIT)), UNIT, 0, np.int8)).model
    with pytest.raises(SdannError, match="quantized already: fine-tune it where it was made"):
        finetune(found, np.ones((4, 2, 6, 6)), np.zeros(4, dtype=int))


def with_shape(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` as a file has to be: the output's shape is there."""
    name = model.graph.output[0].name
    shape = ["N", 4, 4, 4]
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
    return model


def test_files(tmp_path) -> None:
    with pytest.raises(FileFormatError, match="no such file; give an ONNX model"):
        load_graph(tmp_path / "none.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"noise of no format")
    with pytest.raises(FileFormatError, match="not a valid ONNX model: .*; export it again"):
        load_graph(tmp_path / "noise.onnx")
    model = Model(2, 6, 6)
    good = with_shape(model.graph(conv(model)).model)
    onnx.save(good, tmp_path / "good.onnx")
    assert from_onnx(tmp_path / "good.onnx").name == "good"
    good.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    onnx.save(good, tmp_path / "open.onnx")
    with pytest.raises(UnsupportedError, match="'x' leaves sizes open beside the batch's; fix them"):
        from_onnx(tmp_path / "open.onnx")
    two = Model(2, 6, 6)
    graph = with_shape(two.graph(conv(two)).model)
    graph.graph.output.append(graph.graph.input[0])
    onnx.save(graph, tmp_path / "two.onnx")
    with pytest.raises(UnsupportedError, match="1 inputs .* and 2 outputs; give it one of each"):
        from_onnx(tmp_path / "two.onnx")
