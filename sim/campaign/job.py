"""What a worker does: some tiles of one pass on the RTL, each held against the golden model and the tile model."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hdl.program import Counter
from sdann.graph import IntArray
from sdann.mapper.image import Coordinate
from sdann.mapper.samples import results_of

from ..compare import compare
from ..compiled.tile import LoneTile
from ..driver import ChipTimeoutError
from ..tile_mode import TileProgram, run_tile
from .pass_files import Digests, load_pass

__all__ = ["JobResult", "TileJob", "run_job", "tile_row", "watchdog"]

Row = dict[str, Any]
"""A row of the table ``tiles``, but for what only the campaign knows."""


@dataclass(frozen=True, kw_only=True)
class TileJob:
    """``cores`` of one pass, whose files lie in ``folder``. ``sample``: its number, for messages. ``timeout``: seconds
    after which no further tile is begun. ``marker``: the file that says that the worker ended itself.
    """

    run: int
    number: int
    cores: tuple[Coordinate, ...]
    folder: str
    digests: Digests
    sample: int
    build_dir: str
    timeout: float
    attempt: int
    marker: str


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """``rows``: one for each tile that was run. ``left``: the tiles for which there was no time."""

    rows: list[Row]
    left: tuple[Coordinate, ...]
    worker: str


@contextmanager
def watchdog(seconds: float, marker: str) -> Iterator[None]:
    """Kills this process when the block has not ended after ``seconds``: nothing else stops a simulation that hangs."""

    def end() -> None:
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


# Jobs of a pass come one after the other; two passes at once would double what a worker holds.
@lru_cache(maxsize=1)
def _load(folder: str, number: int, digests: Digests) -> tuple[TileProgram, dict[str, IntArray]]:
    return load_pass(Path(folder), number, digests)


class _Tiles:
    """The one tile that a worker has at a time; a chip of another configuration takes its place."""

    tile: LoneTile | None = None

    @classmethod
    def of(cls, program: TileProgram, build_dir: Path) -> LoneTile:
        if cls.tile is None or cls.tile.config.fingerprint != program.config.fingerprint:
            if cls.tile is not None:
                cls.tile.close()
            cls.tile = None
            cls.tile = LoneTile(program.config, build_dir=build_dir)
        return cls.tile


def run_job(job: TileJob) -> JobResult:
    """Runs the job's tiles. The tile's library is built first where it is not there yet (which has its own time-outs).

    A tile that is running when the time is over gets as much time again; then the process is killed.
    """
    program, expected = _load(job.folder, job.number, job.digests)
    tile = _Tiles.of(program, Path(job.build_dir))
    rows: list[Row] = []
    with watchdog(2 * job.timeout, job.marker):
        started = time.monotonic()
        for core in job.cores:
            if rows and time.monotonic() - started > job.timeout:
                break
            rows.append(tile_row(tile, program, expected, core, job.sample))
    return JobResult(rows=rows, left=job.cores[len(rows) :], worker=f"{os.uname().nodename}:{os.getpid()}")


def tile_row(
    tile: LoneTile, program: TileProgram, expected: Mapping[str, IntArray], core: Coordinate, sample: int
) -> Row:
    """Runs one tile. ``compared``: all its activations, which a core of a part has none of."""
    image, entry = program.image, program.image.cores[core]
    started = time.perf_counter()
    row: Row = {
        "y": core[0], "x": core[1], "cycles": 0, "steps": 0, "sent": 0, "compared": 0, "mismatches": 0, "first": None,
        "problems": "", **dict.fromkeys((counter.name.lower() for counter in Counter), None),
    }  # fmt: skip
    try:
        found = run_tile(tile, program, core)
    except ChipTimeoutError as error:
        row["problems"] = str(error)
        return row | {"seconds": time.perf_counter() - started}
    row |= {name.lower(): value for name, value in found.counters.items()}
    row |= {"cycles": found.cycles, "steps": found.steps, "sent": found.sent, "problems": "\n".join(found.problems)}
    if not entry.part:
        held, own = image.layer(entry.layer).held, entry.outputs
        c, y, x = own.channel0 - held.channel0, own.y0 - held.y0, own.x0 - held.x0
        wanted = expected[entry.layer][None, c : c + own.channels, y : y + own.height, x : x + own.width]
        got = results_of(image, core, found.words)[None]
        (comparison,) = compare("RTL tile", {entry.layer: wanted}, {entry.layer: got})
        row |= {"compared": comparison.compared, "mismatches": comparison.mismatches}
        if comparison.first is not None:
            c, y, x = comparison.first.neuron
            place = (c + own.channel0, y + own.y0, x + own.x0)
            row["first"] = str(replace(comparison.first, sample=sample, neuron=place, core=core))
    return row | {"seconds": time.perf_counter() - started}
