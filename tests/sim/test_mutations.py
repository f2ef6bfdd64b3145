"""Injected faults: each one must be noticed, and the message must say where."""

from dataclasses import replace

import numpy as np
import pytest

from hdl.pack import fields, pack, unpack
from hdl.program import Memory, memory_layouts
from sdann import reference
from sdann.errors import MismatchError
from sdann.graph import INPUT
from sdann.mapper import ProgramImage
from sim.compare import check_astray, compare, first_difference
from sim.cosim import locate_step, simulate
from sim.driver import ChipError

from .conftest import Case


def mutate(
    image: ProgramImage, layer: str, memory: Memory, address: int = 0, core: int = 0, **changes: int
) -> ProgramImage:
    """``image`` with fields of one word changed; a name ``3__mult`` means field "3.mult", a value "^n" flips by xor."""
    layout = memory_layouts(image.config)[memory]
    entry = image.cores_of(layer)[core]
    word = image.words((entry.y, entry.x), memory)[address]
    values = unpack(layout, word)
    for name, value in changes.items():
        values[name.replace("__", ".").removeprefix("f.")] = value
    return image.with_word((entry.y, entry.x), memory, address, pack(layout, values, fields(layout)))


def flip(image: ProgramImage, layer: str, memory: Memory, address: int, bit: int) -> ProgramImage:
    entry = image.cores_of(layer)[0]
    core = (entry.y, entry.x)
    return image.with_word(core, memory, address, image.words(core, memory)[address] ^ (1 << bit))


def first_bit(image: ProgramImage, memory: Memory, field: str) -> int:
    return fields(memory_layouts(image.config)[memory])[field].offset


def run(case: Case, image: ProgramImage, verilog: str, build_dir, **options):
    return simulate(
        image, case.samples, simulator="verilator", build_dir=build_dir, verilog=verilog, step_limit=20_000, **options
    )


def located(case: Case, image: ProgramImage, verilog: str, build_dir, expected=None):
    """The first difference of a faulty image's run from the golden, with its step."""
    result = run(case, image, verilog, build_dir)
    difference = first_difference(compare("rtl", expected or case.expected, result.activations, image))
    assert difference is not None, "the fault went unnoticed"
    return locate_step(
        difference, case.network, image, case.samples, simulator="verilator", build_dir=build_dir, verilog=verilog
    )


def test_the_unchanged_image_passes(small, small_verilog, build_dir):
    result = run(small, small.image, small_verilog, build_dir)
    assert first_difference(compare("rtl", small.expected, result.activations, small.image)) is None
    check_astray(result.counters, result.stray)


def test_one_weight_bit(small, small_verilog, build_dir):
    image = flip(small.image, "conv1", Memory.WEIGHT, 8, 3)
    difference = located(small, image, small_verilog, build_dir)
    assert difference.layer == "conv1"
    assert isinstance(difference.step, int)
    assert difference.core == (image.cores_of("conv1")[0].y, image.cores_of("conv1")[0].x)
    assert all(word in str(difference) for word in ("conv1", "core", "neuron", "step"))


def test_one_bias_bit(small, small_verilog, build_dir):
    bit = first_bit(small.image, Memory.REQUANT, "0.bias") + 2
    difference = located(small, flip(small.image, "conv1", Memory.REQUANT, 0, bit), small_verilog, build_dir)
    assert (difference.layer, difference.step) == ("conv1", "requantization")


def test_one_requantization_constant(small, small_verilog, build_dir):
    bit = first_bit(small.image, Memory.REQUANT, "1.mult") + 14
    difference = located(small, flip(small.image, "conv1", Memory.REQUANT, 0, bit), small_verilog, build_dir)
    assert (difference.layer, difference.step, difference.neuron[0]) == ("conv1", "requantization", 1)


def test_one_golden_constant(small, small_verilog, build_dir):
    layers = list(small.network.layers)
    layers[1] = replace(layers[1], mult=layers[1].mult + np.eye(1, 6, 2, dtype=np.int64)[0] * 4096)
    golden = dict(reference.run(replace(small.network, layers=tuple(layers)), small.samples).activations)
    del golden[INPUT]
    difference = located(small, small.image, small_verilog, build_dir, golden)
    assert (difference.layer, difference.neuron[0]) == ("pool", 2)


