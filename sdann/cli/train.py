"""``sdann train``."""

import json
from pathlib import Path
from typing import Any

import click

from sdann.atomic import atomic

from .options import IN_FILE, OUT_FILE, out_option
from .outcome import Outcome, command, progress

__all__ = ["train_command"]


@command("train")
@click.argument("name", metavar="[NETWORK]", default="digit-cnn")
@click.option(
    "--data",
    "source",
    metavar="DATA",
    help="digits, digits32, scenes, cifar10:PATH, cifar100:PATH, imagenet:PATH or voc:PATH. "
    "[default: the network's own, if it needs no path]",
)
@click.option("--width", type=click.IntRange(1), help="Channels of the first convolution, for a narrower form.")
@click.option("--epochs", type=click.IntRange(1), help="[default: the network's recipe, as of the next four]")
@click.option("--batch", type=click.IntRange(2), help="Samples in a step.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Initial learning rate.")
@click.option("--decay", type=click.FloatRange(0), help="Weight decay.")
@click.option("--warmup", type=click.IntRange(0), help="Steps in which the rate rises to its initial value.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Of torch. [default: 1 for small networks]")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--init-from", type=IN_FILE, help="Start from this state dict (.safetensors, .pt), by parameter names.")
@click.option("--checkpoint", type=OUT_FILE, help="State after each epoch. [default: OUT with .checkpoint]")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint; ends in the same weights.")
@click.option("--log", type=OUT_FILE, help="A JSON object per epoch, a line each. [default: OUT with .jsonl]")
@out_option("build/float.safetensors", "the float network")
def train_command(
    name: str, source: str | None, width: int | None, init_from: Path | None, checkpoint: Path | None, resume: bool,
    log: Path | None, out: Path, **options: Any,
) -> Outcome:  # fmt: skip
    """Train a float network of the zoo: see `sdann zoo`."""
    from sdann.datasets import open_dataset
    from sdann.training import TrainOptions, evaluate, save_float, train
    from sdann.zoo import network_spec

    spec = network_spec(name, **({} if width is None else {"width": width}))
    checkpoint, log = checkpoint or out.with_suffix(".checkpoint"), log or out.with_suffix(".jsonl")
    with progress() as steps:
        dataset = open_dataset(source or spec.data, spec.input_shape)
        spec = spec.with_options(classes=len(dataset.classes))
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a" if resume else "w", encoding="utf-8") as lines:

            def write(record: dict[str, Any]) -> None:
                print(json.dumps(record), file=lines, flush=True)

            model = train(
                spec, dataset, TrainOptions(**options), initial=init_from, checkpoint=checkpoint, resume=resume,
                progress=steps.bar("train"), log=write,
            )  # fmt: skip
        with steps.step("test"):
            score = evaluate(model, spec, dataset.test)
    with atomic(out) as temporary:
        save_float(model, spec.name, temporary, **spec.options)
    parameters = sum(p.numel() for p in model.parameters())
    more = "" if score.coco is None else f" (COCO's definition: {score.coco:.2%})"
    text = f"{name}: {score.measure} {score.value:.2%}{more} on {score.samples} test images, {parameters:,} parameters"
    return Outcome(
        data={
            "network": name, **spec.options, "data": dataset.name, "accuracy": score.value, **score.data,
            "parameters": parameters, "out": str(out), "checkpoint": str(checkpoint), "log": str(log),
        },
        text=[f"{text}; wrote {out}"],
    )  # fmt: skip
