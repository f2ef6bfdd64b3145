"""Passes and cores: the best shares of the cores, each activation computed once and from what is there."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hdl.config import ChipConfig, preset
from sdann.errors import DoesNotFitError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.mapper.geometry import groups_of
from sdann.mapper.grids import Grid
from sdann.mapper.limits import check_limits
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.plan import Frame, Planner, allocate
from sdann.mapper.relays import with_relays
from sdann.mapper.work import assumed_spikes, with_repeated
from sdann.passes import inside
from sdann.random_networks import FEATURES, random_network

DEMO = preset("demo")


def grid(name: str, cores: int, load: float) -> Grid:
    return Grid(name=name, boxes=(((0, 1), (0, 1)),) * cores, channels=((0, 1),), load=load)


@st.composite
def fronts(draw: st.DrawFn) -> dict[str, list[Grid]]:
    """Options with rising cores and falling load."""
    found = {}
    for number in range(draw(st.integers(1, 4))):
        cores = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True))
        loads = draw(st.lists(st.integers(0, 12), min_size=len(cores), max_size=len(cores), unique=True))
        pairs = zip(sorted(cores), sorted(loads, reverse=True), strict=True)
        found[f"n{number}"] = [grid(f"n{number}", c, float(load)) for c, load in pairs]
    return found


@given(options=fronts(), budget=st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_allocation_is_the_best_there_is(options: dict[str, list[Grid]], budget: int) -> None:
    choices = [
        (max(g.load for g in some), sum(g.cores for g in some))
        for some in product(*options.values())
        if sum(g.cores for g in some) <= budget
    ]
    if not choices:
        needed = sum(grids[0].cores for grids in options.values())
        with pytest.raises(DoesNotFitError, match=rf"needs {needed} cores, the chip has {budget} \(n0 \d+"):
            allocate(options, budget)
        return
    chosen = allocate(options, budget)
    assert list(chosen) == list(options)
    assert all(some in options[name] for name, some in chosen.items())
    found = max(some.load for some in chosen.values()), sum(some.cores for some in chosen.values())
    assert found == min(choices)  # of those with the smallest load the one with the fewest cores


def planner_of(network: QuantizedNetwork, config: ChipConfig, **overrides: tuple[int, int]) -> Planner:
    relayed = with_relays(network, config.slots - 1)
    spikes = with_repeated(assumed_spikes(network, config.lanes), relayed)
    return Planner(relayed, config, spikes, overrides, len(config.cores))


def reads(network: QuantizedNetwork, name: str, extent: RegionEntry, source: str) -> np.ndarray:
    """Which activations [C, H, W] of ``source`` the activations ``extent`` of a layer depend on, one by one."""
    layer = network.layer(name)
    needed = np.zeros(network.shape_of(source), dtype=bool)
    channels, height, width = layer.shape
    neurons = np.zeros((height, width), dtype=bool)
    pool = layer.pool
    for y, x in product(range(extent.y0, extent.y0 + extent.height), range(extent.x0, extent.x0 + extent.width)):
        if pool is None:
            neurons[y, x] = True
            continue
        for ky, kx in product(range(pool.kernel), repeat=2):
            at = y * pool.stride - pool.padding + ky, x * pool.stride - pool.padding + kx
            if 0 <= at[0] < height and 0 <= at[1] < width:
                neurons[at] = True
    own = slice(extent.channel0, extent.channel0 + extent.channels)
    for edge in layer.edges:
        if edge.source != source:
            continue
        kernel = edge.weight.shape[2:]
        for y, x in np.argwhere(neurons):
            for ky, kx in product(range(kernel[0]), range(kernel[1])):
                at = y * edge.stride - edge.padding + ky, x * edge.stride - edge.padding + kx
                if 0 <= at[0] < needed.shape[1] and 0 <= at[1] < needed.shape[2]:
                    needed[(own if edge.kind == "depthwise" else slice(None), *at)] = True
    assert channels == layer.shape[0]
    return needed


def faults(network: QuantizedNetwork, frames: list[Frame]) -> list[str]:
    """What is wrong with a sequence of passes."""
    found = []
    shapes = {name: network.shape_of(name) for name in (INPUT, *(layer.name for layer in network.layers))}
    done = {name: np.zeros(shape, dtype=int) for name, shape in shapes.items()}
    done[INPUT] += 1
    for number, frame in enumerate(frames):
        for name in frame.sources:
            if not (done[name] == 1).all():
                found.append(f"pass {number} takes {name}, which is not all there")
        have = {}
        for name, extent in frame.extents.items():
            have[name] = np.zeros(shapes[name], dtype=bool)
            have[name][inside(extent)[1:]] = True
        for name, extent in frame.layers.items():
            for source in {edge.source for edge in network.layer(name).edges}:
                if source not in have or (reads(network, name, extent, source) & ~have[source]).any():
                    found.append(f"pass {number}: {name} reads what is not there of {source}")
            done[name][inside(extent)[1:]] += 1
    return found + [f"{name} is not computed once" for name, times in done.items() if not (times == 1).all()]


def drawn(seed: int, **fields: int) -> tuple[QuantizedNetwork, ChipConfig]:
    rng = np.random.default_rng(seed)
    features = [feature for feature in FEATURES if feature != "parts"]
    network = random_network(rng, layers=4, channels=10, max_side=8, max_edges=3, features=features, signed_input=False)
    config = preset("test").replace(
        edges=4, map_side=16, map_groups=8, readout_depth=1024, routes=64, **fields
    )  # fmt: skip
    return network, config


FIELDS: dict[str, list[int]] = {
    "rows": [1, 2, 3, 6], "cols": [2, 3, 6], "lanes": [2, 4], "neuron_words": [4, 16, 64], "weight_words": [64, 512],
    "slots": [2, 3, 4], "stages": [1, 2, 15], "act_regions": [2, 4],
}  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1), fields=st.fixed_dictionaries({n: st.sampled_from(v) for n, v in FIELDS.items()}))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_passes_compute_everything_once_from_what_is_there(seed: int, fields: dict[str, int]) -> None:
    network, config = drawn(seed, **fields)
    try:
        check_limits(network, config)
        planner = planner_of(network, config)
        frames = planner.frames()
    except DoesNotFitError:
        assume(False)
    assert not faults(planner.network, frames)
    assert all(planner.fits(frame) for frame in frames)
    for frame in frames:  # rows and columns are cut anywhere, channels between groups only
        assert all(extent.channel0 % config.lanes == 0 for extent in frame.extents.values())
        check_rings(planner, frame)


def check_rings(planner: Planner, frame: Frame) -> None:
    """Each core has room for its activations as long as some layer of the pass reads them."""
    network, lanes = planner.network, planner.config.lanes
    stages = dict.fromkeys(frame.sources, 0)
    longest = dict.fromkeys(frame.extents, 1)
    for name in frame.layers:
        sources = [edge.source for edge in network.layer(name).edges]
        stages[name] = 1 + max(stages[source] for source in sources)
        for source in sources:
            longest[source] = max(longest[source], stages[name] - stages[source])
    for name, grids in planner.grids(frame).items():
        for piece in (piece for some in grids for piece in some.pieces):
            words = piece.rows[1] * piece.columns[1] * groups_of(piece.channels[1], lanes)
            assert words * (longest[name] + 1) <= planner.config.act_words


def test_a_skip_takes_room_where_it_begins() -> None:
    """Of eight words of activations, four can be kept over one stage, two over three."""
    one, ones = np.ones((2, 1, 1, 1), dtype=np.int64), np.ones(2, dtype=np.int64)
    names = [INPUT, "a", "b", "c"]
    layers = tuple(
        Layer(
            name=name, shape=(2, 4, 4), mult=ones, shift=ones, bias=0 * ones, bias_mode="sum", lo=0, hi=255,
            edges=tuple(
                Edge(source=source, kind="depthwise", weight=one)
                for source in ([before, INPUT] if name == "c" else [before])
            ),
        )
        for before, name in pairwise(names)
    )  # fmt: skip
    network = QuantizedNetwork(
        name="n", input_shape=(2, 4, 4), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=layers,
    )  # fmt: skip
    config = preset("test").replace(rows=6, cols=6, lanes=2, requant_lanes=2, neuron_words=4, act_regions=2, slots=4)
    planner = planner_of(network, config)
    (frame,) = planner.frames()
    check_rings(planner, frame)
    assert {name: grids[0].cores for name, grids in planner.grids(frame).items()} == {INPUT: 8, "a": 4, "b": 4, "c": 4}


@pytest.mark.parametrize("kind", ["rows", "columns", "channels"])
def test_faulty_passes_are_noticed(kind: str) -> None:
    planner, frames = banded(kind)
    assert not faults(planner.network, frames)
    assert faults(planner.network, frames[1:])
    assert faults(planner.network, [*frames, frames[-1]])
    for number, frame in enumerate(frames):  # the last row or column of a source missing
        for name, extent in frame.sources.items():
            for axis in ("height", "width", "channels"):
                less = extent.model_copy(update={axis: getattr(extent, axis) - 1})
                other = Frame(sources={**frame.sources, name: less}, layers=frame.layers)
                assert faults(planner.network, [*frames[:number], other, *frames[number + 1 :]])


def banded(kind: str) -> tuple[Planner, list[Frame]]:
    """A convolution that takes several passes: cut in rows; in columns where a row is too long; in channels."""
    shape, fields = {
        "rows": ((4, 8, 4), {"neuron_words": 4}), "columns": ((4, 3, 8), {"neuron_words": 3}),
        "channels": ((4, 1, 1), {"neuron_words": 2, "act_regions": 2}),
    }[kind]  # fmt: skip
    outputs = 24 if kind == "channels" else 4
    ones = np.ones(outputs, dtype=np.int64)
    weight = np.ones((outputs, 4, 3, 3), dtype=np.int64)
    edge = Edge(source=INPUT, kind="conv", weight=weight, padding=1)
    layer = Layer(
        name="a", shape=(outputs, *shape[1:]), edges=(edge,), mult=ones, shift=ones, bias=0 * ones, bias_mode="sum",
        lo=0, hi=255,
    )  # fmt: skip
    network = QuantizedNetwork(
        name="n", input_shape=shape, input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8, layers=(layer,)
    )
    cores = {"rows": (2, 3), "columns": (1, 6), "channels": (1, 4)}[kind]
    config = preset("test").replace(
        rows=cores[0], cols=cores[1], lanes=4, group_words=1, readout_depth=512, weight_words=64, parts=1, **fields
    )  # fmt: skip
    planner = planner_of(network, config)
    return planner, planner.frames()


@pytest.mark.parametrize(("kind", "axis"), [("rows", "y0"), ("columns", "x0"), ("channels", "channel0")])
def test_layers_too_large_become_several_passes(kind: str, axis: str) -> None:
    planner, frames = banded(kind)
    assert len(frames) > 1
    assert not faults(planner.network, frames)
    starts = [getattr(frame.layers["a"], axis) for frame in frames]
    assert len(set(starts)) > 1
    assert (kind == "columns") == (len({frame.layers["a"].x0 for frame in frames}) > 1)
    assert (kind == "channels") == (len({frame.layers["a"].channel0 for frame in frames}) > 1)


def test_layers_share_passes_while_they_fit(digits: QuantizedNetwork) -> None:
    (frame,) = planner_of(digits, DEMO).frames()
    assert list(frame.sources) == [INPUT]
    assert list(frame.layers) == [layer.name for layer in digits.layers]
    planner = planner_of(digits, DEMO.replace(rows=3, cols=3))
    frames = planner.frames()
    assert len(frames) > 1
    assert not faults(digits, frames)
    assert faults(digits, frames[::-1])
    for this, following in pairwise(frames):  # the next layer would not have fitted
        names = [*this.layers, next(iter(following.layers))]
        assert not planner.fits(planner.frame([digits.layer(name) for name in names]))


def test_stages_bound_a_pass(digits: QuantizedNetwork) -> None:
    frames = planner_of(digits, DEMO.replace(stages=2)).frames()
    assert [len(frame.layers) for frame in frames] == [2, 2, 1]
    planner = planner_of(digits, DEMO.replace(stages=4))
    with pytest.raises(DoesNotFitError, match="the network needs stages 5, the chip has 4"):
        planner.grids(planner.frame(digits.layers))


def test_options_are_those_of_the_frame(digits: QuantizedNetwork) -> None:
    planner = planner_of(digits, DEMO, conv2=(2, 2))
    options = planner.grids(planner.frame(digits.layers))
    assert [(len(g.rows), len(g.channels)) for g in options["conv2"]] == [(2, 2)]
    assert len(options["conv1"]) > 1
    assert set(options) == {INPUT, *(layer.name for layer in digits.layers)}
    band = RegionEntry(y0=2, height=2, x0=1, width=3, channel0=8, channels=8)
    planner = planner_of(digits, DEMO)
    frame = planner.band(digits.layer("pool"), band)
    assert frame.sources["conv2"] == RegionEntry(y0=4, height=4, x0=2, width=6, channel0=8, channels=8)
    found = planner.grids(frame)["pool"]
    assert {span for g in found for span in g.channels} == {(8, 8)}
    assert sum(count for _, count in found[-1].rows) == 2
    assert groups_of(band.channels, DEMO.lanes) == 1


def test_a_layer_that_fits_no_core_is_refused(digits: QuantizedNetwork) -> None:
    with pytest.raises(DoesNotFitError, match="'conv2', cut as finely as it can be, needs weight_words 72"):
        planner_of(digits, DEMO.replace(weight_words=71)).frames()
    with pytest.raises(DoesNotFitError, match=r"needs \d+ cores, the chip has \d+|needs more than the chip's 1 cores"):
        planner_of(digits, DEMO.replace(rows=1, cols=2)).frames()
