"""The comparison notices every constant of the exported model, and names layer, sample, neuron, expected and found."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sdann import reference
from sdann.errors import SdannError
from sdann.graph import INPUT, Pool, Scaled
from sdann.onnx_export import ACCUMULATORS, STAGE, ExportedNetwork, compare_with_onnxruntime, export_network, session
from sdann.random_networks import random_input, random_network

from .cases import samples, single

PLAIN = {"bias_mode": "sum", "bias": np.array([-2000, 0, 9000])}
DRLO = PLAIN | {"drlo": 3}
SIGNED = {"signed": True, "lo": -128, "hi": 127}
ROUNDED = {"rot": 2, "input_signed": True, "hi": 250}
SCALED = {"membrane_bits": 13, "scaled": Scaled(mult1=40001, shift1=17), **SIGNED}


def changed(exported: ExportedNetwork, name: str, change: Callable[[np.ndarray], np.ndarray]) -> ExportedNetwork:
    """A copy with the values of one constant changed."""
    model = onnx.ModelProto()
    model.CopyFrom(exported.model)
    (constant,) = (tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(constant)
    constant.CopyFrom(numpy_helper.from_array(change(values.copy()).astype(values.dtype), name))
    return replace(exported, model=model)


def rewired(exported: ExportedNetwork, operator: str, attribute: str, values: list[int]) -> ExportedNetwork:
    """A copy with an attribute of its nodes of one operator changed."""
    model = onnx.ModelProto()
    model.CopyFrom(exported.model)
    nodes = [node for node in model.graph.node if node.op_type == operator]
    assert nodes
    for node in nodes:
        (old,) = (a for a in node.attribute if a.name == attribute)
        old.CopyFrom(onnx.helper.make_attribute(attribute, values))
    return replace(exported, model=model)


def first_plus(amount: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(-1)
        flat[0] += amount
        return flat.reshape(values.shape)

    return change


def flipped(values: np.ndarray) -> np.ndarray:
    values[1, 2, 1, 0] ^= 1
    return values


MUTATIONS = {
    "a bit of a weight": (PLAIN, "only/weight", flipped),
    "zero point of the weights": (PLAIN, "only/uint8 128", first_plus(1)),
    "bias in the sum": (PLAIN, "only/bias", first_plus(300)),
    "scaled bias": (ROUNDED, "only/bias", first_plus(1 << 30)),
    "multiplier": (PLAIN, "only/mult", first_plus(200)),
    "shift": (PLAIN, "only/shift", first_plus(1)),
    "rounding": (SIGNED, "only/half", lambda values: values * 0),
    "lower clamp": (SIGNED, "only/lo", first_plus(1)),
    "upper clamp": (PLAIN, "only/hi", first_plus(-1)),
    "DRLO": (DRLO, "only/drlo", lambda values: np.arange(256)),
    "RoT's largest value": (ROUNDED, "only/largest", first_plus(4)),
    "RoT's grid": (ROUNDED, "only/int64 4", first_plus(4)),
    "sign of the input": (ROUNDED, "only/int32 128", first_plus(-1)),
    "V's upper end": (SCALED, "only/int64 4095", first_plus(1)),
    "V's lower end": (SCALED, "only/int64 -4096", first_plus(1)),
    "V doubled": (SCALED, "only/int64 2", first_plus(1)),
    "scale of I(t)": (SCALED, "only/int64 40001", first_plus(500)),
    "shift of I(t)": (SCALED, "only/shift1", first_plus(1)),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_changed_constant_is_found(mutation: str) -> None:
    fields, name, change = MUTATIONS[mutation]
    network = single(**fields)
    exported, x = export_network(network), samples(network)
    assert not any(row.mismatches for row in compare_with_onnxruntime(network, x, exported=exported))
    rows = compare_with_onnxruntime(network, x, exported=changed(exported, name, change))
    assert rows[1].mismatches > 0 or (rows[0].mismatches > 0 and "V" in mutation)


@pytest.mark.parametrize(
    ("operator", "changes"),
    [("ConvInteger", {"pads": [2, 2, 0, 0]}), ("MaxPool", {"pads": [1, 1, 0, 0], "kernel_shape": [3, 3]})],
)  # each leaves the map's shape as it is
def test_a_changed_window_is_found(operator: str, changes: dict[str, list[int]]) -> None:
    network = single(pool=Pool(kernel=2, stride=1))
    exported = export_network(network)
    for attribute, values in changes.items():
        exported = rewired(exported, operator, attribute, values)
    rows = compare_with_onnxruntime(network, samples(network), exported=exported)
    assert rows[1].mismatches > 0


def test_the_first_difference_is_named() -> None:
    rng = np.random.default_rng(8)
    network = random_network(rng, layers=3, edge_kinds=["conv"], sparsity=False, bias_modes=["sum"])
    x = random_input(network, rng, 12)
    name = network.layers[1].name
    golden = reference.run(network, x)
    assert not any(row.mismatches for row in compare_with_onnxruntime(network, x, golden=golden))
    wrong = {key: values.copy() for key, values in golden.accumulators.items()}
    wrong[name][7, 0, 0, 0] += 5
    rows = compare_with_onnxruntime(network, x, golden=replace(golden, accumulators=wrong))
    (row,) = (row for row in rows if row.mismatches)
    assert (row.stage, row.layer, row.mismatches) == (ACCUMULATORS, name, 1) and row.first is not None
    assert (row.first.sample, row.first.neuron) == (7, (0, 0, 0)) and row.first.expected == row.first.found + 5

    exported = changed(export_network(network), f"{name}/bias", lambda values: values + 9000)
    rows = compare_with_onnxruntime(network, x, exported=exported)
    first = next(row for row in rows if row.mismatches)
    assert (first.stage, first.layer) == (STAGE, name) and first.first is not None
    n, neuron = first.first.sample, first.first.neuron
    assert first.first.expected == golden.activations[name][(n, *neuron)] != first.first.found
    assert f"layer {name!r}, sample {n}, neuron (c, y, x) = {neuron}: expected" in str(first.first)


def test_one_flipped_input_bit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    network = single()
    x = samples(network)

    def flip(network: object, x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[0, 1, 2, 3] ^= 1
        return x

    monkeypatch.setattr(session, "check_input", flip)
    rows = compare_with_onnxruntime(network, x)
    assert rows[0].mismatches > 0 and rows[0].first is not None and rows[0].first.sample == 0


def test_bad_inputs_are_refused() -> None:
    network = single()
    with pytest.raises(SdannError, match=r"shape \[N, 4, 6, 5\]"):
        compare_with_onnxruntime(network, np.zeros((2, 4, 6, 4), dtype=np.int64))
    with pytest.raises(SdannError, match=r"must lie in 0\.\.255"):
        compare_with_onnxruntime(network, np.full((2, 4, 6, 5), 256))


def test_samples_do_not_depend_on_each_other() -> None:
    network = single()
    x = samples(network)
    assert INPUT not in session.run(network, export_network(network), x).activations
    whole, alone = (session.run(network, export_network(network), part) for part in (x, x[3:4]))
    assert (whole.activations["only"][3:4] == alone.activations["only"]).all()