@pytest.mark.parametrize("field", ["y1", "group0", "edge"])
def test_one_routing_field(small, small_verilog, build_dir, field):
    """The route then misses bundles, or sends them where no core takes them."""
    image = small.image
    entry = image.cores_of("pool")[0]
    value = unpack(memory_layouts(image.config)[Memory.ROUTE], image.words((entry.y, entry.x), Memory.ROUTE)[0])[field]
    image = mutate(image, "pool", Memory.ROUTE, **{field: value - 1 if field == "y1" else value + 1})
    result = run(small, image, small_verilog, build_dir)
    difference = first_difference(compare("rtl", small.expected, result.activations, image))
    assert difference is not None and difference.layer == "conv2"
    if field == "edge":
        with pytest.raises(MismatchError, match=r"tile \(\d, \d\): \d+ rejected"):
            check_astray(result.counters, result.stray)


def test_route_to_another_tile_names_the_tile(small, small_verilog, build_dir):
    """Spikes for conv2 go to an input tile, which refuses them."""
    image = small.image
    target = image.cores_of(INPUT)[0]
    image = mutate(
        image, "pool", Memory.ROUTE, f__dst__x0=target.x, f__dst__x1=target.x, f__dst__y0=target.y, f__dst__y1=target.y
    )
    result = run(small, image, small_verilog, build_dir)
    assert first_difference(compare("rtl", small.expected, result.activations, image)) is not None
    with pytest.raises(MismatchError, match=rf"tile \({target.y}, {target.x}\): \d+ rejected"):
        check_astray(result.counters, result.stray)


def test_rectangle_outside_the_mesh_is_dropped_at_its_sender(small, small_verilog, build_dir):
    image = mutate(small.image, "pool", Memory.ROUTE, f__dst__x1=3)
    result = run(small, image, small_verilog, build_dir)
    entry = image.cores_of("pool")[0]
    with pytest.raises(MismatchError, match=rf"tile \({entry.y}, {entry.x}\): \d+ dropped"):
        check_astray(result.counters, result.stray)


def test_multicast_cut_to_one_tile(small, small_verilog, build_dir):
    entry = small.image.cores_of("pool")[0]
    route = unpack(memory_layouts(small.config)[Memory.ROUTE], small.image.words((entry.y, entry.x), Memory.ROUTE)[0])
    assert route["dst.y1"] > route["dst.y0"], "conv2 has two channel tiles, one above the other"
    image = mutate(small.image, "pool", Memory.ROUTE, f__dst__y1=route["dst.y0"])
    difference = located(small, image, small_verilog, build_dir)
    assert difference.layer == "conv2" and isinstance(difference.step, int)
    assert difference.core == (image.cores_of("conv2")[1].y, image.cores_of("conv2")[1].x)


def test_halo_left_out(small, small_verilog, build_dir):
    """The row above those that the lower tile of conv1 holds does not go there."""
    entry, lower = small.image.cores_of(INPUT)[0], small.image.cores_of("conv1")[1]
    layout = memory_layouts(small.config)[Memory.ROUTE]
    routes = [unpack(layout, word) for word in small.image.words((entry.y, entry.x), Memory.ROUTE)]
    address, route = next((a, r) for a, r in enumerate(routes) if (r["dst.y1"], r["dst.x1"]) == (lower.y, lower.x))
    assert route["y0"] == lower.region.y0 - 1
    image = mutate(small.image, INPUT, Memory.ROUTE, address, y0=lower.region.y0)
    difference = located(small, image, small_verilog, build_dir)
    assert difference.layer == "conv1"
    assert difference.core == (lower.y, lower.x)


def test_read_out_sent_astray_ends_in_a_bounded_time_with_tile_and_step(small, small_verilog, build_dir):
    """An output core that does not read out: the run fails in the step where the flits are missing."""
    entry = small.image.cores_of("out")[0]
    image = mutate(small.image, "out", Memory.CORE, readout=0)
    with pytest.raises(
        ChipError, match=rf"window \d+, step 0: .*read-out flits did not arrive.*\({entry.y}, {entry.x}\)"
    ):
        run(small, image, small_verilog, build_dir)


def test_a_step_that_takes_too_long_is_reported_by_the_watchdog(small, small_verilog, build_dir):
    with pytest.raises(ChipError, match=r"failed in window \d+, step \d+: the step did not end within 20 cycles"):
        simulate(
            small.image, small.samples, simulator="verilator", build_dir=build_dir, verilog=small_verilog, step_limit=20
        )
