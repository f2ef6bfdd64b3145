"""The demonstration: one network from torch to Verilog and back, every model against every other."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hdl.chip import chip_verilog
from hdl.config import ChipConfig
from sim.simulators import SimulatorName

from . import reference
from .atomic import atomic
from .chip_file import save_chip
from .datasets import load_digits, open_dataset
from .errors import SdannError
from .evaluate import float_accuracy, integer_accuracy
from .graph import QuantizedNetwork
from .liveness import LEAST_ALIVE
from .mapper import ProgramImage, map_network
from .mapper.work import count_spikes
from .network_file import save_network
from .quantization import QuantizeOptions, QuantizeReport, quantize, quantize_input
from .report import ReportData, WindowRecorder, collect
from .results import Figure, rtl_figures
from .stages import StageResult, Stages
from .torch_import import from_torch
from .training import TrainOptions, save_float, train
from .zoo import network_spec

__all__ = ["FLOAT_ACCURACY", "DemoOptions", "DemoResult", "Progress", "run_demo"]

NETWORK = "digit-cnn"
FLOAT_ACCURACY = 0.97
"""The float network is to reach this on the test images: a network that learnt nothing would prove nothing."""

HALO, MAPPED_BY = "conv2", 32
"""The layer that is cut both ways unless the user says otherwise, so that the demo shows a halo; and the number of
training images whose spikes the mapper goes by."""

Progress = Callable[[str], Callable[[int, int], None]]
"""Called with what begins; returns what to call with (done, total)."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """``splits``: (row tiles, channel tiles) by layer. ``samples``: test images to co-simulate. The rest: its steps."""

    config: ChipConfig
    quantize: QuantizeOptions
    out: Path
    samples: int = 24
    seed: int = 0
    calibration: int = 256
    splits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    simulator: SimulatorName = "verilator"
    stall: float = 0.0
    build_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """``report``: the JSON object; its ``failures`` say why something is not as promised (empty: all is)."""

    network: QuantizedNetwork
    quantized: QuantizeReport
    image: ProgramImage
    stages: list[StageResult]
    figures: list[Figure]
    report: ReportData


def run_demo(options: DemoOptions, progress: Progress) -> DemoResult:
    """Trains, quantizes, maps, writes Verilog, co-simulates, compares; leaves all files in ``options.out``."""
    started = time.monotonic()
    config, out = options.config, options.out
    spec, digits = network_spec(NETWORK), load_digits()
    if options.samples > len(digits.test_labels):
        raise SdannError(f"there are {len(digits.test_labels)} test images, not {options.samples}")
    images, labels = digits.test_images[: options.samples], digits.test_labels[: options.samples]

    advance = progress("train")
    dataset = open_dataset("digits", spec.input_shape)
    model = train(spec, dataset, TrainOptions(seed=options.seed, device="cpu"), progress=advance)
    with atomic(out / "float.safetensors") as path:
        save_float(model, NETWORK, path)

    advance = progress("quantize")
    layers = from_torch(model, spec.input_shape, name=NETWORK)
    network, quantized = quantize(layers, digits.train_images[: options.calibration], options.quantize)
    with atomic(out / "net.safetensors") as path:
        save_network(network, path)
    before = float_accuracy(model, digits.test_images, digits.test_labels)
    after = integer_accuracy(network, digits.test_images, digits.test_labels)
    advance(1, 1)

    advance = progress("map")
    several = network.layer(HALO).shape[0] > config.lanes
    splits = options.splits or ({HALO: (2, 2)} if several else {})
    balance = quantize_input(network, digits.train_images[:MAPPED_BY])
    spikes = count_spikes(network, reference.run(network, balance).activations, config.lanes)
    image = map_network(network, config, splits, spikes=spikes)
    with atomic(out / "image.safetensors") as path:
        image.save(path)
    advance(1, 1)

    advance = progress("verilog")
    verilog = chip_verilog(config)
    save_chip(config, verilog, out / "chip.v")
    advance(1, 1)

    advance = progress("golden, stem, tiles")
    stages = Stages(network, quantize_input(network, images), labels)
    results, recorder = [stages.float_net(model, images)], WindowRecorder(image)
    models: tuple[Callable[[], StageResult], ...] = (
        stages.golden_model,
        lambda: stages.spiking_model(isum_bits=config.isum_bits),
        lambda: stages.tile_model(image, observer=recorder),
    )
    for number, run in enumerate(models, start=1):
        results.append(run())
        advance(number, len(models))
    rtl, runs = stages.rtl(
        image, simulator=options.simulator, stall=options.stall, seed=options.seed, verilog=verilog,
        build_dir=options.build_dir, progress=progress,
    )  # fmt: skip
    results.append(rtl)

    hidden = {layer.name: stages.golden.activations[layer.name] for layer in network.layers[:-1]}
    quietest = min(hidden, key=lambda name: np.count_nonzero(hidden[name]) / hidden[name].size)
    everyone = f"of {len(digits.test_labels)} images"
    figures = [
        Figure(name="float test accuracy", value=before, bound=FLOAT_ACCURACY, unit=everyone),
        Figure(name="integer test accuracy", value=after, unit=everyone),
        Figure(
            name=f"non-zero activations, least of the hidden layers ({quietest})", bound=LEAST_ALIVE, unit="of all",
            value=np.count_nonzero(hidden[quietest]) / hidden[quietest].size,
        ),
        Figure(
            name="layers split over rows and channels, with a halo", bound=1, unit="layers",
            value=len(_split_both_ways(network, image)),
        ),
        Figure(name="SOPs", value=sum(stages.golden.sops.values()), bound=1, unit="operations"),
        *rtl_figures(image, runs),
    ]  # fmt: skip
    report = collect(
        network=network, source=f"the demo: test digits, network trained from seed {options.seed}", image=image,
        stages=results, figures=figures, recorder=recorder, run=runs.streamed, simulator=options.simulator,
        seconds=time.monotonic() - started, quantized=quantized,
    )  # fmt: skip
    return DemoResult(
        network=network, quantized=quantized, image=image, stages=results, figures=figures, report=report,
    )  # fmt: skip


def _split_both_ways(network: QuantizedNetwork, image: ProgramImage) -> list[str]:
    """Layers cut over rows and over channels whose kernel reaches across the cut: the halo is exercised."""
    return [
        layer.name
        for layer in network.layers
        if min(image.tiles_of(layer.name).rows, image.tiles_of(layer.name).channels) > 1
        and any(edge.kind != "linear" and edge.weight.shape[2] > edge.stride for edge in layer.edges)
    ]
