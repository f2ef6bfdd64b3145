"""What the coverage of the RTL is measured on: a bounded set of runs of one chip, each held against its models."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sdann import reference
from sdann.assembler import place_network
from sdann.errors import MismatchError, SdannError
from sdann.feature_network import feature_image, feature_network
from sdann.graph import INPUT, EdgeKind, IntArray, QuantizedNetwork
from sdann.mapper import ProgramImage, plan_network
from sdann.random_networks import FEATURES, random_input, random_network
from sdann.random_places import random_places, with_chip_parts

from ..compare import check_astray, compare, require_equal
from ..compiled.chip import CompiledChip, run_compiled
from ..coverage import Coverage
from ..covering import COVERAGE_CHIP, covering_layers
from ..driver import ChipDriver
from ..session import observe, stream, trace
from .faults import break_chip
from .points import read_points
from .report import RtlCoverage, load_waivers

__all__ = ["Program", "random_program", "random_programs", "run_workloads"]

STALL = 0.2
"""Of the host, in half of the runs."""

COVERING = 12
"""Programs of one layer; all of them run on a core by itself (:mod:`sim.coverage_run`)."""

DIGIT_WIDTH = 4
"""Channels of the digit network's first layer: the chip has few neurons a core."""


@dataclass(frozen=True)
class Program:
    """A network's program for :data:`COVERAGE_CHIP`, and inputs [N, C, H, W]."""

    name: str
    network: QuantizedNetwork
    image: ProgramImage
    x: IntArray


def random_program(seed: int, number: int) -> Program | None:
    """A random network on random tiles; None where it does not fit. The same arguments give the same program.

    Each draws from some kinds, strides and features only: what is rare among all of them is common somewhere.
    """
    rng, chip = np.random.default_rng([seed, number]), COVERAGE_CHIP
    kinds: list[tuple[EdgeKind, ...]] = [("conv", "depthwise", "linear"), ("conv",), ("depthwise",), ("linear",)]
    strides: list[tuple[int, ...]] = [(1,), (1, 2), (2,), (4,), (1, 2, 4)]
    network = random_network(
        rng, edge_kinds=kinds[int(rng.integers(len(kinds)))], strides=strides[int(rng.integers(len(strides)))],
        features=[name for name in FEATURES if rng.random() < 0.7], square=0.5, layers=int(rng.choice([1, 1, 2, 3])),
        channels=int(rng.choice([4, 8, 12])), max_side=8, max_kernel=7, max_edges=chip.edges, max_parts=chip.parts,
        time_steps=int(rng.choice([3, 4, 4, 5, 8])), scaled=bool(rng.random() < 0.5), membrane_bits=chip.membrane_bits,
    )  # fmt: skip
    network = with_chip_parts(network, rng, chip)
    places = random_places(network, rng, chip)
    if places is None:
        return None
    try:
        image = place_network(network, chip, places)
    except SdannError:  # too many words, edges or routes, or a skip over more windows than a ring holds
        return None
    return Program(f"random network {number}", network, image, random_input(network, rng, 2))


