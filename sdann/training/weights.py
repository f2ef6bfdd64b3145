"""Weights as files: safetensors, format "sdann-float", version 1; and state dicts of others."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ..errors import FileFormatError, SdannError
from ..network_file import read_tensors
from ..zoo import NetworkSpec, network_spec

__all__ = ["FORMAT", "VERSION", "Initialized", "init_from", "load_float", "load_trained", "save_float"]

FORMAT = "sdann-float"
VERSION = 1

_HEADS = ("fc.", "classifier.", "head.", "grid.", "linear.")
"""Last layers, whose shape depends on the classes."""


def save_float(model: nn.Module, name: str, path: str | Path, **options: int) -> None:
    """Write the parameters of ``model``, built as network ``name`` with ``options``, to ``path``."""
    spec = network_spec(name, **options)
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    metadata = {"format": FORMAT, "version": str(VERSION), "network": name, "options": json.dumps(spec.options)}
    save_file(tensors, str(path), metadata=metadata)


def load_trained(path: str | Path) -> tuple[nn.Module, NetworkSpec]:
    """(network in evaluation mode, what it is) of a file that :func:`save_float` wrote; raises FileFormatError."""
    metadata, tensors = read_tensors(path, FORMAT, VERSION, "write one with `sdann train`")
    try:
        options = json.loads(metadata.get("options", "{}"))
        if not isinstance(options, dict):
            raise ValueError(f"its options are {options!r}")
        spec = network_spec(metadata.get("network", ""), **options)
        model = spec.build()
        model.load_state_dict({key: torch.from_numpy(value) for key, value in tensors.items()})
    except (SdannError, RuntimeError, ValueError) as error:
        raise FileFormatError(f"{path}: not a checkpoint of a known network: {error}") from None
    return model.eval(), spec


def load_float(path: str | Path) -> tuple[nn.Module, str]:
    """As :func:`load_trained`, with only the network's name."""
    model, spec = load_trained(path)
    return model, spec.name


@dataclass(frozen=True, kw_only=True)
class Initialized:
    """Names of parameters: ``loaded``; ``fresh``, as they were built; ``unused``, of the file but not the network."""

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]


def init_from(model: nn.Module, path: str | Path) -> Initialized:
    """Start ``model`` from the state dict in ``path`` (.safetensors, or .pt and .pth of torch.save), by name.

    The last layers (classifier or detection head) may be missing or of another shape, and then stay as built: so a
    detector starts from its backbone, and a classifier from one for other classes. Any other difference raises
    SdannError, and an unreadable file FileFormatError.
    """
    given, own = _state_dict(Path(path)), model.state_dict()
    loaded = {key: value for key, value in given.items() if key in own and own[key].shape == value.shape}
    fresh = [key for key in own if key not in loaded]
    for key in fresh:
        # Old torch versions did not count BatchNorm's batches.
        if not key.startswith(_HEADS) and not key.endswith("num_batches_tracked"):
            found = f"is of shape {list(given[key].shape)}" if key in given else "is missing"
            raise SdannError(
                f"{path}: {key} {found}, the network has {list(own[key].shape)}; give a state dict of the same network"
            )
    own.update(loaded)
    model.load_state_dict(own)
    unused = tuple(key for key in given if key not in loaded)
    return Initialized(loaded=tuple(loaded), fresh=tuple(fresh), unused=unused)


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; give a state dict")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise FileFormatError(f"{path}: not a readable state dict ({error}); give .safetensors or .pt") from None
    except Exception as error:  # a pickle that is damaged, or holds more than tensors
        raise FileFormatError(f"{path}: not a state dict of tensors ({error}); save model.state_dict()") from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else loaded
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise FileFormatError(f"{path}: not a state dict of tensors; save model.state_dict()")
    return dict(state)
