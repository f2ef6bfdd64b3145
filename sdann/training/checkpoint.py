"""Checkpoints: everything that training needs to go on as if it had never stopped."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..atomic import atomic
from ..errors import FileFormatError, SdannError

__all__ = ["load_checkpoint", "save_checkpoint"]

FORMAT = "sdann-training"
VERSION = 1

Identity = dict[str, Any]


def save_checkpoint(
    path: Path, *, identity: Identity, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler, device: torch.device,
) -> None:  # fmt: skip
    """Write the state after ``epoch`` epochs. ``identity``: what makes this training what it is."""
    state = {
        "format": FORMAT, "version": VERSION, "identity": identity, "epoch": epoch, "model": model.state_dict(),
        "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "rng": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }  # fmt: skip
    with atomic(path) as temporary:
        torch.save(state, temporary)


def load_checkpoint(
    path: Path, *, identity: Identity, model: nn.Module, optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler, device: torch.device,
) -> int:  # fmt: skip
    """Put everything back into the state that ``path`` holds, and return its epoch.

    Raises FileFormatError if it is missing or damaged, and SdannError that names what differs if it is of another
    training.
    """
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file, so there is nothing to resume; train without --resume first")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["format"] != FORMAT or state["version"] != VERSION:
            raise ValueError(f"its format is {state['format']!r}, version {state['version']!r}")
        theirs: Identity = state["identity"]
    except Exception as error:  # a pickle that is damaged may raise anything
        raise FileFormatError(f"{path}: not a readable checkpoint ({error}); train without --resume") from None
    if theirs != identity:
        keys = [key for key in identity if theirs.get(key) != identity[key]]
        different = ", ".join(f"{key} {theirs.get(key)!r} / {identity[key]!r}" for key in keys)
        raise SdannError(f"{path}: of another training, checkpoint / this: {different}; use the same options to resume")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    scheduler.load_state_dict(state["scheduler"])
    torch.set_rng_state(state["rng"])
    if device.type == "cuda" and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"], device)
    return int(state["epoch"])
