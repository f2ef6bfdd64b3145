"""Passes of a network larger than the chip: together they are the golden model; what is out of order is refused."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from hdl.config import ChipConfig, preset
from sdann import reference
from sdann.errors import SdannError
from sdann.graph import INPUT, Edge, IntArray, Layer, Pool, QuantizedNetwork, Shape
from sdann.mapper import ProgramImage, network_hash, plan_network
from sdann.mapper.manifest import RegionEntry
from sdann.passes import inside, run_passes
from sdann.tile_model import TileModel

CHIP = preset("test").replace(
    rows=2, cols=4, lanes=2, requant_lanes=1, neuron_words=8, weight_words=64, readout_depth=2048, edges=3, routes=32,
    map_groups=16, parts=1,
)  # fmt: skip


def layer(name: str, shape: Shape, *edges: Edge, pool: Pool | None = None) -> Layer:
    ones = np.ones(shape[0], dtype=np.int64)
    return Layer(
        name=name, shape=shape, edges=edges, mult=3 * ones, shift=8 * ones, bias=np.arange(shape[0]) - 1,
        bias_mode="scaled", lo=0, hi=255, pool=pool,
    )  # fmt: skip


def network_of(shape: Shape, outputs: int) -> QuantizedNetwork:
    """A 3 x 3 convolution, a pooled one, and a last layer that reads both and the input."""
    rng = np.random.default_rng(1)
    channels, height, width = shape
    out = outputs, height, width
    half = outputs, max(1, height // 2), max(1, width // 2)

    def conv(source: str, inputs: int, stride: int = 1) -> Edge:
        weight = rng.integers(-20, 40, (outputs, inputs, 3, 3))
        return Edge(source=source, kind="conv", weight=weight, padding=1, stride=stride)

    strided = Edge(source="a", kind="depthwise", weight=rng.integers(1, 9, (outputs, 1, 1, 1)), stride=2)
    layers = (
        layer("a", out, conv(INPUT, channels)),
        layer("b", out, conv("a", outputs), pool=Pool(kernel=2, stride=2)),
        layer("c", half, replace(conv("b", outputs)), strided),
    )
    return QuantizedNetwork(
        name="n", input_shape=shape, input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8, layers=layers
    )


def on_tiles(image: ProgramImage, sources: Mapping[str, IntArray]) -> Mapping[str, IntArray]:
    return TileModel(image).run(sources).activations


CASES: dict[str, tuple[Shape, int, dict[str, int]]] = {
    "rows": ((2, 8, 4), 2, {"neuron_words": 8}),
    "columns": ((2, 2, 8), 4, {"neuron_words": 4, "cols": 3}),
    "channels": ((2, 2, 2), 20, {"neuron_words": 16, "weight_words": 200, "group_words": 16}),
}


def case(kind: str) -> tuple[QuantizedNetwork, ChipConfig, IntArray]:
    shape, outputs, fields = CASES[kind]
    x = np.random.default_rng(2).integers(0, 256, (3, *shape))
    return network_of(shape, outputs), CHIP.replace(**fields), x


@pytest.mark.parametrize("kind", CASES)
def test_a_network_cut_in_bands_is_the_golden(kind: str) -> None:
    network, config, x = case(kind)
    mapped = plan_network(network, config)
    extents = [one.frame.layers[name] for one in mapped.passes for name in one.frame.layers]
    starts = {"rows": "y0", "columns": "x0", "channels": "channel0"}[kind]
    assert len({getattr(extent, starts) for extent in extents}) > 1
    found = run_passes(mapped.images(), x, on_tiles)
    golden = reference.run(network, x).activations
    assert set(golden) <= set(found)
    for name, expected in golden.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
    assert all(expected.any() for expected in golden.values())


@pytest.fixture(scope="module")
def images() -> list[ProgramImage]:
    network, config, _ = case("rows")
    found = list(plan_network(network, config).images())
    assert len(found) > 3
    return found


X = case("rows")[2]


def test_a_fault_in_one_pass_is_seen(images: list[ProgramImage]) -> None:
    """The comparison above sees one activation that one pass gets wrong."""

    def faulty(image: ProgramImage, sources: Mapping[str, IntArray]) -> Mapping[str, IntArray]:
        found = dict(on_tiles(image, sources))
        if image.manifest.pass_number == 1:
            (computed,) = image.computed
            held = computed.held
            found[computed.name] = found[computed.name].copy()
            found[computed.name][0, held.channel0, held.y0, held.x0] ^= 1
        return found

    right, wrong = run_passes(images, X, on_tiles), run_passes(images, X, faulty)
    assert any((right[name] != wrong[name]).any() for name in right)


def test_each_run_gets_whole_sources_and_only_its_part_is_kept(images: list[ProgramImage]) -> None:
    calls: list[tuple[int, set[str]]] = []

    def run(image: ProgramImage, sources: Mapping[str, IntArray]) -> Mapping[str, IntArray]:
        calls.append((image.manifest.pass_number, set(sources)))
        assert all(values.shape == (len(X), *image.layer(name).shape) for name, values in sources.items())
        # what lies outside the pass's part is nothing that it has computed
        found = dict(on_tiles(image, sources))
        for entry in image.computed:
            values = np.full_like(found[entry.name], -7)
            values[inside(entry.held)] = found[entry.name][inside(entry.held)]
            found[entry.name] = values
        return found

    found = run_passes(images, X, run)
    assert [number for number, _ in calls] == list(range(len(images)))
    assert [names for _, names in calls] == [{entry.name for entry in image.sources} for image in images]
    assert all((values >= 0).all() for values in found.values())


def test_inside() -> None:
    values = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    part = RegionEntry(y0=1, height=2, x0=3, width=1, channel0=2, channels=1)
    np.testing.assert_array_equal(values[inside(part)], values[:, 2:3, 1:3, 3:4])


def never(image: ProgramImage, sources: Mapping[str, IntArray]) -> Mapping[str, IntArray]:
    raise AssertionError("a pass ran that should have been refused")


def test_order(images: list[ProgramImage]) -> None:
    with pytest.raises(SdannError, match="pass 1 comes where pass 0 is due"):
        run_passes(images[1:], X, never)
    for wrong, words in (
        ([images[0], *images[2:]], "pass 2 comes where pass 1 is due"),
        ([images[0], images[0]], "pass 0 comes where pass 1 is due"),
        ([images[1], images[0]], "pass 1 comes where pass 0 is due"),
        ([*images, images[0]], f"pass 0 comes where pass {len(images)} is due"),
    ):
        with pytest.raises(SdannError, match=words):
            run_passes(wrong, X, on_tiles)


def test_missing_passes(images: list[ProgramImage]) -> None:
    with pytest.raises(SdannError, match=f"{len(images) - 1} of {len(images)} passes are given: give all"):
        run_passes(images[:-1], X, on_tiles)
    with pytest.raises(SdannError, match="0 of 1 passes are given"):
        run_passes([], X, never)


def changed(image: ProgramImage, **changes: object) -> ProgramImage:
    return ProgramImage(image.manifest.model_copy(update=changes), image.memories)


def test_other_networks_and_mappings(images: list[ProgramImage]) -> None:
    network, _, _ = case("rows")
    other = replace(network, layers=(*network.layers[:-1], replace(network.layers[-1], hi=200)))
    for second in (
        changed(images[1], network_hash=network_hash(other)), changed(images[1], passes=len(images) + 1),
    ):  # fmt: skip
        with pytest.raises(SdannError, match="pass 1 is a program for another network, or of another mapping of it"):
            run_passes([images[0], second], X, on_tiles)


def test_sources_that_are_not_all_there(images: list[ProgramImage]) -> None:
    """A layer of which a pass was left out, though the numbers are right."""
    number = next(i for i, image in enumerate(images) if "a" in {entry.name for entry in image.sources})
    assert number > 1
    less = [*images[: number - 1], *images[number:]]
    less = [changed(image, pass_number=i, passes=len(less)) for i, image in enumerate(less)]
    with pytest.raises(SdannError, match=f"pass {number - 1} needs all of 'a', which no pass before it has computed"):
        run_passes(less, X, on_tiles)
    alone = changed(images[number], pass_number=0)
    with pytest.raises(SdannError, match="pass 0 needs all of 'a'"):
        run_passes([alone], X, never)
