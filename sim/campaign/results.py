"""The file of a campaign: SQLite, written by one process alone. Its tables are described in ``schema.sql``."""

import fcntl
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sdann.atomic import atomic
from sdann.errors import FileFormatError, SdannError
from sdann.mapper.image import Coordinate
from sdann.mapper.manifest import RegionEntry

from ..compiled.build import hardware_identity
from .pass_files import Digests

__all__ = ["CoreRow", "PassPlan", "Results", "results_file"]

APPLICATION, VERSION = 0x5D_A2_2C_A1, 1
SCHEMA = Path(__file__).with_name("schema.sql")


@dataclass(frozen=True, kw_only=True)
class PassPlan:
    """What a pass is to do: its number of cores, and the part of each layer that it takes from the host or computes."""

    cores: int
    sources: Mapping[str, RegionEntry]
    layers: Mapping[str, RegionEntry]


@dataclass(frozen=True, kw_only=True)
class CoreRow:
    """A tile that can be run."""

    core: Coordinate
    layer: str
    stage: int
    part: int
    activations: int
    shape: str


@contextmanager
def results_file(path: Path, *, write: bool) -> Iterator["Results"]:
    """Opens ``path``; with ``write`` it is made where it is not there, and no other process may write to it meanwhile.

    Raises :class:`FileFormatError` for a file that is no campaign's, damaged, or of other hardware (to write to), and
    :class:`SdannError` where another process writes to it.
    """
    if not write and not path.is_file():
        raise FileFormatError(f"{path}: no such file; make one with `sdann campaign run`")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(path.name + ".lock").open("w") if write else None
    try:
        if lock is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system releases it however this process ends
            except BlockingIOError:
                raise SdannError(f"{path}: another campaign writes to it; wait for it, or stop it") from None
        results = None
        try:
            if write and not path.exists():
                _make(path)
            results = Results(path)
            yield results
        except sqlite3.DatabaseError as error:
            raise FileFormatError(
                f"{path}: damaged, or not the results of a campaign ({error}); name another file"
            ) from None
        finally:
            if results is not None:
                results.close()
    finally:
        if lock is not None:
            lock.close()


def _make(path: Path) -> None:
    """An empty file of results, whole from its first moment."""
    with atomic(path) as temporary:
        db = sqlite3.connect(temporary)
        try:
            db.executescript(
                f"BEGIN; {SCHEMA.read_text()} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; "
                "COMMIT; PRAGMA journal_mode = WAL;"  # so that it can be read while it is written
            )
            with db:
                db.execute("INSERT INTO facts VALUES ('hardware', ?)", (hardware_identity(),))
        finally:
            db.close()  # which leaves one file


