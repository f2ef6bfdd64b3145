"""What an exported model looks like from outside, and what is refused."""

import ast
import importlib
import inspect
import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from sdann import reference
from sdann.errors import SdannError, UnsupportedError
from sdann.graph import INPUT, Edge, Pool, QuantizedNetwork, Scaled
from sdann.onnx_export import OPSET, export_network, session

from .cases import samples, single, weight

RNG = np.random.default_rng(9)


def test_inputs_outputs_and_properties(tmp_path) -> None:
    network = replace(single(pool=Pool(kernel=2, stride=2)), scales={"input": 0.5, "only": 0.25})
    exported = export_network(network)
    exported.save(tmp_path / "net.onnx")
    onnx.checker.check_model(str(tmp_path / "net.onnx"), full_check=True)
    loaded = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    (given,) = loaded.get_inputs()
    assert (given.name, given.type, given.shape) == ("input", "tensor(uint8)", ["N", 4, 6, 5])
    ends = {output.name: (output.type, output.shape) for output in loaded.get_outputs()}
    assert ends == {
        "only/activation": ("tensor(uint8)", ["N", 3, 3, 2]), "only/accumulator": ("tensor(int32)", ["N", 3, 6, 5]),
    }  # fmt: skip
    assert loaded.get_outputs()[0].name == "only/activation"  # the network's own output comes first
    properties = loaded.get_modelmeta().custom_metadata_map
    assert properties["time_steps"] == "8" and json.loads(properties["scales"]) == network.scales
    x = samples(network)  # all at once, for whoever uses the file
    (found,) = loaded.run(["only/activation"], {"input": x.astype(np.uint8)})
    np.testing.assert_array_equal(found, reference.run(network, x).activations["only"])


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"input_signed": True}, "int8"), ({"time_steps": 12}, "uint16"),
        ({"time_steps": 12, "input_signed": True}, "int16"),
    ],
)  # fmt: skip
def test_type_of_the_input(fields, kind) -> None:
    assert export_network(single(**fields)).input_type == np.dtype(kind)


def test_it_is_integers_alone() -> None:
    """No float anywhere but in the pools of more than 8 bits."""
    for fields in ({}, {"pool": Pool(kernel=2, stride=2)}, {"membrane_bits": 12}, {"time_steps": 12}):
        model = onnx.shape_inference.infer_shapes(export_network(single(**fields)).model, strict_mode=True)
        kinds = {value.type.tensor_type.elem_type for value in model.graph.value_info}
        kinds |= {tensor.data_type for tensor in model.graph.initializer}
        kind = onnx.TensorProto
        assert kinds <= {kind.UINT8, kind.UINT16, kind.INT32, kind.INT64, kind.UINT64}
    assert {opset.version for opset in model.opset_import} == {OPSET}


@pytest.mark.parametrize(
    ("fields", "copies"),
    [({}, 1), ({"membrane_bits": 15}, 1), ({"time_steps": 12}, 1), ({"weight_bits": 12, "time_steps": 12}, 2)],
)
def test_weights_are_in_the_file_once(fields, copies) -> None:
    """Whatever number of products takes them; those of more than 8 bits as low and high bytes."""
    constants = export_network(single(**fields)).model.graph.initializer
    assert sum(len(tensor.raw_data) for tensor in constants if "weight" in tensor.name) == copies * 3 * 4 * 3 * 3


def test_it_shares_no_code_with_the_models() -> None:
    """The modules that make the model take the network's description, its checks and errors, and each other."""
    for name in ("builder", "edges", "layers", "model", "session", "self_test"):
        source = inspect.getsource(importlib.import_module(f"sdann.onnx_export.{name}"))
        froms = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
        assert {node.module for node in froms if node.level == 2} <= {"check", "errors", "graph"}, name
        assert not any(str(node.module).startswith(("sdann", "sim", "hdl")) for node in froms if node.level == 0), name


def test_names_of_layers_may_hold_slashes() -> None:
    only = single().layers[0]
    edge = Edge(source="a/weight", kind="conv", weight=weight(RNG, 2, 3, 1, 1))
    second = replace(only, name="a", shape=(2, 6, 5), edges=(edge,), bias=only.bias[:2], mult=only.mult[:2],
                     shift=only.shift[:2])  # fmt: skip
    network = replace(single(), layers=(replace(only, name="a/weight"), second))
    x = samples(network)
    found, golden = session.run(network, export_network(network), x), reference.run(network, x)
    for name in ("a/weight", "a"):
        np.testing.assert_array_equal(found.activations[name], golden.activations[name])


