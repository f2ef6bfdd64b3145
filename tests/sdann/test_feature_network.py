"""The network with every feature: the tile model is the golden in every mode, and damage to its image is noticed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from hdl.pack import pack, unpack
from hdl.program import Counter, Memory, memory_layouts
from sdann import reference
from sdann.duplicates import duplicates
from sdann.feature_network import feature_image, feature_network
from sdann.golden import GoldenResult
from sdann.graph import IntArray, QuantizedNetwork
from sdann.mapper import ImageError, ProgramImage, check_image
from sdann.random_networks import random_input
from sdann.tile_model import TileModel


@dataclass(frozen=True)
class Case:
    network: QuantizedNetwork
    image: ProgramImage
    x: IntArray
    golden: GoldenResult

    def differences(self, image: ProgramImage) -> list[str]:
        """What the tile model of ``image`` does otherwise than the golden (with duplicates counted apart)."""
        found = TileModel(image).run(self.x)
        extra = duplicates(self.network, self.image, self.golden.activations)
        wrong = [n for n, a in self.golden.activations.items() if (found.activations[n] != a).any()]
        if (found.readout != self.golden.activations["out"]).any():
            wrong.append("read-out")
        for layer in self.network.layers:
            name, cores = layer.name, [found.counters[c.y, c.x] for c in image.cores_of(layer.name)]
            if sum(c[Counter.SOPS] for c in cores) != self.golden.sops[name] + extra[name].sops:
                wrong.append(f"SOPs of {name}")
            saturations = sum(c[Counter.SATURATIONS] for c in cores)
            if saturations != self.golden.saturations[name] + extra[name].saturations:
                wrong.append(f"saturations of {name}")
        if found.stray or any(c[Counter.REJECTED] or c[Counter.DROPPED] for c in found.counters.values()):
            wrong.append("astray")
        return wrong


def make(readout: Any = "wide", **options: Any) -> Case:
    network = feature_network(readout, **options)
    x = random_input(network, np.random.default_rng(1), 5)
    return Case(network, feature_image(network), x, reference.run(network, x))


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("mode", ["exact", "scaled", "saturating"])
@pytest.mark.parametrize("readout", ["act", "wide", "raw"])
def test_equals_golden(small: bool, mode: Any, readout: Any) -> None:
    case = make(readout, small=small, mode=mode, signed_input=readout == "raw")
    assert case.differences(case.image) == []
    assert reference.is_exact(case.network) == (mode == "exact" or (small and mode == "saturating"))
    if mode == "saturating" and not small:
        assert sum(case.golden.saturations.values()) > 0
    for name, activations in case.golden.activations.items():
        assert (activations != 0).mean() >= 0.5, f"{name} is nearly dead: the comparison would mean little"
    outputs = case.golden.activations["out"]
    if readout != "act" and mode == "scaled":
        assert np.abs(outputs).max() > 1000  # more than an activation's bits hold


def test_words_and_membranes_are_what_the_host_reads() -> None:
    """After requantization: pooled layers' words, and V as the read-out needs it."""
    for readout in ("act", "wide", "raw"):
        case = make(readout, mode="scaled")
        found, config = TileModel(case.image).run(case.x), case.image.config
        for name, expected in case.golden.activations.items():
            memory = case.image.result_memory(name)
            assert memory is (Memory.MEMBRANE if (name, readout) in (("out", "wide"), ("out", "raw")) else Memory.ACT)
            values = found.words if memory is Memory.ACT else found.membranes
            layout = memory_layouts(config)[memory]
            words = {
                core: [pack(layout, {str(n): int(v) for n, v in enumerate(word)}) for word in values[core][2]]
                for core in values
            }
            np.testing.assert_array_equal(case.image.assemble(name, words), expected[2])
        stem = case.image.cores_of("stem")[0]
        neurons = found.membranes[stem.y, stem.x].reshape(5, 4, 7, 2, 4)  # before pooling
        assert neurons.max() <= 255 and (neurons % 2 == 0)[..., :2, :].all()  # requantized, RoT of one bit


@pytest.fixture(scope="module")
def case() -> Case:
    return make("wide", mode="scaled", signed_input=True)


