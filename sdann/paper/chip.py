"""Networks of the experiments on the chip's RTL: whole, on the compiled chip, every activation and counter against the
golden.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hdl.config import ChipConfig, preset
from hdl.program import Counter
from sim.simulators import SimulatorName

from ..errors import DoesNotFitError, FileFormatError
from ..graph import IntArray, QuantizedNetwork
from ..mapper import ProgramImage, plan_network
from ..mapper.work import count_spikes
from ..quantization import quantize_input
from ..stages import Stages, failures
from .subject import Subject

__all__ = ["CHIPS", "ROUTED", "ChipOptions", "ChipRun", "Clock", "read_clock", "run_on_chip"]

CHIPS = (preset("demo"), preset("darwin").replace(name="darwin-8x8", rows=8, cols=8))
"""Chips to choose from: the first on which a network fits in one pass."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """A clock that place and route reached. ``source``: where the figure comes from, in words."""

    mhz: float
    source: str


ROUTED = Clock(mhz=80.0, source="docs/fpga.md: preset ecp5_85k, routed for an ECP5-85F")
"""Where no result of ``sdann fpga`` is given."""


def read_clock(path: Path) -> Clock:
    """The clock in a file that ``sdann fpga --json`` printed; raises FileFormatError for anything else."""
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise FileFormatError(f"{path}: not a JSON file: {error}") from None
    mhz = found.get("clock_mhz") if isinstance(found, dict) else None
    if isinstance(mhz, bool) or not isinstance(mhz, (int, float)) or not mhz > 0:
        raise FileFormatError(f"{path}: no clock_mhz above 0 in it; make the file with: sdann fpga --json > FILE")
    return Clock(mhz=float(mhz), source=f"{path.name}: `sdann fpga`, preset {found.get('preset', 'unknown')}")


@dataclass(frozen=True, kw_only=True)
class ChipOptions:
    """``config``: the chip, None: the first of :data:`CHIPS` that the network fits. ``samples``: of the test part that
    run on the RTL, at least 1. ``build_dir``: where compiled chips are kept. ``simulator``: what runs the RTL ("tiles",
    the models in its place, is for tests).
    """

    config: ChipConfig | None = None
    samples: int = 20
    clock: Clock = field(default_factory=lambda: ROUTED)
    build_dir: Path = Path("build/sim")
    simulator: SimulatorName = "compiled"


@dataclass(frozen=True, kw_only=True)
class ChipRun:
    """What the RTL did with ``samples`` samples, and how that compares with the golden.

    ``score``: of its read-outs. ``compared``, ``different``: activations of all layers. ``sops``, ``saturations``: as
    its cores counted, without what ``twice`` counts: SOPs of neurons that two cores compute
    (:mod:`sdann.duplicates`). ``hops``: of spike bundles. ``cycles``: at full speed, ``alone``: of the first sample by
    itself, from the first step until its last read-out. ``failures``: every way in which it is not the golden, the
    first differing activation first.
    """

    chip: ChipConfig
    samples: int
    score: float
    compared: int
    different: int
    sops: int
    golden_sops: int
    twice: int
    saturations: int
    golden_saturations: int
    hops: int
    cycles: int
    alone: int
    failures: tuple[str, ...]


def _program(network: QuantizedNetwork, activations: dict[str, IntArray], config: ChipConfig | None) -> ProgramImage:
    """The network's program for ``config``, or for the first chip that it fits; one pass."""
    chips = CHIPS if config is None else (config,)
    for number, one in enumerate(chips, start=1):
        try:
            chip = one.replace(membrane_bits=network.membrane_bits)
            spikes = count_spikes(network, {name: a[:1] for name, a in activations.items()}, chip.lanes)
            (image,) = plan_network(network, chip, spikes=spikes, one_pass=True).images()
            return image
        except DoesNotFitError as error:
            if number == len(chips):
                raise DoesNotFitError(
                    f"{network.name!r} does not fit chip {one.name!r} in one pass: {error}; name a larger chip with "
                    "--preset and --set"
                ) from None
    raise AssertionError("there is no chip to choose from")


def run_on_chip(
    subject: Subject, network: QuantizedNetwork, options: ChipOptions, *, what: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ChipRun:  # fmt: skip
    """Runs ``network``, a variant of the subject's, on the first samples of the test part.

    ``what`` names the variant in messages. Raises DoesNotFitError for a network that the chip does not hold at once,
    and :class:`sdann.errors.ChipError` where the chip refuses something or goes silent.
    """
    from sim.cosim import simulate  # pulls in the simulators' tools

    images, targets = subject.part("test")
    count = min(options.samples, len(images))
    x = quantize_input(network, images[:count])
    stages = Stages(network, x)
    image = _program(network, stages.golden.activations, options.config)
    tiles = stages.tile_model(image)
    rtl, runs = stages.rtl(
        image, simulator=options.simulator, build_dir=options.build_dir, progress=lambda name: progress
    )
    alone = simulate(image, x[:1], simulator=options.simulator, mode="stream", build_dir=options.build_dir)
    found = [f"{subject.name}, {what}: {text}" for text in failures([tiles, rtl])]
    last = network.layers[-1].name
    if (alone.outputs != stages.golden.activations[last][:1]).any():
        found.append(f"{subject.name}, {what}: rtl: the first sample's read-out by itself is not the golden's")
    assert rtl.compared is not None and rtl.mismatches is not None and rtl.sops is not None
    assert rtl.saturations is not None and rtl.duplicate_sops is not None and rtl.cycles is not None
    return ChipRun(
        chip=image.config, samples=count, score=subject.score(network, runs.streamed.outputs, targets[:count]),
        compared=rtl.compared, different=rtl.mismatches, sops=rtl.sops, twice=rtl.duplicate_sops,
        golden_sops=sum(stages.golden.sops.values()), saturations=rtl.saturations,
        golden_saturations=sum(stages.golden.saturations.values()), hops=runs.streamed.total(Counter.HOPS),
        cycles=rtl.cycles, alone=alone.cycles, failures=tuple(found),
    )  # fmt: skip
