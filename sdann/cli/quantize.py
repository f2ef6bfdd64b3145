"""``sdann quantize``."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sdann.atomic import atomic

from .options import IN_FILE, chip_from, chip_options, out_option, quantize_options, sparsity_options
from .outcome import Outcome, command, progress
from .tables import quantize_table

if TYPE_CHECKING:
    from sdann.brought import Samples
    from sdann.float_model import FloatModel

__all__ = ["quantize_command"]


def _load(float_file: Path, images: Path | None, labels: Path | None) -> tuple["FloatModel", "Samples"]:
    """The float graph, and images to calibrate, train and test with."""
    from sdann.brought import Samples, load_program, load_samples
    from sdann.errors import SdannError
    from sdann.torch_import import from_torch

    if float_file.suffix == ".pt2":
        graph = load_program(float_file)
        if images is None:
            raise SdannError("an exported program needs --images FILE.npy to calibrate with")
        return graph, load_samples(graph, images, labels)
    from sdann.datasets import load_digits, open_dataset
    from sdann.training import load_trained

    model, spec = load_trained(float_file)
    graph = from_torch(model, spec.input_shape, name=spec.name)
    if images is not None:
        return graph, load_samples(graph, images, labels)
    if spec.data == "digits":
        digits = load_digits()
        return graph, Samples(
            images=digits.train_images.astype(float), labels=digits.train_labels,
            test_images=digits.test_images.astype(float), test_labels=digits.test_labels,
        )  # fmt: skip
    if spec.data != "scenes":
        raise SdannError(
            f"{spec.name} was not made for data that comes with this: give --images FILE.npy to calibrate with"
        )
    scenes = open_dataset(spec.data, spec.input_shape)
    return graph, Samples(
        images=scenes.train.batch(range(len(scenes.train)))[0].astype(float), labels=None,
        test_images=scenes.test.batch(range(len(scenes.test)))[0].astype(float), test_labels=None,
    )  # fmt: skip


@command("quantize")
@click.argument("float_file", metavar="FLOAT", type=IN_FILE)
@chip_options(default="demo")
@quantize_options()
@click.option("--raw/--rounded", default=False, show_default=True, help="Give out the last layer's accumulators.")
@click.option(
    "--peak-images", type=click.IntRange(0), default=None, metavar="N",
    help="Run the integers on N calibration images for the membrane's range (0: do not). Default: some seconds' worth.",
)  # fmt: skip
@click.option("--images", type=IN_FILE, metavar="NPY", help="Images to calibrate with; the last fifth is held out.")
@click.option("--labels", type=IN_FILE, metavar="NPY", help="Their labels, to fine-tune and to count right answers.")
@click.option(
    "--finetune",
    "epochs",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="EPOCHS",
    help="Train so long with the integers' values before quantizing.",
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), default=0.01, show_default=True, help="Learning rate of that."
)
@sparsity_options()
@out_option("build/net.safetensors", "the integer network")
def quantize_command(
    float_file: Path,
    preset_name: str,
    fields: tuple[tuple[str, int], ...],
    membrane_bits: int | None,
    calibration: int,
    images: Path | None,
    labels: Path | None,
    epochs: int,
    rate: float,
    rot: tuple[tuple[str, int], ...],
    drlo: tuple[tuple[str, int], ...],
    out: Path,
    **options: Any,
) -> Outcome:
    """Quantize the float network FLOAT for a chip.

    FLOAT is a file of `sdann train`, or one of torch.export.save (.pt2). Post-training quantization, eqs. 1-10, and
    eqs. 15-19 with --scaled; with --finetune, training that knows of it.
    """
    config = chip_from(preset_name, fields, membrane_bits)
    from sdann.api import quantize as api_quantize
    from sdann.brought import outputs
    from sdann.errors import SdannError
    from sdann.evaluate import accuracy, integer_accuracy
    from sdann.finetune import FinetuneOptions, finetune
    from sdann.network_file import save_network
    from sdann.recipe import options_for

    with progress() as steps:
        with steps.step("load"):
            graph, samples = _load(float_file, images, labels)
        chosen = options_for(config, **options)
        tuned = graph
        if epochs:
            if samples.labels is None:
                raise SdannError("--finetune needs --labels FILE.npy")
            advance = steps.bar("fine-tune")
            tuned = finetune(
                graph, samples.images, samples.labels, chosen,
                FinetuneOptions(epochs=epochs, rate=rate, calibration=calibration),
                progress=lambda done, total, loss: advance(done, total),
            )  # fmt: skip
        with steps.step("quantize"):
            made = api_quantize(
                tuned, samples.images[:calibration], chip=config, rot=dict(rot), drlo=dict(drlo), **options
            )
            network, choices = made.graph, made.choices
            assert choices is not None
        right = None
        if samples.test_labels is not None:
            with steps.step("test"):
                before = accuracy(outputs(graph, samples.test_images), samples.test_labels)
                after = integer_accuracy(network, samples.test_images, samples.test_labels)
                right = {"float": before, "integer": after}
        with atomic(out) as temporary:
            save_network(network, temporary)
    tested = f"wrote {out}"
    if right is not None:
        tested = (
            f"accuracy on {len(samples.test_images)} test images: float {right['float']:.2%}, integer "
            f"{right['integer']:.2%}; {tested}"
        )
    if graph.host:
        tested += f"; left to the host: {', '.join(graph.host)}"
    return Outcome(
        data={
            "network": network.name, "time_steps": network.time_steps, "membrane_bits": network.membrane_bits,
            "weight_bits": network.weight_bits, "scaled": bool(options["scaled"]), "finetuned_epochs": epochs,
            "rot": dict(rot), "drlo": dict(drlo), "host": list(graph.host), "samples": len(samples.test_images),
            "accuracy": right, "layers": [dataclasses.asdict(layer) for layer in choices.layers], "out": str(out),
        },
        text=[quantize_table(choices), tested],
    )  # fmt: skip
