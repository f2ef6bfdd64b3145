"""``sdann quantize``."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import RenderableType

from sdann.atomic import atomic

from .options import IN_FILE, chip_from, chip_options, out_option, quantize_options, sparsity_options
from .outcome import Outcome, command, progress
from .tables import quantize_table, table

if TYPE_CHECKING:
    from sdann.brought import Samples
    from sdann.float_model import FloatArray, FloatModel
    from sdann.graph import QuantizedNetwork
    from sdann.onnx_import import OnnxGraph
    from sdann.onnx_import.judge import Difference

__all__ = ["quantize_command"]


COMPARED = 64
"""Images on which a quantized model's layers are compared with onnxruntime's."""


def _load_onnx(
    graph: "OnnxGraph", images: Path | None, labels: Path | None, *, raw: bool, scaled: bool
) -> tuple["FloatModel", "Samples"]:
    """The float graph of an ONNX model, and images: a quantized one may do without."""
    from sdann.brought import load_samples
    from sdann.errors import SdannError
    from sdann.onnx_import import from_onnx
    from sdann.onnx_import.samples import random_samples

    model = from_onnx(graph)
    if images is not None:
        return model, load_samples(model, images, labels)
    if scaled:
        raise SdannError("--scaled needs the membrane's range: give --images FILE.npy to calibrate with")
    return model, random_samples(model, raw=raw)


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


def _run(judge: "OnnxGraph", images: "FloatArray") -> "FloatArray":
    import numpy as np

    from sdann.onnx_import.judge import run_model

    return np.asarray(run_model(judge, images)[0], dtype=np.float64)


def _compared(
    judge: "OnnxGraph", model: "FloatModel", network: "QuantizedNetwork", images: "FloatArray"
) -> list["Difference"]:
    """What of a quantized model's integers differs from onnxruntime's; nothing of a float model."""
    from sdann.float_model import is_quantized
    from sdann.onnx_import.judge import compare

    return compare(judge, model, network, images) if is_quantized(model) else []


def _differences(rows: list["Difference"]) -> RenderableType:
    return table(
        "Integers that differ from onnxruntime's: each layer alone on onnxruntime's inputs, and in the network",
        ("layer", "compared", "alone", "at most", "in the network", "at most"),
        [
            (
                row.layer, f"{row.compared:,}", "-" if row.alone is None else f"{row.alone:,}",
                "-" if row.most_alone is None else str(row.most_alone), f"{row.network:,}", str(row.most),
            )
            for row in rows
        ],
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

    FLOAT is a file of `sdann train`, one of torch.export.save (.pt2), or an ONNX model (.onnx). Post-training
    quantization, eqs. 1-10, and eqs. 15-19 with --scaled; with --finetune, training that knows of it. An ONNX model
    that is quantized already (QDQ, QCDQ) keeps its integers, needs no images, and is compared with onnxruntime.
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
        judge = None
        with steps.step("load"):
            if float_file.suffix == ".onnx":
                from sdann.onnx_import import load_graph
                from sdann.onnx_import.samples import output_bits

                judge = load_graph(float_file)
                graph, samples = _load_onnx(judge, images, labels, raw=options["raw"], scaled=options["scaled"])
                options["out_bits"] = max(options["out_bits"], output_bits(graph))
            else:
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
                name = "float" if judge is None else "onnxruntime"
                found = outputs(graph, samples.test_images) if judge is None else _run(judge, samples.test_images)
                after = integer_accuracy(network, samples.test_images, samples.test_labels)
                right = {name: accuracy(found, samples.test_labels), "integer": after}
        rows = [] if judge is None or epochs else _compared(judge, graph, network, samples.test_images[:COMPARED])
        with atomic(out) as temporary:
            save_network(network, temporary)
    tested = f"wrote {out}"
    if right is not None:
        tested = (
            f"accuracy on {len(samples.test_images)} test images: "
            f"{', '.join(f'{name} {share:.2%}' for name, share in right.items())}; {tested}"
        )
    if graph.host:
        tested += f"; left to the host: {', '.join(graph.host)}"
    return Outcome(
        data={
            "network": network.name, "time_steps": network.time_steps, "membrane_bits": network.membrane_bits,
            "weight_bits": network.weight_bits, "scaled": bool(options["scaled"]), "finetuned_epochs": epochs,
            "rot": dict(rot), "drlo": dict(drlo), "host": list(graph.host), "samples": len(samples.test_images),
            "accuracy": right, "onnxruntime": [dataclasses.asdict(row) for row in rows],
            "layers": [dataclasses.asdict(layer) for layer in choices.layers], "out": str(out),
        },
        text=[quantize_table(choices), *([_differences(rows)] if rows else []), tested],
    )  # fmt: skip
