"""Quantization-aware fine-tuning: a few epochs of training with the integer network's values in the forward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from .errors import SdannError
from .fake_quant import FakeQuantized
from .float_model import FloatModel, is_quantized
from .quantization import QuantizeOptions
from .quantization.calibration import calibrate, checked_images
from .torch_import import from_torch

__all__ = ["FinetuneOptions", "Loss", "Progress", "finetune"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(output [N, ...], labels [N, ...]) -> mean loss."""
Progress = Callable[[int, int, float], None]
"""Called after each epoch with (epochs done, epochs in all, mean loss)."""


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions:
    """SGD with momentum and a learning rate that falls to zero along a cosine.

    ``calibration``: images that the first ranges come from. ``learn_ranges``: train the activations' ranges too. The
    gradient's norm is cut at ``clip``, since few-bit weights jump.
    """

    epochs: int = 4
    batch: int = 64
    rate: float = 0.01
    momentum: float = 0.9
    calibration: int = 256
    learn_ranges: bool = True
    clip: float = 1.0
    seed: int = 0


@contextmanager
def _one_thread() -> Iterator[None]:
    """With one thread the result does not depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def finetune(
    model: nn.Module | FloatModel,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    options: QuantizeOptions | None = None,
    training: FinetuneOptions | None = None,
    *,
    loss: Loss = functional.cross_entropy,
    progress: Progress | None = None,
) -> FloatModel:
    """Train ``model`` for quantization with ``options``; returns a float graph for :func:`sdann.quantization.quantize`.

    ``images``: real [N, C, H, W], ``labels``: [N, ...], as ``loss`` takes them. The ranges that were trained are kept
    in the graph, so that quantizing it with the same options and calibration images gives the network that was trained.
    The same arguments give the same result on the same machine. Raises SdannError as the importer and the quantizer do.
    """
    options, training = options or QuantizeOptions(), training or FinetuneOptions()
    options.check()
    pixels = np.asarray(images, dtype=np.float64)
    graph = model if isinstance(model, FloatModel) else from_torch(model, pixels.shape[1:])
    checked_images(graph, pixels)
    if is_quantized(graph):
        raise SdannError("the model is quantized already: fine-tune it where it was made")
    x, y = torch.as_tensor(pixels, dtype=torch.float32), torch.as_tensor(np.asarray(labels))
    if len(x) != len(y):
        raise SdannError(f"fine-tuning takes one label per image; there are {len(x)} images and {len(y)} labels")
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        network = FakeQuantized(graph, calibrate(graph, pixels[: training.calibration]), options).train()
        if not training.learn_ranges:
            network.fix_ranges()
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.SGD(trained, lr=training.rate, momentum=training.momentum)
        batches = -(-len(x) // training.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.epochs * batches)
        for epoch in range(training.epochs):
            total = 0.0
            for chosen in torch.split(torch.randperm(len(x)), training.batch):
                optimizer.zero_grad()
                value = loss(network(x[chosen]), y[chosen])
                value.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(trained, training.clip)
                optimizer.step()
                schedule.step()
                total += float(value.detach()) * len(chosen)
            if progress is not None:
                progress(epoch + 1, training.epochs, total / len(x))
    return network.float_model()