WIDE = Edge(source=INPUT, kind="conv", weight=np.full((3, 4, 3, 3), -128), padding=1, shift=25)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"mult": np.full(3, 1 << 45), "shift": np.full(3, 60)}, "requantization may reach"),
        ({"mult": np.full(3, 1), "shift": np.full(3, 63)}, "requantization may reach .*, with shift 63"),
        ({"mult": np.full(3, 1), "shift": np.full(3, 40), "bias": np.full(3, 1 << 22)}, "with shift 40"),
        ({"edges": (WIDE,), "membrane_bits": 20, "scaled": Scaled(mult1=(1 << 24) - 1, shift1=62)}, "mult1 may reach"),
    ],
)  # fmt: skip
def test_what_64_bits_cannot_hold_is_refused(fields, what) -> None:
    network = single(**{"mult": np.full(3, 1), "shift": np.full(3, 8), "bias": np.zeros(3, dtype=np.int64)} | fields)
    with pytest.raises(UnsupportedError, match=rf"layer 'only' cannot be exported: .*({what})"):
        export_network(network)


def deep(weights: list[int], signed: bool) -> QuantizedNetwork:
    """One linear layer of two neurons with these weights, on a vector."""
    rows = Edge(source=INPUT, kind="linear", weight=np.array([weights, weights])[:, :, None, None])
    plain = single((Edge(source=INPUT, kind="linear", weight=weight(RNG, 2, 4, 6, 5)),), shape=(2, 1, 1))
    layer = replace(
        plain.layers[0], edges=(rows,), signed=True, lo=-(1 << 15), hi=(1 << 15) - 1, mult=np.array([1, 3]),
        shift=np.array([18, 19]), bias=np.array([300, -20]),
    )  # fmt: skip
    return replace(plain, input_shape=(len(weights), 1, 1), input_signed=signed, layers=(layer,))


@pytest.mark.parametrize(
    ("weights", "signed", "form"),
    [
        ([-128] * 70000, False, "bit-planes"),  # the sum itself
        ([-128] * 60000, False, "whole sums"),
        ([127] * 30000 + [-128] * 20000, True, "whole sums"),
        ([127] * 40000 + [-128] * 20000, True, "bit-planes"),  # what comes before the sum: 128 times the weights
    ],
)
def test_sums_near_32_bits(weights: list[int], signed: bool, form: str) -> None:
    network = deep(weights, signed)
    low = -128 if signed else 0
    x = np.full((3, len(weights), 1, 1), low + 255)
    x[1] = np.random.default_rng(1).integers(low, low + 256, x[1].shape)
    x[2, :, 0, 0] = np.where(np.array(weights) > 0, low + 255, low)
    exported = export_network(network)
    assert exported.layers[0].form == form
    found, golden = session.run(network, exported, x), reference.run(network, x)
    np.testing.assert_array_equal(found.accumulators["only"], golden.accumulators["only"])
    np.testing.assert_array_equal(found.activations["only"], golden.activations["only"])
    assert abs(found.accumulators["only"]).max() > 1 << 29


def test_products_beyond_32_bits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdann.onnx_export.layers.product_bound", lambda weight, largest, zero: 1 << 31)
    with pytest.raises(UnsupportedError, match=r"I\(t\) may exceed the products' 32 bits"):
        export_network(single())


def test_files_beyond_2_gib_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdann.onnx_export.model.MOST_BYTES", 1000)
    with pytest.raises(UnsupportedError, match="an ONNX file holds 2"):
        export_network(single()).serialize()


def test_an_inconsistent_network_is_refused() -> None:
    network = single()
    with pytest.raises(SdannError, match="mult must be"):
        export_network(replace(network, layers=(replace(network.layers[0], mult=np.zeros(2, dtype=np.int64)),)))


def test_a_model_that_onnxruntime_refuses() -> None:
    with pytest.raises(SdannError, match=r"onnxruntime .* refuses the model"):
        session.open_session(b"no model")
