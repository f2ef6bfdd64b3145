"""Predicted and measured cycles, as a Markdown table: digit networks, and single layers of CIFAR10Net.

    python scripts/cycle_table.py [NAME...]
    python scripts/cycle_table.py --large LAYERS

All run on one chip of 5 x 4 tiles with Darwin3's cores, in Verilator. Weights are seeded: they need no file. What the
mapper refuses is placed by hand.

The second form only predicts: that many convolutions of CIFAR10Net's widest kind in full, on preset `darwin`, each tile
of rows in a column of cores of its own; a single one also where the mapper places it.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from hdl.config import preset
from hdl.program import Counter
from sdann.assembler import Place, place_network
from sdann.cycles import predict
from sdann.graph import INPUT, Edge, FanIn, IntArray, Layer, Pool, QuantizedNetwork
from sdann.mapper import ProgramImage, map_network
from sdann.zoo_network import zoo_network
from sim.core_rate import alone
from sim.cycles import compare_cycles

CHIP = preset("darwin").replace(name="darwin-5x4", rows=5, cols=4, readout_depth=1 << 14)
STEPS = 8
SAMPLES = 2

Case = tuple[str, Callable[[], ProgramImage], IntArray]


def zoo_cases() -> Iterator[Case]:
    """The digit networks."""
    for name, samples in (("digit-cnn", 8), ("digit-resnet", 8), ("digit-yolo", 3)):
        found = zoo_network(name, samples=samples, calibration=64)
        network, tiles = found.network, iter(CHIP.cores)
        if name == "digit-resnet":
            places = {layer: (Place(tile=next(tiles)),) for layer in (INPUT, *(la.name for la in network.layers))}
            yield name, lambda net=network, at=places: place_network(net, CHIP, at), found.x
        else:
            yield name, lambda net=network: map_network(net, CHIP), found.x


def layer(name: str, weight: tuple[int, ...], side: int, seed: int, pool: Pool | None = None, parts: int = 0) -> Layer:
    """A layer on maps of ``side`` x ``side``: a 3 x 3 convolution, or for a kernel of that size a linear layer."""
    outputs, inputs, kernel, _ = weight
    linear = kernel == side
    values = np.random.default_rng(seed).integers(-20, 21, weight)
    edge = Edge(source=INPUT, kind="linear" if linear else "conv", weight=values, padding=0 if linear else kernel // 2)
    runs = [FanIn(edge=0, channel0=p * inputs // parts, channels=inputs // parts) for p in range(parts)]
    return Layer(
        name=name, shape=(outputs, 1, 1) if linear else (outputs, side, side), edges=(edge,), pool=pool,
        mult=np.full(outputs, 300), shift=np.full(outputs, 20), bias=np.zeros(outputs, dtype=np.int64),
        bias_mode="scaled", lo=0, hi=255, parts=tuple((run,) for run in runs),
    )  # fmt: skip


def activations(shape: tuple[int, ...], seed: int, zeros: float) -> IntArray:
    """As after ReLU: a share of zeros, the others small, int64 [SAMPLES, C, H, W]."""
    rng = np.random.default_rng(seed)
    x = np.minimum(rng.exponential(30, (SAMPLES, *shape)), (1 << STEPS) - 1).astype(np.int64)
    x[rng.random(x.shape) < zeros] = 0
    return x


def layer_cases() -> Iterator[Case]:
    """Layers of CIFAR10Net: all inputs, some of the output channels, and of the deeper ones a part of the map."""
    rows = [Place(tile=CHIP.cores[n], rows=(2 * n, 2)) for n in range(4)]
    cases: Sequence[tuple[str, Layer, int, float, Mapping[str, Sequence[Place]] | None]] = (
        ("conv1, 32 channels", layer("conv1", (32, 3, 3, 3), 32, 0), 32, 0.0, None),
        ("conv2, 64 channels, 8 x 8", layer("conv2", (64, 256, 3, 3), 8, 1), 8, 0.55, None),
        (
            "conv3 and pooling, 32 channels, 8 x 8",
            layer("conv3", (32, 256, 3, 3), 8, 2, pool=Pool(kernel=2, stride=2)), 8, 0.55,
            {INPUT: rows, "conv3": [Place(tile=CHIP.cores[4 + n], channels=(16 * n, 16)) for n in range(2)]},
        ),
        (
            "FC 2048, 16 neurons in 4 parts", layer("fc1", (16, 256, 8, 8), 8, 3, parts=4), 8, 0.55,
            {INPUT: rows, "fc1": [Place(tile=CHIP.cores[4 + n], part=n) for n in range(4)]},
        ),
    )  # fmt: skip
    for seed, (name, made, side, zeros, places) in enumerate(cases, start=1):
        shape = made.edges[0].weight.shape[1], side, side
        network: QuantizedNetwork = alone(made, shape, CHIP, STEPS)
        x = activations(shape, seed, zeros)
        if places is None:
            yield f"CIFAR10Net {name}", lambda net=network: map_network(net, CHIP), x
        else:
            yield f"CIFAR10Net {name}", lambda net=network, at=places: place_network(net, CHIP, at), x


def wide_network(layers: int) -> QuantizedNetwork:
    """3 x 3 convolutions from 256 to 256 channels on maps of 32 x 32, and a 1 x 1 one to 16, few enough to read out."""
    rng = np.random.default_rng(0)
    channels, names, made = 256, [INPUT, *(f"conv{n}" for n in range(layers))], []
    for n, source in enumerate(names):
        last = n == layers
        outputs, kernel = (16, 1) if last else (channels, 3)
        weight = np.clip(np.rint(rng.normal(0, 20, (outputs, channels, kernel, kernel))), -127, 127).astype(np.int64)
        made.append(
            Layer(
                name="last" if last else names[n + 1],
                shape=(outputs, 32, 32),
                bias_mode="scaled",
                lo=0,
                hi=255,
                edges=(Edge(source=source, kind="conv", weight=weight, padding=kernel // 2),),
                mult=np.full(outputs, 20000),
                shift=np.full(outputs, 22 if last else 24),
                bias=np.zeros(outputs, dtype=np.int64),
            )
        )
    return QuantizedNetwork(
        name="wide", input_shape=(channels, 32, 32), input_signed=False, time_steps=STEPS, membrane_bits=32,
        weight_bits=8, layers=tuple(made),
    )  # fmt: skip


def large(layers: int) -> None:
    """Predicts one sample of :func:`wide_network`."""
    config = preset("darwin").replace(readout_depth=1 << 16)
    network, tiles = wide_network(layers), range(16)
    x = activations((256, 32, 32), 0, 0.55)[:1]
    places = {
        INPUT: [Place(tile=(1 + r, g), rows=(2 * r, 2), channels=(64 * g, 64)) for r in tiles for g in range(4)],
        "last": [Place(tile=(17, 4 * layers + r), rows=(8 * r, 8)) for r in range(4)],
    }
    for n in range(layers):
        places[f"conv{n}"] = [
            Place(tile=(1 + k, 4 + 4 * n + r), rows=(8 * r, 8), channels=(16 * k, 16)) for r in range(4) for k in tiles
        ]
    images = {"rows in columns": place_network(network, config, places)}
    if layers == 1:
        images["the mapper's places"] = map_network(network, config)
    for name, image in images.items():
        begun = time.perf_counter()
        report, _ = predict(image, x)
        seconds = time.perf_counter() - begun
        busiest = int(report.total("busy").max()) / report.cycles
        print(
            f"{name}: {len(image.cores)} cores, {report.cycles:,} cycles, the busiest core works in {busiest:.0%} of "
            f"them; {seconds:.0f} s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20):.1f} GiB"
        )


def main() -> None:
    """Prints the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only cases with one of these words in their names")
    parser.add_argument("--build-dir", type=Path, default=Path("build/sim"))
    parser.add_argument("--large", type=int, metavar="LAYERS", help="1 to 5 wide convolutions, without RTL")
    options = parser.parse_args()
    if options.large:
        large(options.large)
        return
    print("| network | cores | samples | predicted | measured | error | BUSY wrong | without waiting | SOPs at best |")
    print("|---|---|---|---|---|---|---|---|---|")
    failed = False
    for name, make, x in (*zoo_cases(), *layer_cases()):
        if options.names and not any(word in name for word in options.names):
            continue
        image = make()
        found = compare_cycles(image, x, build_dir=options.build_dir)
        free, _ = predict(image, x, queues=False)
        report, wrong = found.report, found.wrong(Counter.BUSY)
        failed |= bool(wrong) or found.error > 0.02
        print(
            f"| {name} | {len(image.cores)} | {len(x)} | {report.cycles:,} | {found.cycles:,} | {found.error:.2%} "
            f"| {wrong} | {free.cycles / report.cycles - 1:+.1%} | {report.bound / report.per_sample:.0%} |",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
