"""A workload: what a chip bench is to run, as a folder that any simulator's process can read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sdann.mapper import ProgramImage, load_image
from sdann.mapper.samples import Inputs

__all__ = ["Mode", "Workload"]

_ONLY = "/"
"""Stands for the one source's name; no layer has it."""

Mode = Literal["stream", "observe", "trace"]


@dataclass(kw_only=True)
class Workload:
    """One run. ``folder`` holds ``workload.json``, ``samples.npz``, and afterwards the result or the error.

    ``mode``: as the functions of :mod:`sim.session`. ``samples``: integers [K, C, H, W], of the program's sources.
    ``stall``: probability of a host stall per cycle and stream. ``core``: the one to trace. Limits as in
    :class:`sim.driver.ChipDriver`.
    """

    folder: Path
    image_file: Path
    samples: Inputs
    mode: Mode = "observe"
    core: tuple[int, int] = (0, 0)
    stall: float = 0.0
    seed: int = 0
    answer_limit: int = 20_000
    step_limit: int = 1_000_000

    def save(self) -> Path:
        """Writes the workload into its folder; returns the path for :meth:`load`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in (self.result_file, self.error_file, self.progress_file):
            stale.unlink(missing_ok=True)
        arrays = self.samples if isinstance(self.samples, Mapping) else {_ONLY: self.samples}
        with (self.folder / "samples.npz").open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        settings = {
            "image_file": str(self.image_file.resolve()),
            "mode": self.mode,
            "core": list(self.core),
            "stall": self.stall,
            "seed": self.seed,
            "answer_limit": self.answer_limit,
            "step_limit": self.step_limit,
        }
        path = self.folder / "workload.json"
        path.write_text(json.dumps(settings, indent=2))
        return path

    @classmethod
    def load(cls, path: Path) -> "Workload":
        """Reads what :meth:`save` wrote."""
        settings = json.loads(path.read_text())
        settings["image_file"] = Path(settings["image_file"])
        settings["core"] = tuple(settings["core"])
        with np.load(path.parent / "samples.npz", allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        samples = arrays.get(_ONLY, arrays)
        return cls(folder=path.parent, samples=samples, **settings)

    def image(self) -> ProgramImage:
        """The program image to load, unchecked: it was checked when it was made, unless it is damaged on purpose."""
        return load_image(self.image_file, checked=False)

    @property
    def result_file(self) -> Path:
        """Where the bench leaves its :class:`sim.result.RunResult` or :class:`sim.result.Trace`."""
        return self.folder / "result.npz"

    @property
    def error_file(self) -> Path:
        """Where the bench leaves the message of a run that the chip refused or that timed out."""
        return self.folder / "error.txt"

    @property
    def progress_file(self) -> Path:
        """Holds "done total" while the bench runs."""
        return self.folder / "progress.txt"

    def report_progress(self, done: int, total: int) -> None:
        """Tells whoever waits for the bench how far it is."""
        self.progress_file.write_text(f"{done} {total}")
