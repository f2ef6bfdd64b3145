"""``sdann quantize``."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from sdann.atomic import atomic

from .options import IN_FILE, chip_from, chip_options, out_option, quantize_options, sparsity_options
from .outcome import Outcome, command, progress
from .tables import quantize_table

__all__ = ["quantize_command"]


@command("quantize")
@click.argument("float_file", metavar="FLOAT", type=IN_FILE)
@chip_options(default="demo")
@quantize_options()
@sparsity_options()
@out_option("build/net.safetensors", "the integer network")
def quantize_command(
    float_file: Path,
    preset_name: str,
    fields: tuple[tuple[str, int], ...],
    membrane_bits: int | None,
    calibration: int,
    rot: tuple[tuple[str, int], ...],
    drlo: tuple[tuple[str, int], ...],
    out: Path,
    **options: Any,
) -> Outcome:
    """Quantize the float network FLOAT for a chip.

    Post-training quantization, eqs. 1-10, and eqs. 15-19 with --scaled.
    """
    config = chip_from(preset_name, fields, membrane_bits)
    from sdann.datasets import load_digits
    from sdann.evaluate import float_accuracy, integer_accuracy
    from sdann.network_file import save_network
    from sdann.quantize import quantize
    from sdann.recipe import options_for
    from sdann.sparsity import with_sparsity
    from sdann.torch_import import from_torch
    from sdann.training import load_float
    from sdann.zoo import network_spec

    with progress() as steps, steps.step("quantize"):
        model, name = load_float(float_file)
        digits = load_digits()
        layers = from_torch(model, network_spec(name).input_shape, name=name)
        network, report = quantize(layers, digits.train_images[:calibration], options_for(config, **options))
        network = with_sparsity(network, rot=dict(rot), drlo=dict(drlo))
        before = float_accuracy(model, digits.test_images, digits.test_labels)
        after = integer_accuracy(network, digits.test_images, digits.test_labels)
        with atomic(out) as temporary:
            save_network(network, temporary)
    return Outcome(
        data={
            "network": network.name, "time_steps": network.time_steps, "membrane_bits": network.membrane_bits,
            "scaled": bool(options["scaled"]), "rot": dict(rot), "drlo": dict(drlo), "samples": len(digits.test_labels),
            "accuracy": {"float": before, "integer": after},
            "layers": [dataclasses.asdict(layer) for layer in report.layers], "out": str(out),
        },
        text=[
            quantize_table(report),
            f"accuracy on {len(digits.test_labels)} test images: float {before:.2%}, integer {after:.2%}; wrote {out}",
        ],
    )  # fmt: skip
