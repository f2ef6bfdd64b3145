"""A network that somebody brings: torch's exported program in a file, and images and labels in NumPy's files."""

import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from .errors import FileFormatError, SdannError
from .float_model import FloatArray, FloatModel, layer_outputs
from .graph import IntArray
from .quantization.calibration import batch_size
from .torch_import import from_exported

__all__ = ["Samples", "load_program", "load_samples", "outputs"]

HELD_OUT = 5
"""One of so many images is kept to test."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """``images``: [N, C, H, W] to calibrate and train with. ``labels``: int64 [N] or None. ``test_*``: held out."""

    images: FloatArray
    labels: IntArray | None
    test_images: FloatArray
    test_labels: IntArray | None


def load_program(path: Path) -> FloatModel:
    """The float graph of a file that ``torch.export.save`` wrote; raises FileFormatError and UnsupportedError."""
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; write one with torch.export.save")
    if not zipfile.is_zipfile(path):
        raise FileFormatError(f"{path}: not an exported program; write one with torch.export.save")
    logger = logging.getLogger("torch.export")
    quiet, logger.disabled = logger.disabled, True  # the error says enough
    try:
        program = torch.export.load(path)
    except Exception as error:  # whatever torch's reader stumbles over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(f"{path}: torch {torch.__version__} cannot load this program: {reason}") from None
    finally:
        logger.disabled = quiet
    return from_exported(program, name=path.stem)


def _array(path: Path, what: str) -> npt.NDArray[np.generic]:
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file of {what}; write one with numpy.save") from None
    except (ValueError, EOFError, OSError) as error:
        raise FileFormatError(f"{path}: not a file of {what} as numpy.save writes them ({error})") from None
    if not isinstance(found, np.ndarray):
        found.close()
        raise FileFormatError(f"{path}: several arrays; write the {what} with numpy.save, not numpy.savez")
    return found


def load_samples(model: FloatModel, images: Path, labels: Path | None) -> Samples:
    """Real images [N, C, H, W] (or as the module takes them) and labels [N]; the last fifth is held out.

    Raises FileFormatError, and SdannError for arrays that do not fit ``model`` or each other.
    """
    raw = _array(images, "images")
    per_image = int(np.prod(model.input_shape))
    if raw.dtype.kind not in "fiu" or raw.ndim < 2 or raw.size != len(raw) * per_image:
        raise SdannError(
            f"{images}: {raw.dtype} of shape {list(raw.shape)}; the network takes real images of shape "
            f"[N, {', '.join(map(str, model.input_shape))}]"
        )
    pixels = raw.reshape(len(raw), *model.input_shape).astype(np.float64)
    classes = None if labels is None else _array(labels, "labels")
    if classes is not None and (classes.dtype.kind not in "iu" or classes.shape != (len(pixels),)):
        raise SdannError(
            f"{labels}: {classes.dtype} of shape {list(classes.shape)}; give one integer per image, [{len(pixels)}]"
        )
    kept = len(pixels) // HELD_OUT
    if kept == 0:
        raise SdannError(f"{images}: {len(pixels)} images; give at least {HELD_OUT}")
    found = None if classes is None else classes.astype(np.int64)
    return Samples(
        images=pixels[:-kept], labels=None if found is None else found[:-kept], test_images=pixels[-kept:],
        test_labels=None if found is None else found[-kept:],
    )  # fmt: skip


def outputs(model: FloatModel, images: FloatArray) -> FloatArray:
    """The last layer's values of the float graph, in batches: float64 [N, C, H, W]."""
    size, last = batch_size(model), model.layers[-1].name
    parts = []
    for start in range(0, len(images), size):
        parts += [a.numpy() for name, a in layer_outputs(model, images[start : start + size]) if name == last]
    return np.concatenate(parts)
