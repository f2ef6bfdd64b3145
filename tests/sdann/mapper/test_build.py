"""From a network to its passes: the same every time, within what was asked for, or refused with figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hdl.config import ChipConfig, preset
from hdl.program import Counter
from sdann import reference
from sdann.errors import DoesNotFitError, SdannError, UnsupportedError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.mapper import build, load_image, map_network, network_hash, plan_network
from sdann.mapper.build import NetworkMap
from sdann.mapper.check import check_image
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.plan import Frame
from sdann.mapper.work import assumed_spikes, count_spikes
from sdann.tile_model import TileModel

DEMO = preset("demo")
SMALL = DEMO.replace(rows=3, cols=3)
"""Too small for the digits at once."""


def described(mapped: NetworkMap) -> list[object]:
    return [
        (
            one.frame, one.tiles, one.method, one.traffic,
            {name: (g.boxes, g.channels, g.parts, g.load) for name, g in one.grids.items()},
        )
        for one in mapped.passes
    ]  # fmt: skip


@pytest.fixture(scope="module")
def several(digits: QuantizedNetwork) -> NetworkMap:
    return plan_network(digits, SMALL)


def test_same_arguments_same_map(digits: QuantizedNetwork, several: NetworkMap) -> None:
    again = plan_network(digits, SMALL)
    assert described(again) == described(several)
    assert [a.manifest for a in again.images()] == [a.manifest for a in several.images()]  # checksums included
    assert described(plan_network(digits, SMALL, cores=6)) != described(several)


def test_passes_follow_each_other(digits: QuantizedNetwork, several: NetworkMap) -> None:
    count = len(several.passes)
    assert count > 1
    for number, image in enumerate(several.images()):
        check_image(image)
        manifest = image.manifest
        assert (manifest.pass_number, manifest.passes) == (number, count)
        assert manifest.network_hash == network_hash(digits)
        one = several.passes[number]
        assert [entry.name for entry in image.sources] == list(one.frame.sources)
        assert [entry.name for entry in image.computed] == list(one.frame.layers)
        assert {(core.y, core.x) for core in manifest.cores} == {tile for own in one.tiles.values() for tile in own}
        assert one.cores == len(image.cores)
        assert (image.output_layer is not None) == (number == count - 1)


def test_a_pass_survives_its_file(several: NetworkMap, tmp_path: Path) -> None:
    for number, image in enumerate(several.images()):
        image.save(tmp_path / f"{number}.sdann")
        loaded = load_image(tmp_path / f"{number}.sdann")
        assert loaded.manifest == image.manifest
        for core, memories in image.memories.items():
            assert all((loaded.memories[core][memory] == blob).all() for memory, blob in memories.items())
        assert [(e.name, e.held) for e in loaded.manifest.layers] == [(e.name, e.held) for e in image.manifest.layers]


def test_the_solver_sees_the_same_order_in_every_run() -> None:
    """Not that of a set of names, which changes from one Python process to the next."""
    one, ones = np.ones((2, 1, 1, 1), dtype=np.int64), np.ones(2, dtype=np.int64)
    names = [INPUT, *(f"l{n}" for n in range(9))]
    layers = tuple(
        Layer(
            name=name, shape=(2, 1, 1), mult=ones, shift=ones, bias=0 * ones, bias_mode="sum", lo=0, hi=255,
            edges=tuple(Edge(source=source, kind="depthwise", weight=one) for source in names[:number]),
        )
        for number, name in enumerate(names) if number
    )  # fmt: skip
    network = QuantizedNetwork(
        name="n", input_shape=(2, 1, 1), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=layers,
    )  # fmt: skip
    whole = RegionEntry(y0=0, height=1, x0=0, width=1, channel0=0, channels=2)
    frame = Frame(sources={INPUT: whole}, layers=dict.fromkeys(names[1:], whole))
    links = build._links(network, frame, assumed_spikes(network, 2))
    assert list(links) == [(source, name) for number, name in enumerate(names) for source in names[:number]]


def test_progress_is_told(digits: QuantizedNetwork, several: NetworkMap) -> None:
    told: list[tuple[int, int]] = []
    plan_network(digits, SMALL, progress=lambda done, total: told.append((done, total)))
    count = len(several.passes)
    assert told == [(n + 1, count) for n in range(count)]


def test_given_cuts_are_kept(digits: QuantizedNetwork) -> None:
    image = map_network(digits, DEMO, {"conv2": (2, 2), INPUT: (2, 1), "linear": (1, 1)})
    assert image.tiles_of("conv2") == (2, 1, 2, 1)
    assert image.tiles_of(INPUT) == (2, 1, 1, 1)
    assert image.tiles_of("linear") == (1, 1, 1, 2)  # its weights take two cores
    with pytest.raises(DoesNotFitError, match="'conv9', which is not in the network"):
        plan_network(digits, DEMO, overrides={"conv9": (1, 1)})
    with pytest.raises(DoesNotFitError, match=r"'pool' cannot be cut into \(5, 1\): it has 4 rows, 4 channel groups"):
        map_network(digits, DEMO, {"pool": (5, 1)})
    with pytest.raises(DoesNotFitError, match=r"'conv2' cut into 1 row x 1 channel tile.*neuron_words 256 .* has 64"):
        map_network(digits, DEMO, {"conv2": (1, 1)})
    with pytest.raises(DoesNotFitError, match=r"needs \d+ cores, the chip has 15 \(input 1, conv1 8, conv2 16"):
        map_network(digits, DEMO, {"conv1": (8, 1), "conv2": (8, 1)})


@pytest.mark.parametrize("cores", [6, 8, 14, 15])
def test_no_more_cores_than_asked_for(digits: QuantizedNetwork, cores: int) -> None:
    mapped = plan_network(digits, DEMO, cores=cores)
    assert max(one.cores for one in mapped.passes) <= cores
    assert (len(mapped.passes) == 1) == (cores >= 14)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rows": 3}, r"needs 14 cores, the chip has 11 \(input 1, conv1 2, conv2 4, pool 1, conv3 4, linear 2\)"),
        ({"stages": 4}, "the network needs stages 5, the chip has 4"),
        ({"weight_words": 64, "parts": 1}, "layer 'conv2', cut .*needs weight_words 144 per core, the chip has 64"),
    ],
)  # fmt: skip
def test_what_does_not_fit_at_once_is_refused(digits: QuantizedNetwork, fields: dict[str, int], words: str) -> None:
    with pytest.raises(DoesNotFitError, match=words):
        plan_network(digits, DEMO.replace(**fields), one_pass=True)


def test_fewer_cores_where_routes_run_out(residual: QuantizedNetwork) -> None:
    """More cores for a layer mean more routes of those before it."""
    config = preset("test").replace(rows=6, cols=6, edges=4)
    many = plan_network(residual, config.replace(routes=64), one_pass=True).passes[0]
    few = plan_network(residual, config.replace(routes=2), one_pass=True).passes[0]
    assert few.cores < many.cores
    assert max(grid.load for grid in few.grids.values()) > max(grid.load for grid in many.grids.values())
    with pytest.raises(DoesNotFitError, match=r"'input' needs routes 3 per core .* the chip has 1: use fewer cores"):
        plan_network(residual, config.replace(routes=1), one_pass=True)


def test_faulty_arguments(digits: QuantizedNetwork) -> None:
    with pytest.raises(SdannError, match="counted in groups of 4 lanes, the chip has 8"):
        plan_network(digits, DEMO, spikes=assumed_spikes(digits, 4))
    with pytest.raises(SdannError, match="a layer needs at least one edge"):
        plan_network(replace(digits, layers=(replace(digits.layers[0], edges=()),)), DEMO)
    first, second, *rest = digits.layers
    unread = replace(second, name="extra")
    with pytest.raises(UnsupportedError, match="'extra' is read by no layer; only the last one is read out"):
        plan_network(replace(digits, layers=(first, unread, second, *rest)), DEMO)


def test_signed_skips_that_are_too_long_are_refused(residual: QuantizedNetwork) -> None:
    config = preset("test").replace(rows=6, cols=6, edges=4, routes=16)
    plan_network(residual, config)
    last = residual.layers[-1]
    weight = np.ones((3, 6, 6, 5), dtype=np.int64)
    skip = replace(last, edges=(*last.edges, Edge(source=INPUT, kind="linear", weight=weight)))
    network = replace(residual, layers=(residual.layers[0], skip))
    assert len(plan_network(network, config.replace(slots=3)).relayed.layers) == 2
    with pytest.raises(UnsupportedError, match="'linear' reads the signed input over 2 stages"):
        plan_network(network, config.replace(slots=2))


def hot() -> tuple[QuantizedNetwork, ChipConfig, np.ndarray]:
    """A network whose input is busy in four of its twelve rows."""
    ones = np.ones(4, dtype=np.int64)
    layer = Layer(
        name="a", shape=(4, 12, 1), mult=ones, shift=ones, bias=0 * ones, bias_mode="sum", lo=0, hi=255,
        edges=(Edge(source=INPUT, kind="conv", weight=np.ones((4, 16, 1, 1), dtype=np.int64)),),
    )  # fmt: skip
    network = QuantizedNetwork(
        name="hot", input_shape=(16, 12, 1), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(layer,),
    )  # fmt: skip
    x = np.zeros((2, 16, 12, 1), dtype=np.int64)
    x[:, :, 4:8] = 255
    config = preset("test").replace(rows=1, cols=5, map_side=12, routes=32, readout_depth=512, neuron_words=48)
    return network, config, x


def test_spikes_of_a_calibration_run_even_out_the_work() -> None:
    network, config, x = hot()
    spikes = count_spikes(network, reference.run(network, x).activations, config.lanes)
    busiest = []
    for known in (None, spikes):
        image = plan_network(network, config, spikes=known, one_pass=True).image(0)
        found = TileModel(image).run(x)
        busiest.append(max(counts[Counter.SOPS] for counts in found.counters.values()))
        np.testing.assert_array_equal(found.activations["a"], reference.run(network, x).activations["a"])
    assert busiest[1] <= 0.75 * busiest[0]
