"""``sdann bench core``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .options import chip_from, chip_options
from .outcome import Outcome, command, progress
from .tables import figure_text

if TYPE_CHECKING:
    from hdl.config import ChipConfig
    from sdann.graph import IntArray, QuantizedNetwork
    from sdann.results import Figure
    from sim.core_rate import Rate

__all__ = ["bench_core_command"]

SHARE = 0.95
"""Least share of the cycles from a step's first visit to its last one in which the accumulator makes a visit."""


@command("core")
@chip_options(default="darwin")
@click.option(
    "--layer", default="conv2", show_default=True, help="Convolution of the digit network whose input is recorded."
)
@click.option("--epochs", type=click.IntRange(1), default=4, show_default=True, help="Training of the digit network.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Folder for simulator builds.",
)  # fmt: skip
def bench_core_command(
    preset_name: str, fields: tuple[tuple[str, int], ...], layer: str, epochs: int, seed: int, build_dir: Path
) -> Outcome:
    """Measure synaptic operations per cycle of one core's RTL on 3 x 3 convolutions.

    Steady state counts the cycles from a step's first visit of the accumulator to its last one, while bundles are
    always waiting; its bounds are 0.95 of lanes x weight ports with all bits set, and 0.95 of what pairing the set
    bits allows with recorded masks. The whole step adds the pass at its begin and the pipelines' filling and draining.
    """
    config = chip_from(preset_name, fields)
    with progress() as steps:
        with steps.step("start"):
            import numpy as np

            from sdann.results import broken
            from sim.core_rate import full_layer, measure
        full = full_layer(config, time_steps=2)
        ones = np.full(full.input_shape, 3, dtype=np.int64)  # every bit of both planes
        with steps.step("train and quantize"):
            recorded, sample = _recorded(config, layer, epochs, seed)
        with steps.step("full masks"):
            rates = {"": measure(full, ones, config, build_dir=build_dir)}
        with steps.step("recorded masks"):
            rates["_recorded"] = measure(recorded, sample, config, build_dir=build_dir)
    figures = [figure for suffix, rate in rates.items() for figure in _figures(suffix, rate, config)]
    sops = [
        f"the core counted {found:,} SOPs{name.replace('_', ' ')}, the spiking model {rate.sops:,}"
        for name, rate in rates.items()
        if (found := sum(step.sops for step in rate.steps)) != rate.sops
    ]
    return Outcome(
        data={
            "figures": [figure.as_dict() for figure in figures],
            "steps": {f"core{suffix}": [vars(step) for step in rate.steps] for suffix, rate in rates.items()},
        },
        text=[figure_text(figures)],
        failures=[*broken(figures), *sops],
    )


def _figures(suffix: str, rate: "Rate", config: "ChipConfig") -> list["Figure"]:
    from sdann.results import Figure

    peak = config.lanes * config.weight_ports
    best, name = (rate.pairing if suffix else peak), f"core{suffix}"
    totals = {of: sum(int(getattr(step, of)) for step in rate.steps) for of in ("visits", "span", "cycles")}
    return [
        Figure(
            name=f"core_sop_per_cycle{suffix}", value=rate.per_cycle("span"), unit="SOP/cycle", bound=SHARE * best
        ),
        Figure(name=f"core_sop_per_cycle_whole_step{suffix}", value=rate.per_cycle("cycles"), unit="SOP/cycle"),
        Figure(name=f"{name}_pairing_of_peak", value=rate.pairing / peak, unit=""),
        Figure(name=f"{name}_visits", value=totals["visits"], unit="cycles", bound=rate.visits, relation="=="),
        Figure(name=f"{name}_first_to_last_visit", value=totals["span"], unit="cycles"),
        Figure(name=f"{name}_whole_steps", value=totals["cycles"], unit="cycles"),
    ]  # fmt: skip


def _recorded(config: "ChipConfig", layer: str, epochs: int, seed: int) -> tuple["QuantizedNetwork", "IntArray"]:
    """A layer of the digit network on its own, and its input [C, H, W] for the first test digit."""
    from sdann import golden
    from sdann.datasets import load_digits, open_dataset
    from sdann.errors import SdannError
    from sdann.quantization import quantize, quantize_input
    from sdann.recipe import options_for
    from sdann.torch_import import from_torch
    from sdann.training import TrainOptions, train
    from sdann.zoo import network_spec
    from sim.core_rate import alone

    spec, digits = network_spec("digit-cnn"), load_digits()
    model = train(spec, open_dataset(spec.data, spec.input_shape), TrainOptions(epochs=epochs, seed=seed))
    layers = from_torch(model, spec.input_shape, name=spec.name)
    network, _ = quantize(layers, digits.train_images[:256], options_for(config, time_steps=config.time_steps))
    found = {own.name: own for own in network.layers[1:] if own.edges[0].weight.shape[2:] == (3, 3)}
    if layer not in found:
        raise SdannError(f"the digit network has no 3 x 3 convolution {layer!r}; there are: {', '.join(found)}")
    source = found[layer].edges[0].source
    x = quantize_input(network, digits.test_images[:1])
    activations = golden.run(network, x).activations[source][0]
    return alone(found[layer], activations.shape, config, network.time_steps), activations