def random_programs(
    seed: int, *, limit: int, coverage: Coverage, progress: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[Program]:
    """Those of the first ``limit`` random networks that hit a bin of ``coverage`` first; what they hit is added.

    Ends when all bins are hit. ``progress``: called with bins hit and bins in all.
    """
    for number in range(limit):
        if not coverage.missing:
            return
        program = random_program(seed, number)
        if program is not None and coverage.gain(program.image, list(program.image.cores)):
            coverage.add(program.image)
            _, hit, total = coverage.rows()[-1]
            progress(hit, total)
            yield program


def _feature_programs() -> Iterator[Program]:
    for number, (mode, readout) in enumerate((("exact", "act"), ("scaled", "wide"), ("saturating", "raw"))):
        network = feature_network(readout, mode=mode, signed_input=readout == "raw", seed=number)  # type: ignore[arg-type]
        network = replace(network, membrane_bits=COVERAGE_CHIP.membrane_bits)
        x = random_input(network, np.random.default_rng(number), 2)
        yield Program(f"feature network, {mode}, {readout}", network, feature_image(network, COVERAGE_CHIP), x)


def _digit_program() -> Program:
    import torch

    from sdann.datasets import open_dataset
    from sdann.quantization import QuantizeOptions, quantize, quantize_input
    from sdann.torch_import import from_torch
    from sdann.zoo import network_spec, seeded

    spec = network_spec("digit-cnn", width=DIGIT_WIDTH)
    images, _ = open_dataset(spec.data, spec.input_shape).test.batch(np.arange(16))
    model = seeded(spec, torch.from_numpy(images))
    options = QuantizeOptions(membrane_bits=COVERAGE_CHIP.membrane_bits, scaled=True)
    network, _ = quantize(from_torch(model, spec.input_shape, name=spec.name), images, options)
    (image,) = plan_network(network, COVERAGE_CHIP, one_pass=True).images()
    return Program("digit network", network, image, quantize_input(network, images[:3]))


def _covering_programs(seed: int) -> Iterator[Program]:
    for number, layer in zip(range(COVERING), covering_layers(seed), strict=False):
        yield Program(f"covering layer {number}", layer.network, layer.image, layer.x)


def _run(chip: CompiledChip, program: Program, mode: str) -> None:
    """Raises MismatchError or ChipError where the RTL does not do what the golden says."""
    image, x = program.image, program.x
    golden = reference.run(program.network, x).activations
    expected = {name: a for name, a in golden.items() if name != INPUT}
    if mode == "read back":
        run_compiled(chip, image, _read_back)
        return
    if mode == "trace":
        core = next(core for core, entry in image.cores.items() if entry.layer != INPUT)
        run_compiled(chip, image, lambda driver: trace(driver, x[0], core))
        return
    session = observe if mode == "observe" else stream
    result = run_compiled(chip, image, lambda driver: session(driver, x))
    if mode == "observe":
        require_equal(compare(f"rtl, {program.name}", expected, result.activations, image))
    if (result.outputs != expected[program.network.layers[-1].name]).any():
        raise MismatchError(f"rtl, {program.name}: the read-out is not the golden's")
    check_astray(result.counters, result.stray)


async def _read_back(driver: ChipDriver) -> None:
    """Loads the program, and reads every word of it."""
    await driver.load()
    for core, memories in driver.image.memories.items():
        for memory in memories:
            words = driver.image.words(core, memory)
            found = await driver.read_words(core, memory, range(len(words)))
            if wrong := [address for address, word in enumerate(words) if found[address] != word]:
                place = f"{memory.name} word {wrong[0]} of core {core}"
                raise MismatchError(
                    f"rtl: {place} reads as {found[wrong[0]]:#x}, what was written is {words[wrong[0]]:#x}"
                )


def run_workloads(
    *, seed: int, networks: int, build_dir: Path, reached: Coverage,
    report: Callable[[str], Callable[[int, int], None]],
) -> RtlCoverage:  # fmt: skip
    """Runs all workloads on :data:`COVERAGE_CHIP`'s RTL, built with coverage; returns what they hit.

    Random programs of one layer (those of :func:`sim.covering.covering_layers`), the random networks among the first
    ``networks`` that reach a new bin of ``reached`` (which is to be empty), the network of every feature, a digit
    network, and faults (:mod:`sim.rtl_coverage.faults`). The host stalls at random in half of the runs. Raises
    :class:`sdann.errors.MismatchError` with the first difference from the golden, ChipError where the chip refuses
    something that it should not, or the other way round.
    """
    with TemporaryDirectory() as folder, CompiledChip(COVERAGE_CHIP, build_dir=build_dir, coverage=True) as chip:

        def run(what: str, programs: Iterator[Program], modes: tuple[str, ...] = ("observe",)) -> None:
            advance = report(what)
            for done, program in enumerate(programs, start=1):
                for number, mode in enumerate(modes):
                    chip.reset()
                    chip.set_stalls(STALL * ((done + number) % 2), seed)
                    _run(chip, program, mode)
                advance(done, done)

        digits = _digit_program()
        run("digit network", iter([digits]), ("observe", "stream", "read back"))
        run("network of every feature", _feature_programs(), ("observe", "stream", "trace"))
        run("random networks", random_programs(seed, limit=networks, coverage=reached))
        run("covering programs", _covering_programs(seed))
        chip.reset()
        chip.set_stalls(0, seed)
        features = next(_feature_programs())
        advance = report("faults")
        count = break_chip(chip, features.image, seed)
        advance(count, count)
        run("a good program after faults", iter([features]))
        path = Path(folder) / "coverage.dat"
        chip.write_coverage(path)
        verilog = {text.name: text.read_text() for text in chip.library.parent.glob("*.v")}
        return RtlCoverage(read_points(path), verilog, load_waivers())
