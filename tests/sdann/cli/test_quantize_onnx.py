"""``sdann quantize`` on ONNX models: float and quantized ones, with images and without."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sdann.network_file import load_network

SHAPE = (2, 4, 4)


class Nodes:
    """Nodes and constants of a model that reads "x"."""

    def __init__(self) -> None:
        self.nodes, self.constants = [], []

    def constant(self, array) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(array), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def __call__(self, kind: str, *inputs: str, **attributes) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"{kind}{len(self.nodes)}", **attributes))
        return name

    def rounded(self, tensor: str, scale: float, zero: np.generic) -> str:
        parameters = self.constant(np.float32(scale)), self.constant(zero)
        return self("DequantizeLinear", self("QuantizeLinear", tensor, *parameters), *parameters)

    def save(self, output: str, path) -> None:
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["N", 3])], self.constants,
        )  # fmt: skip
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


def write(path, *, quantized: bool, rounded_output: bool = True) -> None:
    """A convolution with ReLU and a linear layer."""
    rng = np.random.default_rng(0)
    make = Nodes()

    def weight(*shape: int) -> str:
        if not quantized:
            return make.constant(rng.normal(0, 0.3, shape).astype(np.float32))
        integers = make.constant(rng.integers(-127, 128, shape).astype(np.int8))
        return make("DequantizeLinear", integers, make.constant(np.float32(0.004)), make.constant(np.int8(0)))

    tensor = make.rounded("x", 2 / 255, np.uint8(0)) if quantized else "x"
    tensor = make("Relu", make("Conv", tensor, weight(4, 2, 3, 3)))
    if quantized:
        tensor = make.rounded(tensor, 0.02, np.uint8(0))
    tensor = make("Gemm", make("Flatten", tensor), weight(16, 3))
    make.save(make.rounded(tensor, 0.05, np.int8(9)) if quantized and rounded_output else tensor, path)


@pytest.fixture
def brought(tmp_path) -> list[str]:
    """In the working folder: float.onnx, int.onnx, open.onnx (whose output is not rounded), images.npy, labels.npy."""
    write(tmp_path / "float.onnx", quantized=False)
    write(tmp_path / "int.onnx", quantized=True)
    write(tmp_path / "open.onnx", quantized=True, rounded_output=False)
    rng = np.random.default_rng(1)
    np.save(tmp_path / "images.npy", rng.uniform(0, 2, (50, *SHAPE)).astype(np.float32))
    np.save(tmp_path / "labels.npy", rng.integers(0, 3, 50))
    return ["--images", "images.npy", "--labels", "labels.npy"]


def test_a_float_model(sdann, brought) -> None:
    found = sdann("quantize", "float.onnx", *brought, "--json", "--out", "net").data
    assert found["network"] == "float" and found["samples"] == 10 and found["onnxruntime"] == []
    assert abs(found["accuracy"]["onnxruntime"] - found["accuracy"]["integer"]) <= 0.1
    assert [layer["name"] for layer in found["layers"]] == ["Conv0", "Gemm3"]
    assert load_network("net").layers[-1].hi == 127


def test_a_quantized_model_without_images(sdann, brought) -> None:
    found = sdann("quantize", "int.onnx", "--json", "--out", "net").data
    rows = found["onnxruntime"]
    assert [row["layer"] for row in rows] == ["input", "Conv3", "Gemm9"]
    assert [row["compared"] for row in rows] == [8 * 32, 8 * 16, 8 * 3] and found["accuracy"] is None
    assert rows[0]["network"] == 0 and all(row["most"] <= 1 for row in rows)
    network = load_network("net")
    assert (network.layers[-1].lo, network.layers[-1].hi) == (-137, 118)  # nine bits, without being asked
    text = sdann("quantize", "int.onnx", *brought).stdout
    assert "Integers that differ from onnxruntime's" in text and "onnxruntime" in text.splitlines()[-1]
    options = ["--scaled", "--membrane-bits", "16", *brought]
    scaled = sdann("quantize", "int.onnx", *options, "--json", "--out", "net").data
    assert [row["alone"] for row in scaled["onnxruntime"]] == [None] * 3
    assert load_network("net").layers[0].scaled is not None


def test_other_commands_take_a_quantized_model(sdann, refused, brought) -> None:
    """Through the export, whose ONNX model has another form, and nobody's code of the import."""
    found = sdann("export", "int.onnx", "--onnx", "again.onnx", "--samples", "2", "--json").data
    assert found["source"] == "integers of int.onnx" and found["different"] == 0
    assert found["compared"] == 2 * 2 * (16 + 3)
    again = sdann("validate", "int.onnx", "--preset", "demo", "--samples", "1", "--json").data
    assert again["different"] == 0 and [row["layer"] for row in again["layers"]] == ["Conv3", "Gemm9"]
    assert "give `sdann quantize` --images" in refused("validate", "float.onnx", "--preset", "demo")


def test_what_is_open_needs_images(sdann, refused, brought) -> None:
    assert "does not fix the range of 'Gemm9': give `sdann quantize` --images" in refused("quantize", "open.onnx")
    assert "does not fix the range of 'input', 'Conv0', 'Gemm3'" in refused("quantize", "float.onnx")
    assert sdann("quantize", "open.onnx", "--raw", "--out", "net").exit_code == 0
    assert load_network("net").layers[-1].raw
    assert sdann("quantize", "open.onnx", *brought).exit_code == 0


def test_refusals(refused, brought, tmp_path) -> None:
    assert "none.onnx: no such file" in refused("quantize", "none.onnx")
    (tmp_path / "noise.onnx").write_bytes(b"noise")
    assert "noise.onnx: not a valid ONNX model" in refused("quantize", "noise.onnx")
    assert "--scaled needs the membrane's range" in refused("quantize", "int.onnx", "--scaled")
    assert "quantized already" in refused("quantize", "int.onnx", *brought, "--finetune", "1")
    assert "9 bits per output, but chip" in refused("quantize", "int.onnx", "--set", "out_bits=8")
    assert "takes 0..255 (after subtracting the zero point), with 4 time steps it must be 0..15" in refused(
        "quantize", "int.onnx", *brought, "--time-steps", "4"
    )
    with_sin = onnx.load(tmp_path / "float.onnx")
    with_sin.graph.node[1].op_type = "Sin"
    onnx.save(with_sin, tmp_path / "sin.onnx")
    assert "layer 'Relu1': Sin is not supported" in refused("quantize", "sin.onnx")
