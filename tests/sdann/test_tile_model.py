"""The tile model, which sees only the image, equals the golden model to the last count; damage to the image shows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hdl.config import ChipConfig, preset
from hdl.pack import pack, unpack
from hdl.program import Counter, Memory, memory_layouts
from sdann import golden, golden_planes, reference
from sdann.errors import DoesNotFitError, SdannError
from sdann.golden import GoldenResult
from sdann.graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork
from sdann.mapper import ProgramImage, map_network
from sdann.random_networks import random_input, random_network
from sdann.tile_model import TileModel, TileResult

MODES: dict[str, dict[str, Any]] = {
    "exact": {"max_kernel": 4},
    "two edges": {"max_edges": 2},
    "signed": {"signed_input": True, "signed_output": True},
    "T = 4": {"time_steps": 4, "signed_input": True},
    "scaled 16 bit": {"scaled": True, "membrane_bits": 16, "max_edges": 2},
    "saturating": {"membrane_bits": 12},
    "narrow": {"weight_bits": 5, "time_steps": 3},
}


def differences(network: QuantizedNetwork, expected: GoldenResult, image: ProgramImage, found: TileResult) -> list[str]:
    """Names of everything in which the two results differ."""
    wrong = [f"activations of {n}" for n, a in expected.activations.items() if (a != found.activations[n]).any()]
    if (found.readout != expected.activations[network.layers[-1].name]).any():
        wrong.append("read-out")
    for layer in network.layers:
        cores = [found.counters[c.y, c.x] for c in image.cores_of(layer.name)]
        if expected.sops[layer.name] != found.sops(image, layer.name):
            wrong.append(f"SOPs of {layer.name}")
        if expected.saturations[layer.name] != sum(c[Counter.SATURATIONS] for c in cores):
            wrong.append(f"saturations of {layer.name}")
        if any(c[Counter.OVERFLOW] != (c[Counter.SATURATIONS] > 0) for c in cores):
            wrong.append(f"overflow of {layer.name}")
    if any(c[Counter.REJECTED] or c[Counter.DROPPED] for c in found.counters.values()) or found.stray:
        wrong.append("rejected, dropped or stray flits")
    return wrong


@pytest.mark.parametrize("mode", MODES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_equals_golden_on_random_networks_and_chips(mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    options = MODES[mode]
    network = random_network(rng, layers=int(rng.integers(1, 4)), channels=9, max_side=6, **options)
    lanes = int(rng.choice([2, 4, 8]))
    config = preset("test").replace(
        rows=6, cols=6, lanes=lanes, requant_lanes=int(rng.choice([1, 2])), weight_words=1024, neuron_words=90,
        routes=int(rng.choice([4, 12])), group_words=5, membrane_bits=options.get("membrane_bits", 32),
        weight_bits=options.get("weight_bits", 8), readout_depth=1024,
        time_steps=int(rng.choice([8, 9])), data_bits=int(rng.choice([8, 16])),
    )  # fmt: skip
    cuts = {
        name: (int(rng.integers(1, min(3, shape[1]) + 1)), int(rng.integers(1, min(3, -(-shape[0] // lanes)) + 1)))
        for name in (INPUT, *(layer.name for layer in network.layers))
        if rng.random() < 0.7 and (shape := network.shape_of(name))
    }
    try:
        image = map_network(network, config, cuts)
    except DoesNotFitError:
        assume(False)
    x = random_input(network, rng, int(rng.integers(1, 4)))
    assert differences(network, reference.run(network, x), image, TileModel(image).run(x)) == []


# -- one small network on many tiles, for everything that needs a known map ------------------------------


def small_network() -> QuantizedNetwork:
    """Signed input; a convolution with a second edge, to be cut over rows and channels; pooling; a linear layer."""
    rng = np.random.default_rng(5)

    def weight(*shape: int) -> IntArray:
        return np.asarray(rng.integers(-100, 128, shape), dtype=np.int64)

    def layer(
        name: str, shape: tuple[int, int, int], edges: tuple[Edge, ...], shift: int, hi: int, **more: Any
    ) -> Layer:
        mult = np.full(shape[0], 40000) - 1000 * np.arange(shape[0])
        return Layer(
            name=name, shape=shape, edges=edges, mult=mult, shift=np.full(shape[0], shift),
            bias=np.arange(shape[0]) * 3 + 5, bias_mode="scaled", lo=more.pop("lo", 0), hi=hi, **more,
        )  # fmt: skip

    return QuantizedNetwork(
        name="small", input_shape=(3, 6, 4), input_signed=True, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(
            layer("conv", (6, 6, 4), (
                Edge(source=INPUT, kind="conv", weight=weight(6, 3, 3, 3), padding=1),
                Edge(source=INPUT, kind="conv", weight=weight(6, 3, 1, 1), shift=1),
            ), 24, 255),
            layer("half", (6, 3, 2), (
                Edge(source="conv", kind="depthwise", weight=weight(6, 1, 2, 2), stride=2),
            ), 23, 255),
            layer("linear", (5, 1, 1), (
                Edge(source="half", kind="linear", weight=weight(5, 6, 3, 2)),
            ), 24, 127, lo=-128, signed=True),
        ),
    )  # fmt: skip


CHIP: ChipConfig = preset("test").replace(rows=4, cols=4, routes=8)
CUTS = {INPUT: (2, 1), "conv": (2, 2), "half": (1, 2), "linear": (1, 2)}


@pytest.fixture(scope="module")
def case() -> tuple[QuantizedNetwork, ProgramImage, IntArray, GoldenResult]:
    network = small_network()
    x = random_input(network, np.random.default_rng(6), 5)
    return network, map_network(network, CHIP, CUTS), x, golden.run(network, x)


Case = tuple[QuantizedNetwork, ProgramImage, IntArray, GoldenResult]


def test_small_network(case: Case) -> None:
    network, image, x, expected = case
    model = TileModel(image)
    result = model.run(x)
    assert differences(network, expected, image, result) == []
    for name, activations in expected.activations.items():
        assert np.count_nonzero(activations) > 0.2 * activations.size, name
    again = model.run(x)  # every run starts afresh
    assert again.counters == result.counters
    assert (again.readout == result.readout).all()


def test_other_tilings_change_nothing_but_traffic(case: Case) -> None:
    network, image, x, expected = case
    one = map_network(network, CHIP.replace(neuron_words=64, weight_words=256), dict.fromkeys(CUTS, (1, 1)))
    assert (len(one.cores), len(image.cores)) == (4, 10)
    found = TileModel(one).run(x)
    assert differences(network, expected, one, found) == []


def test_samples_do_not_touch_each_other(case: Case) -> None:
    _, image, x, _ = case
    together = TileModel(image).run(x)
    alone = [TileModel(image).run(x[n : n + 1]) for n in range(len(x))]
    assert (together.readout == np.concatenate([r.readout for r in alone])).all()
    for core, counters in together.counters.items():
        for counter in (Counter.SOPS, Counter.SPIKES_IN, Counter.SPIKES_OUT, Counter.HOPS):
            assert counters[counter] == sum(r.counters[core][counter] for r in alone), (core, counter)


def test_trace_is_the_planes_golden(case: Case) -> None:
    _, image, x, expected = case
    traces = TileModel(image).run(x, trace=True).traces
    for name, v in expected.accumulators.items():
        for neuron in np.ndindex(*v.shape[1:]):
            core, word, lane = image.locate(name, neuron)  # type: ignore[arg-type]
            isum, membrane = traces[core].isum[:, :, word, lane], traces[core].membrane[:, :, word, lane]
            assert (membrane[:, -1] == v[(slice(None), *neuron)]).all()
            assert (isum @ (1 << np.arange(7, -1, -1)) == v[(slice(None), *neuron)]).all()


def test_words_are_what_the_chip_answers(case: Case) -> None:
    _, image, x, expected = case
    words = TileModel(image).run(x).words
    for name, a in expected.activations.items():
        packed = {core: [sum(int(v) << (8 * i) for i, v in enumerate(w)) for w in words[core][2]] for core in words}
        assert (image.assemble(name, packed) == a[2]).all()


def test_spikes_and_hops(case: Case) -> None:
    """Counters that the golden model does not have, from the activations and the map."""
    _, image, x, expected = case
    found = TileModel(image).run(x)
    for layer in (INPUT, "conv", "half"):
        bits = sum(int(((expected.activations[layer] >> b) & 1).sum()) for b in range(8))
        assert sum(found.counters[c.y, c.x][Counter.SPIKES_OUT] for c in image.cores_of(layer)) == bits
    # both channel tiles of the linear layer hear every spike of the layer before, those of "half" only their own
    for layer, source, times in (("linear", "half", 2), ("half", "conv", 1)):
        bits = sum(int(((expected.activations[source] >> b) & 1).sum()) for b in range(8))
        assert sum(found.counters[c.y, c.x][Counter.SPIKES_IN] for c in image.cores_of(layer)) == times * bits
    # every bundle along its tree
    hops = 0
    for core, entry in image.cores.items():
        if entry.layer == "linear":
            continue  # its read-outs are not spikes
        r, lanes = entry.region, CHIP.lanes
        values = expected.activations[entry.layer][
            :, r.channel0 : r.channel0 + r.channels, r.y0 : r.y0 + r.height
        ]  # fmt: skip
        for route in (unpack(memory_layouts(CHIP)[Memory.ROUTE], w) for w in image.words(core, Memory.ROUTE)):
            d, flits = {k: route[f"dst.{k}"] for k in ("y0", "y1", "x0", "x1")}, 0
            for group in range(r.channel0 // lanes, -(-(r.channel0 + r.channels) // lanes)):
                if route["group0"] <= group <= route["group1"]:
                    first = group * lanes - r.channel0
                    rows = slice(max(0, route["y0"] - r.y0), max(0, route["y1"] - r.y0 + 1))
                    part = values[:, first : first + lanes, rows, route["x0"] : route["x1"] + 1]
                    flits += sum(int(((part >> b) & 1).any(axis=1).sum()) for b in range(8))
            trunk = max(core[1], d["x1"]) - min(core[1], d["x0"])
            branch = max(core[0], d["y1"]) - min(core[0], d["y0"])
            hops += flits * (trunk + (d["x1"] - d["x0"] + 1) * branch)
    assert sum(c[Counter.HOPS] for c in found.counters.values()) == hops > 0


# -- mutations: every kind of damage is noticed ------------------------------------------------------------


def mutated(
    image: ProgramImage, layer: str, index: int, memory: Memory, address: int, change: Callable[[Any], Any]
) -> ProgramImage:
    entry = image.cores_of(layer)[index]
    core, layout = (entry.y, entry.x), memory_layouts(image.config)[memory]
    fields = unpack(layout, image.words(core, memory)[address])
    before = pack(layout, fields)
    change(fields)
    assert pack(layout, fields) != before
    return image.with_word(core, memory, address, pack(layout, fields))


def _rectangle(*ends: int) -> dict[str, int]:
    return dict(zip(("dst.y0", "dst.y1", "dst.x0", "dst.x1"), ends, strict=True))


def flip(lane: int, bit: int) -> Callable[[Any], Any]:
    def change(lanes: dict[str, int]) -> None:
        value = (lanes[str(lane)] ^ (1 << bit)) & 255
        lanes[str(lane)] = value - 256 if value > 127 else value

    return change


MUTATIONS: dict[str, tuple[str, int, Memory, int, Callable[[Any], Any]]] = {
    **{
        f"weight bit {bit} of {layer} core {index}": (layer, index, Memory.WEIGHT, address, flip(lane, bit))
        for layer, index, address, lane in (
            ("conv", 0, 5, 0),
            ("conv", 3, 8, 1),
            ("half", 1, 2, 1),
            ("linear", 0, 9, 3),
        )
        for bit in (7, 5)
    },
    "bias": ("conv", 1, Memory.REQUANT, 0, lambda f: f.update({"0.bias": f["0.bias"] ^ 1})),
    "bias of the last layer": ("linear", 1, Memory.REQUANT, 0, lambda f: f.update({"0.bias": f["0.bias"] ^ 1})),
    "mult": ("half", 0, Memory.REQUANT, 1, lambda f: f.update({"1.mult": f["1.mult"] ^ (1 << 13)})),
    "shift": ("conv", 2, Memory.REQUANT, 1, lambda f: f.update({"0.shift": f["0.shift"] ^ 1})),
    "clamp": ("conv", 0, Memory.CORE, 0, lambda f: f.update(hi=127)),
    "RoT": ("conv", 0, Memory.CORE, 0, lambda f: f.update(rot=1)),
    "DRLO": ("half", 1, Memory.CORE, 0, lambda f: f.update(drlo=2)),
    "scaling": ("conv", 0, Memory.CORE, 0, lambda f: f.update(scaled=1, mult1=60000, shift1=16)),
    "where the bias enters": ("conv", 0, Memory.CORE, 0, lambda f: f.update(bias_in_sum=1)),
    "existing lanes": ("conv", 1, Memory.CORE, 0, lambda f: f.update(last_lanes=1)),
    "map row of the region": ("conv", 2, Memory.CORE, 0, lambda f: f.update(y0=2)),
    "map group of the region": ("half", 1, Memory.CORE, 0, lambda f: f.update(group0=0)),
    "signed source": ("conv", 0, Memory.EDGE, 0, lambda f: f.update(signed=0)),
    "unsigned source": ("half", 0, Memory.EDGE, 0, lambda f: f.update(signed=1)),
    "edge shift": ("conv", 3, Memory.EDGE, 1, lambda f: f.update(shift=0)),
    "edge disabled": ("conv", 3, Memory.EDGE, 1, lambda f: f.update(enable=0)),
    "stride": ("half", 0, Memory.EDGE, 0, lambda f: f.update(stride_log2=0)),
    "y offset": ("conv", 2, Memory.EDGE, 0, lambda f: f.update(y_offset=f["y_offset"] - 1)),
    "x offset": ("conv", 2, Memory.EDGE, 0, lambda f: f.update(x_offset=0)),
    "kernel height": ("linear", 0, Memory.EDGE, 0, lambda f: f.update(kernel_h=2)),
    "kernel width": ("conv", 0, Memory.EDGE, 0, lambda f: f.update(kernel_w=2)),
    "accepted groups": ("half", 1, Memory.EDGE, 0, lambda f: f.update(group0=0)),
    "row shift": ("conv", 0, Memory.EDGE, 0, lambda f: f.update(row_shift=1)),
    "weight stride": ("conv", 0, Memory.EDGE, 0, lambda f: f.update(stride_y=f["stride_y"] - 1)),
    "group stride": ("linear", 0, Memory.EDGE, 0, lambda f: f.update(stride_g=f["stride_g"] - 1)),
    "weight base": ("conv", 0, Memory.EDGE, 1, lambda f: f.update(weight_base=f["weight_base"] - 1)),
    "depthwise": ("half", 0, Memory.EDGE, 0, lambda f: f.update(depthwise=0)),
    "route edge": ("input", 0, Memory.ROUTE, 0, lambda f: f.update(edge=1)),
    "route rows end early": ("input", 0, Memory.ROUTE, 0, lambda f: f.update(y1=f["y1"] - 1)),
    "route columns start late": ("input", 1, Memory.ROUTE, 0, lambda f: f.update(x0=1)),
    "route group": ("conv", 0, Memory.ROUTE, 0, lambda f: f.update(group0=1, group1=1)),
    "route count": ("input", 0, Memory.CORE, 0, lambda f: f.update(routes=f["routes"] - 1)),
    "multicast cut to one tile": (
        "input",
        0,
        Memory.ROUTE,
        0,
        lambda f: f.update({"dst.x1": f["dst.x0"], "dst.y1": f["dst.y0"]}),
    ),
    "multicast to a free tile": ("half", 0, Memory.ROUTE, 0, lambda f: f.update(_rectangle(0, 3, 0, 3))),
    "inverted rectangle": ("half", 0, Memory.ROUTE, 0, lambda f: f.update({"dst.x0": 3, "dst.x1": 0})),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_damage_is_noticed(case: Case, name: str) -> None:
    network, image, x, expected = case
    layer, index, memory, address, change = MUTATIONS[name]
    damaged = mutated(image, layer, index, memory, address, change)
    assert differences(network, expected, damaged, TileModel(damaged).run(x)), "the damage went unnoticed"


def test_a_missing_halo_is_noticed(case: Case) -> None:
    """Rows that two row tiles share are sent to the first one only."""
    network, image, x, expected = case
    for index, entry in enumerate(image.cores_of(INPUT)):
        routes = image.words((entry.y, entry.x), Memory.ROUTE)
        fields = [unpack(memory_layouts(CHIP)[Memory.ROUTE], w) for w in routes]
        shared = [i for i, d in enumerate(fields) if d["dst.y1"] > d["dst.y0"]]
        assert shared
        for address in shared:
            damaged = mutated(image, INPUT, index, Memory.ROUTE, address, lambda f: f.update({"dst.y1": f["dst.y0"]}))
            found = differences(network, expected, damaged, TileModel(damaged).run(x))
            assert "activations of conv" in found
            assert "SOPs of conv" in found


def test_flits_that_nobody_takes_are_counted(case: Case) -> None:
    _, image, x, _ = case
    good = TileModel(image).run(x)
    name = "half"
    dst = _rectangle(3, 0, 0, 0)
    source = image.cores_of(name)[0].y, image.cores_of(name)[0].x
    dropped = TileModel(mutated(image, name, 0, Memory.ROUTE, 0, lambda f: f.update(dst))).run(x)
    assert dropped.counters[source][Counter.DROPPED] > 0
    host = _rectangle(0, 0, 0, 0)
    stray = TileModel(mutated(image, name, 0, Memory.ROUTE, 0, lambda f: f.update(host))).run(x)
    assert stray.stray == dropped.counters[source][Counter.DROPPED]
    free = next(t for t in CHIP.cores if t not in image.cores)
    there = _rectangle(free[0], free[0], free[1], free[1])
    rejected = TileModel(mutated(image, name, 0, Memory.ROUTE, 0, lambda f: f.update(there))).run(x)
    assert rejected.counters[free][Counter.REJECTED] == stray.stray
    assert good.counters[source][Counter.DROPPED] == good.counters[free][Counter.REJECTED] == good.stray == 0


def test_isum_wraps_in_any_order(case: Case) -> None:
    """A chip with a narrow I(t) gives the same, but for sums that do not fit it: those wrap, they do not saturate."""
    network, _, x, expected = case
    narrow = CHIP.replace(isum_bits=14)
    image = map_network(network, narrow, CUTS)
    assert differences(network, expected, image, TileModel(image).run(x)) == []
    core = image.cores_of("linear")[0]
    # the mapper would refuse this one: the same words on a chip with fewer bits
    manifest = image.manifest.model_copy(update={"chip": narrow.replace(isum_bits=9).as_dict()})
    wrapped = TileModel(ProgramImage(manifest, image.memories)).run(x, trace=True).traces[core.y, core.x].isum
    exact = TileModel(image).run(x, trace=True).traces[core.y, core.x].isum
    assert wrapped.min() >= -256
    assert wrapped.max() < 256
    assert np.abs(exact).max() >= 256


def test_planes_golden_in_scaled_mode_with_signed_input() -> None:
    rng = np.random.default_rng(8)
    scaled = random_network(rng, layers=3, scaled=True, membrane_bits=16, signed_input=True)
    x = random_input(scaled, rng, 4)
    image = map_network(scaled, CHIP.replace(membrane_bits=16, neuron_words=64, weight_words=512))
    assert differences(scaled, golden_planes.run(scaled, x), image, TileModel(image).run(x)) == []
    assert any(layer.scaled for layer in scaled.layers)


def test_wrong_input_is_refused(case: Case) -> None:
    _, image, x, _ = case
    with pytest.raises(SdannError, match="must be"):
        TileModel(image).run(x[0])
    with pytest.raises(SdannError, match=r"takes -128\.\.127"):
        TileModel(image).run(x + 300)
    broken = mutated(image, "linear", 0, Memory.CORE, 0, lambda f: f.update(stage=7))
    with pytest.raises(SdannError, match="sent no read-out for sample"):
        TileModel(broken).run(x)
