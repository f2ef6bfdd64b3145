"""A pass as files that any worker can read: its program, and what one sample makes of it.

``pass-003.image`` is the program image. ``pass-003.sample`` is a safetensors file: per core the words of its
activations and, where they are sent, of its membranes; the counters that it must have; and the golden's activations of
each layer, as far as the pass holds them.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from hdl.program import Counter
from sdann.atomic import atomic
from sdann.errors import FileFormatError
from sdann.graph import IntArray
from sdann.mapper import ProgramImage, load_image
from sdann.tile_model import COUNTED, TileResult

from ..tile_mode import TileProgram

__all__ = ["Digests", "load_pass", "save_pass"]


class Digests(NamedTuple):
    """SHA-256 (hex) of a pass's two files."""

    image: str
    sample: str


def _paths(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"pass-{number:03}.image", folder / f"pass-{number:03}.sample"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_pass(
    folder: Path, number: int, image: ProgramImage, result: TileResult, expected: Mapping[str, IntArray]
) -> Digests:
    """Writes both files. ``result``: of the tile model, one sample; ``expected``: the golden's activations [C, H, W] of
    every layer of the pass, the part that it holds.
    """
    tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int64]]] = {}
    for core, entry in image.cores.items():
        place = f"{core[0]},{core[1]}"
        tensors[f"words/{place}"] = result.words[core][0]
        if entry.part or image.layer(entry.layer).readout != "none":
            tensors[f"membranes/{place}"] = result.membranes[core][0]
        tensors[f"counters/{place}"] = np.array([result.counters[core][counter] for counter in COUNTED])
    for layer, values in expected.items():
        tensors[f"expected/{layer}"] = values
    paths = _paths(folder, number)
    with atomic(paths[0]) as path:
        image.save(path)
    with atomic(paths[1]) as path:
        save_file({name: np.ascontiguousarray(values, dtype=np.int64) for name, values in tensors.items()}, str(path))
    return Digests(*map(_digest, paths))


def load_pass(folder: Path, number: int, digests: Digests) -> tuple[TileProgram, dict[str, IntArray]]:
    """The program with its sample, and the expected activations, as :func:`save_pass` got them.

    Raises :class:`sdann.errors.FileFormatError` where a file is not there or not what was written.
    """
    paths = _paths(folder, number)
    for path, digest in zip(paths, digests, strict=True):
        if not path.is_file() or _digest(path) != digest:
            raise FileFormatError(
                f"{path}: missing, or not what the campaign wrote there: remove the campaign's file and its "
                "folder, and run it again"
            )
    image = load_image(paths[0], checked=False)  # it was when it was made, and the digest says that it still is that
    words: dict[tuple[int, int], IntArray] = {}
    membranes: dict[tuple[int, int], IntArray] = {}
    counters: dict[tuple[int, int], dict[Counter, int]] = {}
    expected: dict[str, IntArray] = {}
    for name, values in load_file(str(paths[1])).items():
        kind, _, what = name.partition("/")
        if kind == "expected":
            expected[what] = values
            continue
        y, x = map(int, what.split(","))
        if kind == "counters":
            counters[y, x] = dict(zip(COUNTED, map(int, values), strict=True))
        else:
            (words if kind == "words" else membranes)[y, x] = values[None]
    result = TileResult(
        activations={}, words=words, membranes=membranes, readout=None, counters=counters, stray=0, traces={}
    )
    return TileProgram(image, result), expected