DAMAGE: dict[str, tuple[str, int, Memory, int, dict[str, int]]] = {
    "pool kernel": ("stem", 0, Memory.CORE, 0, {"pool_kernel": 2}),
    "pool stride": ("stem", 0, Memory.CORE, 0, {"pool_stride_log2": 0}),
    "pool row offset": ("stem", 0, Memory.CORE, 0, {"pool_y": 0}),
    "pool column offset": ("stem", 1, Memory.CORE, 0, {"pool_x": 0}),
    "no pooling": ("stem", 0, Memory.CORE, 0, {"pool": 0}),
    "place of the activations": ("stem", 1, Memory.CORE, 0, {"y0": 1}),
    "RoT instead of truncation": ("a", 0, Memory.CORE, 0, {"truncate": 0}),
    "truncation instead of RoT": ("stem", 0, Memory.CORE, 0, {"truncate": 1}),
    "truncated bits": ("a", 0, Memory.CORE, 0, {"rot": 3}),
    "ages": ("b", 0, Memory.CORE, 0, {"ages": 1}),
    "slots": ("stem", 0, Memory.CORE, 0, {"slots": 1}),
    "age": ("b", 0, Memory.ROUTE, 1, {"age": 0}),
    "phase of the rows": ("b", 0, Memory.ROUTE, 1, {"phase_y": 1}),
    "phase of the columns": ("input", 0, Memory.ROUTE, 2, {"phase_x": 1}),
    "part that never sends": ("d", 1, Memory.CORE, 0, {"part": 3}),
    "part without a phase": ("d", 2, Memory.CORE, 0, {"part": 0}),
    "target of a part": ("d", 1, Memory.CORE, 0, {"part_y": 1, "part_x": 0}),
    "target without a program": ("d", 1, Memory.CORE, 0, {"part_y": 3, "part_x": 2}),
    "the host as target": ("d", 1, Memory.CORE, 0, {"part_y": 0, "part_x": 0}),
    "scale of a part": ("d", 2, Memory.CORE, 0, {"mult1": 1 << 14, "shift1": 16}),
    "kind of read-out": ("out", 0, Memory.CORE, 0, {"readout": 3}),
    "clamp of the read-out": ("out", 0, Memory.CORE, 0, {"hi": 1000}),
}


REFUSED: dict[str, tuple[str, int, dict[str, int], str]] = {
    "width of the activations": ("stem", 1, {"out_width": 2}, "out_width is 2, the manifest says 4"),
    "number of activations": ("b", 0, {"out_words": 20}, "out_words is 20, the manifest says 32"),
    "slots of the input": ("input", 0, {"slots": 2}, "ages 2 need more slots than 2"),
}
"""Damage of the CORE word that no model runs, with what the image checker says of it."""


@pytest.mark.parametrize("name", REFUSED)
def test_damage_is_refused(case: Case, name: str) -> None:
    layer, index, changes, message = REFUSED[name]
    entry, layout = case.image.cores_of(layer)[index], memory_layouts(case.image.config)[Memory.CORE]
    core = (entry.y, entry.x)
    before = unpack(layout, case.image.words(core, Memory.CORE)[0])
    check_image(case.image)
    with pytest.raises(ImageError, match=message):
        check_image(case.image.with_word(core, Memory.CORE, 0, pack(layout, before | changes)))


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_noticed(case: Case, name: str) -> None:
    layer, index, memory, address, changes = DAMAGE[name]
    entry = case.image.cores_of(layer)[index]
    core, layout = (entry.y, entry.x), memory_layouts(case.image.config)[memory]
    if name == "phase of the columns":
        routes = [unpack(layout, word) for word in case.image.words(core, memory)]
        address = next(i for i, r in enumerate(routes) if r["phase_log2"])
    if name in ("age", "phase of the rows"):
        routes = [unpack(layout, word) for word in case.image.words(core, memory)]
        address = next(i for i, r in enumerate(routes) if r["age"])
    before = unpack(layout, case.image.words(core, memory)[address])
    assert before != before | changes, "the damage must change something"
    damaged = case.image.with_word(core, memory, address, pack(layout, before | changes))
    assert case.differences(damaged), "the damage went unnoticed"


def test_input_ring_advances_with_samples_only(case: Case) -> None:
    """In the window after the last sample the input emits that sample once more, for the edge that skips a stage."""
    one = Case(case.network, case.image, case.x[:1], reference.run(case.network, case.x[:1]))
    assert one.differences(case.image) == []
    assert (one.golden.activations["out"] == case.golden.activations["out"][:1]).all()


def test_wide_sums_of_parts() -> None:
    """The sum of two saturating parts needs a bit more than each."""
    case = make("raw", mode="saturating", signed_input=True)
    assert np.abs(case.golden.activations["out"]).max() > 0
    narrow = case.image.config
    assert narrow.membrane_word_bits == narrow.membrane_bits + 2
