"""Training: SGD with momentum, a rate that rises linearly and falls along a cosine, and checkpoints."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..datasets import Dataset, FloatImages, Samples
from ..detection.loss import yolo_loss
from ..errors import SdannError
from ..zoo import NetworkSpec, Recipe
from .checkpoint import load_checkpoint, save_checkpoint
from .evaluate import evaluate
from .options import TrainOptions, device_of, threads
from .weights import init_from

__all__ = ["Log", "Progress", "train"]

Progress = Callable[[int, int], None]
"""Called after each batch with (batches done, batches in all)."""
Log = Callable[[dict[str, Any]], None]
"""Called after each epoch with what happened in it."""

Batch = tuple[FloatImages, Any]

GRADIENT = 10.0
"""Detection: gradients are scaled down to this norm. The first batches' are huge, because the loss is a sum."""


def train(
    spec: NetworkSpec, dataset: Dataset, options: TrainOptions | None = None, *, initial: str | Path | None = None,
    checkpoint: str | Path | None = None, resume: bool = False, progress: Progress | None = None,
    log: Log | None = None,
) -> nn.Module:  # fmt: skip
    """Train the network ``spec`` on ``dataset``; returns it in evaluation mode, on the device it was trained on.

    ``initial``: a state dict to start from, see :func:`sdann.training.init_from`. ``checkpoint``: a file that is
    written after each epoch; with ``resume`` training goes on from it, and ends in exactly the weights that it would
    have had uninterrupted. The same options and data give the same network on the same machine with the same number of
    threads, on a CPU. Raises SdannError if network, data and options do not go together.
    """
    options = options or TrainOptions()
    recipe, device = options.recipe(spec, dataset.name), device_of(options.device)
    _check(spec, dataset)
    steps = math.ceil(len(dataset.train) / recipe.batch)
    total = steps * recipe.epochs
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(options.seed)
        model = spec.build()
        if initial is not None:
            init_from(model, initial)
        model.to(device).train()
        optimizer = torch.optim.SGD(
            model.parameters(), lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.decay
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, total, recipe))
        state: dict[str, Any] = {
            "identity": {
                "network": spec.name, **spec.options, "data": dataset.name, **asdict(recipe), "seed": options.seed,
                "initial": None if initial is None else str(initial),
            },
            "model": model, "optimizer": optimizer, "scheduler": scheduler, "device": device,
        }  # fmt: skip
        start = load_checkpoint(Path(checkpoint), **state) if checkpoint is not None and resume else 0
        with threads(options.threads, sum(p.numel() for p in model.parameters())):
            for epoch in range(start, recipe.epochs):
                rate, loss = scheduler.get_last_lr()[0], 0.0
                batches = _batches(dataset.train, recipe.batch, (options.seed, epoch))
                for done, (images, target) in enumerate(batches, start=epoch * steps + 1):
                    if len(images) > 1:  # BatchNorm needs two samples
                        loss += _step(spec, model, optimizer, images, target, device) * len(images)
                    scheduler.step()
                    if progress is not None:
                        progress(done, total)
                record: dict[str, Any] = {"epoch": epoch + 1, "rate": rate, "loss": loss / len(dataset.train)}
                record["validation"] = evaluate(model, spec, dataset.validation).data
                if checkpoint is not None:
                    save_checkpoint(Path(checkpoint), epoch=epoch + 1, **state)
                if log is not None:
                    log(record)
    return model.eval()


def _check(spec: NetworkSpec, dataset: Dataset) -> None:
    if dataset.task != spec.task:
        raise SdannError(f"{spec.name} is for {spec.task}, and data set {dataset.name} for {dataset.task}: use another")
    if dataset.input_shape != spec.input_shape:
        raise SdannError(f"{spec.name} takes images of shape {spec.input_shape}, not {dataset.input_shape}")
    if len(dataset.classes) != spec.classes:
        raise SdannError(
            f"{spec.name} tells {spec.classes} classes apart, and data set {dataset.name} has {len(dataset.classes)}; "
            f"build it with classes={len(dataset.classes)}"
        )


def _share(step: int, total: int, recipe: Recipe) -> float:
    """Share of the initial rate in step ``step`` of ``total``."""
    if step < recipe.warmup:
        return (step + 1) / (recipe.warmup + 1)
    return (1 + math.cos(math.pi * (step - recipe.warmup) / max(1, total - recipe.warmup))) / 2


def _batches(samples: Samples, size: int, seed: tuple[int, int]) -> Iterator[Batch]:
    """All samples in random order; the next batch is made while the caller works on one.

    Each batch has a generator of its own, which follows from ``seed``, so it does not matter when it is made.
    """
    order = torch.randperm(len(samples)).numpy()
    parts = [order[first : first + size] for first in range(0, len(order), size)]
    with ThreadPoolExecutor(1) as pool:
        made = None
        for number, part in enumerate(parts):
            coming = pool.submit(samples.batch, part, np.random.default_rng((*seed, number)))
            if made is not None:
                yield made.result()
            made = coming
        if made is not None:
            yield made.result()


def _step(
    spec: NetworkSpec, model: nn.Module, optimizer: torch.optim.Optimizer, images: FloatImages, target: Any,
    device: torch.device,
) -> float:  # fmt: skip
    """One step down the gradient; returns the mean loss of the batch."""
    optimizer.zero_grad()
    outputs = model(torch.from_numpy(images).to(device))
    if spec.grid is None:
        loss = functional.cross_entropy(outputs, torch.from_numpy(target).to(device))
    else:
        loss = yolo_loss(outputs, target, spec.grid)
    loss.backward()  # type: ignore[no-untyped-call]
    if spec.grid is not None:
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT)
    optimizer.step()
    return float(loss.detach())