class Results:
    """An open file of results; see :func:`results_file`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path)
        try:
            self._open()
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        self._db.row_factory = sqlite3.Row
        found = [self._one(f"PRAGMA {name}")[0] for name in ("application_id", "user_version")]
        if found[0] != APPLICATION:
            raise FileFormatError(f"{self.path}: a database, but not the results of a campaign; name another file")
        if found[1] != VERSION:
            raise FileFormatError(
                f"{self.path}: results of version {found[1]}, this program writes version {VERSION}; name another file"
            )
        self._db.execute("PRAGMA foreign_keys = ON")

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def check_hardware(self) -> None:
        """Raises :class:`SdannError` where the tiles in this file ran on other RTL than today's."""
        if self._one("SELECT value FROM facts WHERE name = 'hardware'")[0] != hardware_identity():
            raise SdannError(
                f"{self.path}: made with another version of the hardware, whose results say nothing about this one; "
                "name another file"
            )

    def _one(self, query: str, values: Sequence[Any] = ()) -> Any:
        return self._db.execute(query, values).fetchone()

    def query(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._db.execute(query, values).fetchall()

    # -- what is to be done ---------------------------------------------------------------------------

    def run_of(self, identity: Mapping[str, Any]) -> int | None:
        """The run of that identity, None where there is none."""
        row = self._one("SELECT run FROM runs WHERE identity = ?", (_text(identity),))
        return None if row is None else int(row[0])

    def add_run(
        self, identity: Mapping[str, Any], *, network: str, about: str, network_hash: str, sample: int, seed: int,
        chip: Mapping[str, Any], plan: str, passes: Sequence[PassPlan],
    ) -> int:  # fmt: skip
        """Enters a run with its passes, and returns its number. One that is there already must have the same plan; else
        :class:`SdannError`.
        """
        if (known := self.run_of(identity)) is not None:
            row = self._one("SELECT network_hash, plan FROM runs WHERE run = ?", (known,))
            if tuple(row) != (network_hash, plan):
                raise SdannError(
                    f"{self.path}: {network!r} is not what it was, or is mapped otherwise, than when this campaign "
                    "began: name another file"
                )
            return known
        with self._db:
            values = (_text(identity), network, about, network_hash, sample, seed, _text(chip), plan)
            run = self._db.execute(f"INSERT INTO runs VALUES (NULL, {_marks(values)})", values).lastrowid
            assert run is not None
            for number, one in enumerate(passes):
                self._db.execute("INSERT INTO passes (run, pass, cores) VALUES (?, ?, ?)", (run, number, one.cores))
                held = [*((0, item) for item in one.sources.items()), *((1, item) for item in one.layers.items())]
                for position, (stage, (layer, r)) in enumerate(held):
                    place = (r.channel0, r.channels, r.y0, r.height, r.x0, r.width)
                    row = (run, number, position, layer, stage, *place)
                    self._db.execute(f"INSERT INTO extents VALUES ({_marks(row)})", row)
        return run

    def layers_of(self, run: int) -> dict[int, set[str]]:
        """Layers on the chip, by pass."""
        found: dict[int, set[str]] = {}
        for row in self.query("SELECT pass, layer FROM extents WHERE run = ?", (run,)):
            found.setdefault(row["pass"], set()).add(row["layer"])
        return found

    def made(self, run: int) -> dict[int, Digests]:
        """The passes whose files are made."""
        rows = self.query("SELECT pass, image, sample FROM passes WHERE run = ? AND image IS NOT NULL", (run,))
        return {row["pass"]: Digests(row["image"], row["sample"]) for row in rows}

    def add_pass(self, run: int, number: int, digests: Digests, cores: Iterable[CoreRow], seconds: float) -> None:
        """Enters that the files of a pass are made, and its tiles."""
        with self._db:
            self._db.execute(
                "UPDATE passes SET image = ?, sample = ?, seconds = ? WHERE run = ? AND pass = ?",
                (*digests, seconds, run, number),
            )
            for c in cores:
                row = (run, number, *c.core, c.layer, c.stage, c.part, c.activations, c.shape)
                self._db.execute(f"INSERT INTO cores VALUES ({_marks(row)}, 0)", row)

    def want(self, run: int, number: int, layers: Iterable[str], shapes: bool) -> list[Coordinate]:
        """Marks the tiles of a pass that a command asks for, and returns those that are still to be run.

        ``layers``: of these alone, all if empty. ``shapes``: only where no tile of the same shape is marked yet.
        """
        only, asked = set(layers), []
        seen = {row[0] for row in self.query("SELECT DISTINCT shape FROM cores WHERE wanted")} if shapes else set()
        for row in self.query(
            "SELECT y, x, layer, shape, wanted, EXISTS (SELECT 1 FROM tiles t WHERE t.run = c.run AND t.pass = c.pass "
            "AND t.y = c.y AND t.x = c.x) AS done FROM cores c WHERE run = ? AND pass = ? ORDER BY y, x",
            (run, number),
        ):
            if only and row["layer"] not in only:
                continue
            if shapes and not row["wanted"]:
                if row["shape"] in seen:
                    continue
                seen.add(row["shape"])
            asked.append((row["y"], row["x"], row["done"]))
        with self._db:
            self._db.executemany(
                "UPDATE cores SET wanted = 1 WHERE run = ? AND pass = ? AND y = ? AND x = ?",
                [(run, number, y, x) for y, x, _ in asked],
            )
        return [(y, x) for y, x, done in asked if not done]

    # -- what was done --------------------------------------------------------------------------------

    def add_tiles(self, run: int, number: int, rows: Sequence[Mapping[str, Any]], worker: str, attempt: int) -> None:
        """Enters tiles that were run, all or none of them; one that is there already is refused (by its key)."""
        with self._db:
            for row in rows:
                full = {"run": run, "pass": number, **row, "worker": worker, "attempt": attempt}
                self._db.execute(f"INSERT INTO tiles ({', '.join(full)}) VALUES ({_marks(full)})", tuple(full.values()))

    def add_event(self, run: int, number: int, kind: str, cores: Sequence[Coordinate], attempt: int, text: str) -> None:
        """Enters what went wrong with a job."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        with self._db:
            row = (time, run, number, kind, json.dumps([list(core) for core in cores]), attempt, text)
            self._db.execute(f"INSERT INTO events VALUES (NULL, {_marks(row)})", row)


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("?" for _ in values)
