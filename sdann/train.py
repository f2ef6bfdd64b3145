"""Training of the small float networks, and their checkpoints (safetensors, format "sdann-float", version 1)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from .errors import FileFormatError, SdannError
from .network_file import read_tensors
from .networks import network_spec

__all__ = ["FORMAT", "VERSION", "Progress", "TrainOptions", "load_float", "save_float", "train"]

FORMAT = "sdann-float"
VERSION = 1

Progress = Callable[[int, int, float], None]
"""Called after each epoch with (epochs done, epochs in all, mean loss)."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """SGD with Nesterov momentum and a learning rate that falls to zero along a cosine."""

    epochs: int = 12
    batch: int = 64
    rate: float = 0.05
    momentum: float = 0.9
    decay: float = 5e-4
    seed: int = 0


@contextmanager
def _one_thread() -> Iterator[None]:
    """These networks are too small to gain from threads, and with one the result does not depend on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def train(
    name: str,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    options: TrainOptions | None = None,
    progress: Progress | None = None,
) -> nn.Sequential:
    """Train the network called ``name`` on ``images`` [N, C, H, W] and ``labels`` [N]; returns it in evaluation mode.

    The same options and data give the same network on the same machine. Raises SdannError for an unknown name.
    """
    options = options or TrainOptions()
    spec = network_spec(name)
    x, y = torch.as_tensor(images, dtype=torch.float32), torch.as_tensor(labels, dtype=torch.int64)
    if x.shape[1:] != spec.input_shape or len(x) != len(y) or len(x) == 0:
        raise SdannError(f"{name} takes images of shape [N, {', '.join(map(str, spec.input_shape))}] and N labels")
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        model = spec.build().train()
        optimizer = torch.optim.SGD(
            model.parameters(), lr=options.rate, momentum=options.momentum, weight_decay=options.decay, nesterov=True
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
        for epoch in range(options.epochs):
            total = 0.0
            for chosen in torch.split(torch.randperm(len(x)), options.batch):
                if len(chosen) < 2:  # BatchNorm needs two samples
                    continue
                optimizer.zero_grad()
                loss = functional.cross_entropy(model(x[chosen]), y[chosen])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += float(loss.detach()) * len(chosen)
            schedule.step()
            if progress is not None:
                progress(epoch + 1, options.epochs, total / len(x))
    return model.eval()


def save_float(model: nn.Sequential, name: str, path: str | Path) -> None:
    """Write the parameters of ``model``, built as network ``name``, to ``path``."""
    network_spec(name)
    tensors = {key: value.detach().contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, str(path), metadata={"format": FORMAT, "version": str(VERSION), "network": name})


def load_float(path: str | Path) -> tuple[nn.Sequential, str]:
    """(network in evaluation mode, its name) of a file that :func:`save_float` wrote; raises FileFormatError."""
    metadata, tensors = read_tensors(path, FORMAT, VERSION, "write one with `sdann train`")
    try:
        spec = network_spec(metadata.get("network", ""))
        model = spec.build()
        model.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    except (SdannError, RuntimeError) as error:
        raise FileFormatError(f"{path}: not a checkpoint of a known network: {error}") from None
    return model.eval(), spec.name
