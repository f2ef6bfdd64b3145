"""Tile mode: each tile of a program alone on the RTL, and what it catches."""

import numpy as np
import pytest

from hdl.chip import TILE_MODULE
from hdl.flit import Flit
from hdl.pack import fields, pack, unpack
from hdl.program import Memory, memory_layouts
from hdl.tile import Tile
from hdl.verilog import convert
from sdann import reference
from sdann.feature_network import feature_image, feature_network
from sdann.random_networks import random_input
from sdann.tile_model import TileModel
from sim.compiled.tile import LoneTile
from sim.driver import ChipTimeoutError
from sim.program import HostWords, program_words
from sim.tile_mode import TileProgram, run_tile


@pytest.fixture(scope="module")
def program(small):
    return TileProgram(small.image, TileModel(small.image).run(small.samples[:1]))


@pytest.fixture(scope="module")
def tile(small, build_dir):
    with LoneTile(small.config, build_dir=build_dir) as tile:
        yield tile


def test_every_tile_alone_gives_the_goldens_activations(small, program, tile):
    words = {}
    for core in small.image.cores:
        outcome = run_tile(tile, program, core)
        assert outcome.problems == ()
        assert outcome.layer == small.image.cores[core].layer
        assert 0 < outcome.steps < outcome.cycles
        words[core] = outcome.words
    for layer in small.image.computed:
        found = small.image.assemble(layer.name, words)
        np.testing.assert_array_equal(found, small.expected[layer.name][0])
        assert np.count_nonzero(found)


def test_the_program_is_the_one_that_the_driver_sends(small, program):
    """Word by word, but for the order of memories and for tiles without a program."""
    width = small.config
    flits = {tuple(row) for core in small.image.cores for row in program.load(core).tolist()}
    make = HostWords(width)
    sent = {make.flit_of(word) for word in program_words(small.image)}
    own = {sum(int(piece) << (32 * k) for k, piece in enumerate(row)) for row in flits}
    layout = Flit(small.config)
    to = {word: unpack(layout, word) for word in sent}
    assert own == {word for word, flit in to.items() if (flit["dst.y0"], flit["dst.x0"]) in small.image.cores}


def changed_word(program: TileProgram, core, memory: Memory, address: int, field: str, change) -> TileProgram:
    """The program with one field of one word changed in what the tile is given; what is expected stays."""
    layout = memory_layouts(program.config)[memory]
    word = unpack(layout, program.image.words(core, memory)[address])
    word[field] = change(word[field])
    image = program.image.with_word(core, memory, address, pack(layout, word))

    class Given(TileProgram):
        def load(self, at):
            return TileProgram(image, program.result).load(at)

    return Given(program.image, program.result)


@pytest.mark.parametrize(
    ("memory", "field", "change", "caught"),
    [
        (Memory.WEIGHT, "0", lambda w: w ^ 1, "window 1, step"),
        (Memory.REQUANT, "0.bias", lambda b: b + 60, "window 1, step"),
        (Memory.ROUTE, "edge", lambda e: e ^ 1, "window 1, step 0"),
        (Memory.ROUTE, "dst.x0", lambda x: 0, "window 1, step 0"),
        (Memory.CORE, "y0", lambda y: y + 1, "window 1, step 0"),
        (Memory.EDGE, "enable", lambda e: 0, "REJECTED is"),
    ],
)
def test_faults_in_the_program_are_caught(small, program, tile, memory, field, change, caught):
    core = next(at for at, entry in small.image.cores.items() if entry.layer == "conv1")
    outcome = run_tile(tile, changed_word(program, core, memory, 0, field, change), core)
    assert any(caught in problem for problem in outcome.problems), outcome.problems


def test_a_spike_that_does_not_come_is_caught(small, program, tile):
    core = next(at for at, entry in small.image.cores.items() if entry.layer == "conv2")

    class Loses(TileProgram):
        def spikes(self, at):
            return [flits[1:] for flits in super().spikes(at)]

    outcome = run_tile(tile, Loses(small.image, program.result), core)
    assert any("SPIKES_IN is" in problem for problem in outcome.problems)


def test_a_fault_in_the_rtl_is_caught(small, program, build_dir):
    text = convert(Tile(small.config), TILE_MODULE)
    at = text.index("module \\sdann_tile.neurons.emitter")
    body = text[at : text.index("endmodule", at)]
    line = next(line for line in body.splitlines() if "assign" in line and "o__valid" in line)
    lane = fields(Flit(small.config))["payload.spike.mask"].offset  # no bundle with a spike in lane 0 leaves
    broken = text.replace(body, body.replace(line, line.replace(";", f" & ~o__payload[{lane}];")))
    core = next(at for at, entry in small.image.cores.items() if entry.layer == "conv1")
    with LoneTile(small.config, build_dir=build_dir, tile=broken) as tile:
        outcome = run_tile(tile, program, core)
    assert any("flits left, expected" in problem for problem in outcome.problems), line


def test_a_tile_that_does_not_end_is_named(small, program, tile):
    core = next(iter(small.image.cores))
    tile.place(*core)
    with pytest.raises(ChipTimeoutError, match="not idle 3 cycles after"):
        tile.run(None, program.load(core), limit=3)
    tile.place(*core)


@pytest.mark.parametrize(
    ("mode", "readout"),
    [("exact", "raw"), ("scaled", "wide"), pytest.param("saturating", "act", marks=pytest.mark.long)],
)
def test_a_network_with_every_feature(mode, readout, build_dir):
    """Residual edges, split fan-in, pooling, wide read-out: activation history, partial sums, membranes read out."""
    network = feature_network(readout, mode=mode, signed_input=readout == "raw")
    image, x = feature_image(network), random_input(network, np.random.default_rng(1), 1)
    golden, program, words = reference.run(network, x), TileProgram(image, TileModel(image).run(x)), {}
    with LoneTile(image.config, build_dir=build_dir) as tile:
        for core in image.cores:
            outcome = run_tile(tile, program, core)
            assert outcome.problems == ()
            words[core] = outcome.words
    for layer in image.computed:
        np.testing.assert_array_equal(image.assemble(layer.name, words), golden.activations[layer.name][0])
