"""``sdann train``."""

from pathlib import Path

import click

from sdann.atomic import atomic

from .options import out_option
from .outcome import Outcome, command, progress

__all__ = ["train_command"]


@command("train")
@click.option("--network", "name", default="digit-cnn", show_default=True, help="Which network.")
@click.option("--epochs", type=click.IntRange(1), default=12, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@out_option("build/float.safetensors", "the float network")
def train_command(name: str, epochs: int, seed: int, out: Path) -> Outcome:
    """Train a float network on scikit-learn's digits."""
    from sdann.data import load_digits
    from sdann.evaluate import float_accuracy
    from sdann.train import TrainOptions, save_float, train

    with progress() as steps:
        advance = steps.bar("train")
        digits = load_digits()
        model = train(
            name, digits.train_images, digits.train_labels, TrainOptions(epochs=epochs, seed=seed),
            lambda done, total, loss: advance(done, total),
        )  # fmt: skip
    right = float_accuracy(model, digits.test_images, digits.test_labels)
    with atomic(out) as temporary:
        save_float(model, name, temporary)
    parameters = sum(p.numel() for p in model.parameters())
    return Outcome(
        data={
            "network": name, "accuracy": right, "samples": len(digits.test_labels), "parameters": parameters,
            "out": str(out),
        },
        text=[f"{name}: {right:.2%} of {len(digits.test_labels)} test images, {parameters} parameters; wrote {out}"],
    )  # fmt: skip
