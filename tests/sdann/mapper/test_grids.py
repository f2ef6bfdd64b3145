"""Cuts of a layer: each position, channel and part once, within a core's memories, the busiest core's load as it is."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hdl.config import ChipConfig, preset
from sdann import reference
from sdann.errors import DoesNotFitError
from sdann.graph import INPUT, Edge, FanIn, Layer, QuantizedNetwork
from sdann.mapper.feeds import Place, held
from sdann.mapper.geometry import groups_of, weight_words_of
from sdann.mapper.grids import EMITTING, ROUTES_OF_A_SOURCE, Grid, Taste, _fewest, layer_grids, split_fan_in
from sdann.mapper.limits import can_split
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.work import Spikes, assumed_spikes, count_spikes, layer_visits
from sdann.random_networks import FEATURES, random_input, random_network
from sdann.random_places import with_chip_parts

DEMO = preset("demo")
BASE = preset("test").replace(rows=6, cols=6)
FIELDS: dict[str, list[int]] = {
    "lanes": [2, 4, 8], "requant_lanes": [1, 2], "weight_words": [32, 128, 2048], "neuron_words": [8, 32, 256],
    "act_regions": [2, 4], "group_words": [1, 2, 8], "weight_ports": [1, 2], "parts": [1, 2, 4],
    "edges": [1, 2, 6],
}  # fmt: skip
chips = st.fixed_dictionaries({name: st.sampled_from(values[::-1]) for name, values in FIELDS.items()})


def whole(network: QuantizedNetwork, name: str) -> RegionEntry:
    channels, height, width = network.shape_of(name)
    return RegionEntry(y0=0, height=height, x0=0, width=width, channel0=0, channels=channels)


def fan_in(layer: Layer, grid: Grid) -> tuple[tuple[FanIn, ...], ...]:
    return grid.parts or layer.split


def covers(grid: Grid, extent: RegionEntry, network: QuantizedNetwork) -> bool:
    """Whether every activation of the extent is held once for each part, and nothing else."""
    parts = max(1, len(grid.parts))
    times = np.zeros((parts, *network.shape_of(grid.name)), dtype=int)
    for piece in grid.pieces:
        (y0, height), (x0, width), (c0, channels) = piece.rows, piece.columns, piece.channels
        assert min(height, width, channels) > 0
        times[piece.part, c0 : c0 + channels, y0 : y0 + height, x0 : x0 + width] += 1
    expected = np.zeros_like(times)
    expected[
        :, extent.channel0 : extent.channel0 + extent.channels, extent.y0 : extent.y0 + extent.height,
        extent.x0 : extent.x0 + extent.width,
    ] = 1  # fmt: skip
    return bool((times == expected).all()) and grid.cores == len(grid.pieces)


def load_of(grid: Grid, network: QuantizedNetwork, config: ChipConfig, spikes: Spikes, readers: int = 0) -> float:
    """Cycles of the busiest core, added up neuron by neuron."""
    layer, most = network.layer(grid.name), 0.0
    parts = fan_in(layer, grid)
    work = [layer_visits(network, layer, spikes, part, config.weight_ports) for part in parts]
    for piece in grid.pieces:
        place = Place(tile=(1, 1), rows=piece.rows, columns=piece.columns, channels=piece.channels, part=piece.part)
        neurons, outputs = held(network, grid.name, layer, place)
        first, groups = neurons.channel0 // config.lanes, groups_of(neurons.channels, config.lanes)
        subwords = config.lanes // config.requant_lanes
        kept = outputs.height * outputs.width * groups
        cycles = 0.0 if layer.pool is None else float(kept * subwords * layer.pool.kernel**2)
        chunks = -(-config.requant_lanes * config.membrane_word_bits // config.data_bits)
        for y in range(neurons.y0, neurons.y0 + neurons.height):
            for x in range(neurons.x0, neurons.x0 + neurons.width):
                for group in range(first, first + groups):
                    cycles += work[piece.part][group, y, x]
                    cycles += (network.time_steps + 1) * subwords
                    cycles += (len(parts) - 1) * subwords * chunks if grid.parts else 0
        if readers:
            own = spikes.bundles[grid.name][
                first : first + groups, outputs.y0 : outputs.y0 + outputs.height,
                outputs.x0 : outputs.x0 + outputs.width,
            ]  # fmt: skip
            cycles = max(cycles, (max(1.5, readers) * float(own.sum()) + network.time_steps * kept) / EMITTING)
        most = max(most, cycles)
    return most


def check_memories(grid: Grid, network: QuantizedNetwork, config: ChipConfig, slots: int, source: bool) -> None:
    layer = None if source else network.layer(grid.name)
    for piece in grid.pieces:
        place = Place(tile=(1, 1), rows=piece.rows, columns=piece.columns, channels=piece.channels, part=piece.part)
        neurons, outputs = held(network, grid.name, layer, place)
        groups = groups_of(outputs.channels, config.lanes)
        assert outputs.channel0 % config.lanes == 0
        assert neurons.height * neurons.width * groups <= config.neuron_words
        assert slots * outputs.height * outputs.width * groups <= config.act_words
        assert groups <= config.group_words
        if layer is not None:
            own = fan_in(layer, grid)[piece.part]
            assert len(own) <= config.edges
            weights = sum(weight_words_of(layer.edges[f.edge], f.channels, groups, config.lanes) for f in own)
            assert weights <= config.weight_words


def drawn(seed: int, fields: dict[str, int]) -> tuple[QuantizedNetwork, ChipConfig, Spikes, np.random.Generator]:
    rng = np.random.default_rng(seed)
    config = BASE.replace(**fields)
    features = [feature for feature in FEATURES if feature != "parts" or config.parts > 1]
    network = random_network(rng, layers=2, channels=9, max_side=8, max_edges=3, features=features)
    network = with_chip_parts(network, rng, config)
    golden = reference.run(network, random_input(network, rng, 2))
    return network, config, count_spikes(network, golden.activations, config.lanes), rng


def some_extent(network: QuantizedNetwork, name: str, lanes: int, rng: np.random.Generator) -> RegionEntry:
    """Any part of the map that begins with a channel group."""
    channels, height, width = network.shape_of(name)
    (y0, y1), (x0, x1), (g0, g1) = (
        sorted(int(end) for end in rng.integers(0, size, 2)) for size in (height, width, groups_of(channels, lanes))
    )
    last = min((g1 + 1) * lanes, channels)
    return RegionEntry(
        y0=y0, height=y1 - y0 + 1, x0=x0, width=x1 - x0 + 1, channel0=g0 * lanes, channels=last - g0 * lanes
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    fields=chips,
    slots=st.integers(2, 4),
    source=st.booleans(),
    part=st.booleans(),
    readers=st.integers(0, 3),
)
@example(  # the busiest core has fewer channels than another
    seed=445,
    fields={name: values[-1] for name, values in FIELDS.items()} | {"lanes": 2},
    slots=2,
    source=False,
    part=False,
    readers=0,
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_options(
    seed: int, fields: dict[str, int], slots: int, source: bool, part: bool, readers: int
) -> None:  # fmt: skip
    network, config, spikes, rng = drawn(seed, fields)
    name = network.layers[0].name
    extent = some_extent(network, name, config.lanes, rng) if part else whole(network, name)
    layer = network.layer(name)
    try:
        front = layer_grids(
            network, name, config, extent=extent, slots=slots, spikes=spikes, source=source,
            splittable=can_split(layer, network), readers=readers,
        )  # fmt: skip
    except DoesNotFitError as error:
        assert any(word in str(error) for word in ("_words", "cores", "edges"))  # noqa: PT017
        return
    for grid in front:
        assert covers(grid, extent, network)
        check_memories(grid, network, config, slots, source)
        assert grid.cores <= len(config.cores)
        if not source:
            assert grid.load == pytest.approx(load_of(grid, network, config, spikes, readers), rel=1e-9)
            covered = [np.zeros(edge.channels, dtype=int) for edge in layer.edges]
            for some in (some for own in fan_in(layer, grid) for some in own):
                covered[some.edge][some.channel0 : some.channel0 + some.channels] += 1
            assert all((times == 1).all() for times in covered)
        centres = grid.centres(*network.shape_of(name)[1:])
        assert len(centres) * grid.inner == grid.cores
        assert all(0 < y < 1 and 0 < x < 1 for y, x in centres)
    assert all(a.cores < b.cores and a.load > b.load for a, b in pairwise(front))
    if source:
        bundles = spikes.bundles[name]
        for grid in front:
            cycles = []
            for piece in grid.pieces:
                (y, h), (x, w), (c, n) = piece.rows, piece.columns, piece.channels
                first, last = c // config.lanes, groups_of(c + n, config.lanes)
                words = h * w * (last - first)
                sent = bundles[first:last, y : y + h, x : x + w].sum()
                cycles.append(network.time_steps * words + ROUTES_OF_A_SOURCE * sent)
            assert grid.load == pytest.approx(max(cycles), rel=1e-9)


def test_faults_are_noticed(digits: QuantizedNetwork) -> None:
    """What the checks above would say of a grid with a gap, an overlap, or too large pieces."""
    spikes = assumed_spikes(digits, DEMO.lanes)
    extent = whole(digits, "conv2")
    grid = layer_grids(digits, "conv2", DEMO, extent=extent, slots=2, spikes=spikes, splittable=True)[-1]
    assert covers(grid, extent, digits)
    first, *rest = grid.boxes
    (y0, height), columns = first
    for boxes in (
        rest,
        [((y0, height - 1), columns), *rest],
        [((y0, height + 1), columns), *rest],
        [first, *grid.boxes],
    ):
        assert not covers(replace(grid, boxes=tuple(boxes)), extent, digits)
    assert not covers(replace(grid, channels=grid.channels[1:]), extent, digits)
    one = replace(grid, boxes=(((0, 8), (0, 8)),))
    with pytest.raises(AssertionError):
        check_memories(one, digits, DEMO, 2, False)
    assert load_of(one, digits, DEMO, spikes) > grid.load


def column(rows: int, channels: int = 2) -> QuantizedNetwork:
    """A 1 x 1 convolution on a map of one column: each neuron's work is its position's spikes."""
    weight = np.ones((channels, 2, 1, 1), dtype=np.int64)
    ones = np.ones(channels, dtype=np.int64)
    layers = tuple(
        Layer(
            name=name, shape=(channels, rows, 1), edges=(Edge(source=source, kind="conv", weight=weight),), mult=ones,
            shift=ones, bias=0 * ones, bias_mode="sum", lo=0, hi=255,
        )
        for name, source in (("a", INPUT), ("b", "a"))
    )  # fmt: skip
    return QuantizedNetwork(
        name="n", input_shape=(2, rows, 1), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=layers,
    )  # fmt: skip


def test_weighted_cuts_do_better_where_spikes_are_skewed() -> None:
    network, config = column(16), preset("test").replace(lanes=2, requant_lanes=2, neuron_words=16, map_side=16)
    extent = whole(network, "a")
    counts = np.zeros((1, 16, 1))
    counts[0, :4] = 400.0  # all the work is in four rows
    same = {INPUT: counts, "a": counts}
    spikes = replace(assumed_spikes(network, 2), spikes=same, pairs=same)
    front = layer_grids(network, "a", config, extent=extent, slots=2, spikes=spikes)
    four = next(grid for grid in front if grid.cores == 4)
    equal = replace(four, boxes=tuple((rows, (0, 1)) for rows in ((0, 4), (4, 4), (8, 4), (12, 4))))
    assert [row for row, _ in four.rows][:3] == [0, 1, 2]
    assert four.load < 0.5 * load_of(equal, network, config, spikes)
    # no row lies beyond what a core holds
    tight = layer_grids(network, "a", config.replace(neuron_words=5), extent=extent, slots=2, spikes=spikes)
    assert all(size <= 5 for grid in tight for _, size in grid.rows)
    assert all(covers(grid, extent, network) for grid in tight)
    # without skew, equal pieces are as good as any
    flat = layer_grids(network, "a", config, extent=extent, slots=2, spikes=assumed_spikes(network, 2))
    assert next(grid for grid in flat if grid.cores == 4).rows == equal.rows


def test_bands_are_cut_on_their_own() -> None:
    """A map of 4 x 4 in six pieces of at most three positions: three rows in columns, the last row in two. No grid."""
    network, config = column(4), preset("test").replace(lanes=2, requant_lanes=2, neuron_words=64, map_side=16)
    layers = tuple(replace(layer, shape=(2, 4, 4)) for layer in network.layers)
    network = replace(network, input_shape=(2, 4, 4), layers=layers)
    extent, spikes = whole(network, "a"), assumed_spikes(network, 2)
    front = layer_grids(network, "a", config, extent=extent, slots=2, spikes=spikes, most=6)
    six = next(grid for grid in front if grid.cores == 6)
    assert covers(six, extent, network) and len(six.boxes) != len(six.rows) * len(six.columns)
    assert max(h * w for (_, h), (_, w) in six.boxes) == 3
    assert six.load == pytest.approx(load_of(six, network, config, spikes))


@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_the_fewest_bands(seed: int, most: int) -> None:
    """Against all ways to cut a small map into bands of rows, and each of them into columns."""
    rng = np.random.default_rng(seed)
    work = rng.integers(1, 9, (4, 3)).astype(float)
    spans = [np.array([(a, b) for a in range(n) for b in range(a + 1, n + 1)]) for n in (4, 3)]
    costs = np.array([[work[a:b, c:d].sum() for c, d in spans[1]] for a, b in spans[0]])
    bound = float(rng.integers(5, 40))

    def cuts(size: int) -> list[list[tuple[int, int]]]:
        chosen = (np.flatnonzero([mask >> n & 1 for n in range(size - 1)]) + 1 for mask in range(1 << (size - 1)))
        return [list(pairwise([0, *ends.tolist(), size])) for ends in chosen]

    counts = [
        sum(
            min([len(cut) for cut in cuts(3) if all(work[a:b, c:d].sum() <= bound for c, d in cut)], default=99)
            for a, b in rows
        )
        for rows in cuts(4)
    ]  # fmt: skip
    found = _fewest(costs <= bound, spans[0], spans[1], most)
    if min(counts) > most:
        assert found is None
        return
    assert found is not None
    pieces = [(spans[0][band], spans[1][span]) for band, own in found for span in own]
    assert len(pieces) == min(counts)
    times = np.zeros((4, 3))
    for (a, b), (c, d) in pieces:
        times[a:b, c:d] += 1
        assert work[a:b, c:d].sum() <= bound
    assert (times == 1).all()


def test_taste() -> None:
    """Less load comes first, then what is read; with a taste for few row tiles, those."""
    square = Grid(name="a", boxes=(((0, 2), (0, 2)), ((2, 2), (0, 2))), channels=((0, 1),), load=100.0, received=40)
    flat = replace(square, boxes=(((0, 4), (0, 1)), ((0, 4), (1, 1))), load=101.0, received=50)
    worse = replace(flat, load=150.0, received=1)
    assert sorted([worse, flat, square], key=Taste().rank) == [square, flat, worse]
    assert sorted([worse, flat, square], key=Taste(tolerance=0.1, rows=2.0).rank) == [flat, square, worse]


def test_more_slots_take_more_room(digits: QuantizedNetwork) -> None:
    spikes, extent = assumed_spikes(digits, 8), whole(digits, "pool")
    least = [
        layer_grids(
            digits, "pool", DEMO.replace(neuron_words=64), extent=extent, slots=slots, spikes=spikes, source=True
        )[0].cores
        for slots in (2, 3, 4)
    ]  # fmt: skip
    assert least == [1, 2, 2]
    with pytest.raises(DoesNotFitError, match="'pool' is read 4 stages later and needs slots 5, the chip has 4"):
        layer_grids(digits, "pool", DEMO, extent=extent, slots=5, spikes=spikes)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 5), lanes=st.sampled_from([2, 4]))
@settings(max_examples=40, deadline=None)
def test_split_fan_in(seed: int, count: int, lanes: int) -> None:
    network = random_network(np.random.default_rng(seed), layers=2, channels=12, max_edges=3, features=["skips"])
    layer = network.layers[-1]
    parts = split_fan_in(layer, count, lanes)
    assert 1 <= len(parts) <= count
    units = sum(groups_of(edge.channels, lanes) for edge in layer.edges)
    covered = [np.zeros(edge.channels, dtype=int) for edge in layer.edges]
    for part in parts:
        assert part
        assert len({some.edge for some in part}) == len(part)  # one edge of the chip for each of the layer
        for some in part:
            assert some.channel0 % lanes == 0
            covered[some.edge][some.channel0 : some.channel0 + some.channels] += 1
    assert all((times == 1).all() for times in covered)
    if len(layer.edges) == 1 and units >= count and layer.edges[0].channels % lanes == 0:
        assert len(parts) == count
        sizes = [sum(some.channels for some in part) // lanes for part in parts]
        assert layer.edges[0].kind == "depthwise" or max(sizes) - min(sizes) <= 1


def options(digits: QuantizedNetwork, name: str, cut: tuple[int, int], **fields: int) -> list[Grid]:
    config = DEMO.replace(**fields)
    return layer_grids(
        digits, name, config, extent=whole(digits, name), slots=2, spikes=assumed_spikes(digits, config.lanes),
        splittable=True, cut=cut,
    )  # fmt: skip


def test_given_cuts(digits: QuantizedNetwork) -> None:
    (grid,) = options(digits, "pool", (2, 2))
    assert (len(grid.rows), len(grid.columns), len(grid.channels), grid.cores) == (2, 1, 2, 4)
    assert covers(grid, whole(digits, "pool"), digits)
    with pytest.raises(DoesNotFitError, match=r"'pool' cannot be cut into \(1, 9\): it has 4 rows, 4 channel groups"):
        options(digits, "pool", (1, 9))
    with pytest.raises(DoesNotFitError, match=r"'conv2' cannot be cut into \(9, 1\): it has 8 rows"):
        options(digits, "conv2", (9, 1))
    assert options(digits, "conv2", (4, 1))[0].inner == 2  # its weights are split over two cores
    with pytest.raises(DoesNotFitError, match=r"4 row x 1 channel tile\(s\): layer 'conv2' needs weight_words 576"):
        options(digits, "conv2", (4, 1), parts=1)
    with pytest.raises(DoesNotFitError, match=r"1 row x 2 channel tile.* needs neuron_words 128 .* the chip has 64"):
        options(digits, "conv2", (1, 2))
    with pytest.raises(
        DoesNotFitError, match=r"8 row x 1 channel tile\(s\) needs group_words 4, the chip has 2 per core"
    ):
        options(digits, "conv2", (8, 1), group_words=2)


def test_refused_where_cores_run_out(digits: QuantizedNetwork) -> None:
    spikes, extent = assumed_spikes(digits, 8), whole(digits, "conv2")
    least = layer_grids(digits, "conv2", DEMO, extent=extent, slots=2, spikes=spikes, splittable=True)[0].cores
    assert layer_grids(digits, "conv2", DEMO, extent=extent, slots=2, spikes=spikes, splittable=True, most=least)
    with pytest.raises(DoesNotFitError, match=f"'conv2' needs more than the chip's {least - 1} cores"):
        layer_grids(digits, "conv2", DEMO, extent=extent, slots=2, spikes=spikes, splittable=True, most=least - 1)


def test_no_grid_is_missed() -> None:
    """The fewest cores by trying every equal cut of rows, columns and channels."""
    for seed in range(12):
        network, config, spikes, _ = drawn(
            seed, {"lanes": 2, "neuron_words": 8, "weight_words": 2048, "parts": 1, "edges": 6}
        )
        layer = network.layers[0]
        if layer.parts:
            continue
        extent = whole(network, layer.name)
        groups = groups_of(extent.channels, 2)
        least = None
        for down in range(1, extent.height + 1):
            for across in range(1, extent.width + 1):
                for tiles in range(1, groups + 1):
                    size, rows, columns = -(-groups // tiles), -(-extent.height // down), -(-extent.width // across)
                    if layer.pool is not None:
                        pool = layer.pool
                        rows, columns = (
                            min(side, (n - 1) * pool.stride + pool.kernel)
                            for n, side in zip((rows, columns), layer.shape[1:], strict=True)
                        )
                    cores = down * across * tiles
                    if rows * columns * size <= 8 and size <= config.group_words and cores <= len(config.cores):
                        least = cores if least is None else min(least, cores)
        try:
            found = layer_grids(network, layer.name, config, extent=extent, slots=2, spikes=spikes)[0].cores
        except DoesNotFitError:
            found = None
        assert found == least, seed


def test_bad_draw_is_not_the_rule() -> None:
    """Most draws of the test above have options, and some of them columns, parts and pooling."""
    seen = set()
    for seed in range(30):
        network, config, spikes, _ = drawn(seed, {name: values[-1] for name, values in FIELDS.items()} | {"lanes": 2})
        layer = network.layers[0]
        front = layer_grids(
            network, layer.name, config, extent=whole(network, layer.name), slots=2, spikes=spikes,
            splittable=can_split(layer, network),
        )  # fmt: skip
        seen |= {"several"} if len(front) > 3 else set()
        seen |= {"columns"} if any(len(grid.columns) > 1 for grid in front) else set()
        seen |= {"parts"} if any(len(grid.parts) > 1 for grid in front) else set()
        seen |= {"pooled"} if layer.pool else set()
    assert seen == {"several", "columns", "parts", "pooled"}
