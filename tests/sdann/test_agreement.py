"""Golden and spiking models agree on every network of the zoo, and a fault is seen."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sdann import stem
from sdann.agreement import SPIKING, compare
from sdann.errors import MismatchError, SdannError
from sdann.fast import SpikingNetwork
from sdann.graph import IntArray, QuantizedNetwork
from sdann.liveness import LEAST_ALIVE
from sdann.memory import peak_memory, reset_peak_memory
from sdann.training import save_float
from sdann.zoo import NETWORKS, TABLE2, network_spec
from sdann.zoo_network import zoo_network

torch.set_num_threads(1)


@pytest.mark.parametrize("name", NETWORKS)
def test_narrow_networks_agree(name: str) -> None:
    made = zoo_network(name, width=2, calibration=2)
    found = compare(made.network, made.x)
    assert found.problems() == [] and found.different == {"fast": 0, "stem": 0}
    assert found.samples == 2 and [layer.layer for layer in found.layers] == [la.name for la in made.network.layers]
    assert found.compared == 2 * sum(int(np.prod(layer.output_shape)) for layer in made.network.layers)
    assert found.least_alive.alive >= LEAST_ALIVE


@pytest.mark.long
@pytest.mark.parametrize("name", ["cifar10net", *TABLE2])
def test_full_networks_agree(name: str) -> None:
    """Seeded weights; up to 4 GiB."""
    made = zoo_network(name)
    found = compare(made.network, made.x)
    assert found.problems() == [] and found.different == {"fast": 0, "stem": 0}


@pytest.fixture(scope="module")
def made() -> Any:
    return zoo_network("digit-resnet", width=4)


def one_weight(network: QuantizedNetwork, layer: int) -> QuantizedNetwork:
    """``network`` with one weight of ``layer`` changed by one."""
    old = network.layers[layer]
    weight = old.edges[0].weight.copy()
    weight.flat[0] += 1 if weight.flat[0] < 0 else -1
    new = replace(old, edges=(replace(old.edges[0], weight=weight), *old.edges[1:]))
    return replace(network, layers=(*network.layers[:layer], new, *network.layers[layer + 1 :]))


def test_a_changed_weight_is_seen_in_its_layer(made: Any) -> None:
    def wrong(network: QuantizedNetwork, x: IntArray) -> Any:
        result = SpikingNetwork(one_weight(network, 1)).run(x)
        return result.activations, result.sops

    heard: list[str] = []
    found = compare(made.network, made.x, models={"fast": wrong, "stem": SPIKING["stem"]}, done=heard.append)
    assert heard == ["golden", "fast", "stem"] == list(found.seconds)
    assert found.layers[0].different == {"fast": 0, "stem": 0} and found.layers[1].different["fast"] > 0
    assert found.different["fast"] >= found.layers[1].different["fast"] and found.different["stem"] == 0
    first, *_ = found.problems()
    name = made.network.layers[1].name
    assert first.startswith(
        f"digit-resnet, layer {name!r}: {found.layers[1].different['fast']:,} of 512 activations of"
    )
    assert "first: golden " in first and "at sample, channel, row, column (" in first


def test_one_activation_and_one_sop_are_seen(made: Any) -> None:
    last = made.network.layers[-1].name

    def wrong(network: QuantizedNetwork, x: IntArray) -> Any:
        result = stem.run(network, x, record=())
        result.activations[last][1, 7, 0, 0] -= 1
        return result.activations, result.sops | {last: result.sops[last] + 1}

    found = compare(made.network, made.x, models={"stem": wrong})
    assert found.different == {"stem": 1} and found.layers[-1].different == {"stem": 1}
    place, sops = found.problems()
    assert "1 of 20 activations of stem differ" in place and "row, column (1, 7, 0, 0)" in place
    assert f"{found.layers[-1].sops + 1:,} SOPs in stem, {found.layers[-1].sops:,} in the golden" in sops


def test_a_map_of_another_shape_is_refused(made: Any) -> None:
    name = made.network.layers[0].name

    def wrong(network: QuantizedNetwork, x: IntArray) -> Any:
        result = stem.run(network, x, record=())
        result.activations[name] = result.activations[name][:1]  # would compare by broadcasting
        return result.activations, result.sops

    with pytest.raises(MismatchError, match=rf"stem gives layer {name!r} the shape \(1, 4, 8, 8\), not \(2, 4, 8, 8\)"):
        compare(made.network, made.x, models={"stem": wrong})


def test_dead_layers_are_problems(made: Any) -> None:
    layer = made.network.layers[1]
    dead = replace(layer, bias=layer.bias - 1_000_000)
    network = replace(made.network, layers=(made.network.layers[0], dead, *made.network.layers[2:]))
    found = compare(network, made.x)
    assert found.least_alive.layer == layer.name and found.least_alive.alive == 0
    (problem,) = found.problems()
    assert f"layer {layer.name!r}: 0.0% of its activations are not zero, less than 10.0%" in problem
    assert found.problems(0) == []
    alive = compare(made.network, made.x)
    assert len(alive.problems(1)) == sum(layer.alive < 1 for layer in alive.layers[:-1]) > 3  # the last one may be


def test_trained_networks_take_the_data_they_are_told(tmp_path: Path) -> None:
    spec = network_spec("resnet18-cifar", width=2)
    path = tmp_path / "net.safetensors"
    torch.manual_seed(0)
    model = spec.build()
    save_float(model, spec.name, path, **spec.options)
    trained = zoo_network(str(path), data="digits32")
    assert (trained.weights, trained.inputs) == (str(path), "digits32") and not trained.network.input_signed
    photos = zoo_network(str(path), samples=3)
    assert photos.inputs == "photographs" and photos.network.input_signed and len(photos.x) == 3
    assert zoo_network("digit-cnn", width=2).inputs == "digits"
    with pytest.raises(SdannError, match="a trained network has its own width; leave --width out"):
        zoo_network(str(path), width=3)
    with pytest.raises(SdannError, match="unknown network 'lenet'"):
        zoo_network("lenet")
    with pytest.raises(SdannError, match="take at least 1 sample, and 2 images to calibrate with"):
        zoo_network("digit-cnn", calibration=1)
    with pytest.raises(SdannError, match="digits has 360 images of a kind, not 361"):
        zoo_network("digit-cnn", samples=361)


def test_peak_memory_counts_from_its_reset() -> None:
    size = 1 << 25
    reset_peak_memory()
    before = peak_memory()
    if not Path("/proc/self/status").exists():
        assert before is None
        return
    held = np.ones(size)
    peak = peak_memory()
    assert before is not None and peak is not None and peak >= before + 4 * size  # of its 8 bytes each
    del held
    reset_peak_memory()
    assert (peak_memory() or 0) < peak - 4 * size
