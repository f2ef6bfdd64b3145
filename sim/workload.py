"""A workload: what a chip bench is to run, as a folder that any simulator's process can read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sdann.graph import IntArray
from sdann.mapper import ProgramImage, load_image

__all__ = ["Mode", "Workload"]

Mode = Literal["stream", "observe", "trace"]


@dataclass(kw_only=True)
class Workload:
    """One run. ``folder`` holds ``workload.json``, ``samples.npy``, and afterwards the result or the error.

    ``mode``: as the functions of :mod:`sim.session`. ``samples``: integers [K, C, H, W]. ``stall``: probability of a
    host stall per cycle and stream. ``core``: the one to trace. Limits as in :class:`sim.driver.ChipDriver`.
    """

    folder: Path
    image_file: Path
    samples: IntArray
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
        np.save(self.folder / "samples.npy", self.samples, allow_pickle=False)
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
        samples = np.load(path.parent / "samples.npy", allow_pickle=False)
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
