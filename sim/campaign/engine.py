"""Runs a campaign: prepares passes, gives their tiles to workers, and enters what comes back.

All that is done is in the file of results, which this process alone writes to. Each tile is in at most one job at a
time, and its row is written once; so whatever dies, running the campaign again does what is missing and nothing else.
"""

import contextlib
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from sdann.errors import SdannError
from sdann.mapper.image import Coordinate

from .job import JobResult, TileJob, run_job
from .pass_files import Digests
from .prepare import Opened, Prepared, Request, open_request, prepare
from .results import Results

__all__ = ["CampaignOptions", "run_campaign", "work_folder"]

PATIENCE = 120
"""Seconds without news after which it is asked whether there are workers at all."""

Report = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class CampaignOptions:
    """``build_dir``: where the tile's library is built. ``layers``: run these alone, all if empty; ``shapes``: run one
    tile of every shape. ``chunk``: tiles of a job; ``timeout``: its seconds; ``retries``: times that a tile is tried
    again after it has taken its worker with it, or failed otherwise. ``job``: what a worker runs.
    """

    build_dir: Path
    layers: tuple[str, ...] = ()
    shapes: bool = False
    chunk: int = 24
    timeout: float = 600.0
    retries: int = 3
    job: Callable[[TileJob], JobResult] = run_job


def work_folder(results: Path) -> Path:
    """Where the passes of a campaign lie."""
    return results.with_name(results.name + ".work").resolve()


@dataclass
class _Tally:
    """Of this session."""

    started: float = field(default_factory=time.monotonic)
    cycles: int = 0
    done: int = 0
    asked: int = 0
    expected: int = 0
    wrong: int = 0
    failed: int = 0


def run_campaign(
    results: Results, requests: Sequence[Request], client: Client, options: CampaignOptions, *,
    report: Report = lambda done, total, text: None,
) -> list[str]:  # fmt: skip
    """Runs every tile that ``requests`` and ``options`` ask for and that ``results`` does not have yet.

    ``report``: is told tiles done, tiles in all, and speed and mismatches so far. Returns a line for every tile that
    had to be given up; what the tiles gave is in ``results``. Raises SdannError for bad input, and where a worker
    cannot work at all.
    """
    results.check_hardware()
    return _Engine(results, client, options, report).run(requests)


class _Engine:
    def __init__(self, results: Results, client: Client, options: CampaignOptions, report: Report) -> None:
        self.results, self.client, self.options, self._report = results, client, options, report
        self.work = work_folder(results.path)
        self.inbox: queue.Queue[tuple[str, object, object]] = queue.Queue()
        self.running: dict[str, tuple[TileJob, Future[JobResult]]] = {}
        self.failures: dict[tuple[int, int, Coordinate], int] = {}  # of tiles that were alone in their job
        self.given_up: list[str] = []
        self.tally = _Tally()
        self.stop = threading.Event()
        self.known: set[str] = set()
        self.news = time.monotonic()

    def run(self, requests: Sequence[Request]) -> list[str]:
        todo: list[tuple[Request, list[int] | None]] = []
        seen: list[dict[str, object]] = []
        for request in requests:
            identity = request.identity()
            if identity in seen:
                continue
            seen.append(identity)
            run = self.results.run_of(identity)
            if run is None:
                todo.append((request, None))
                continue
            missing = self._missing(run)
            for number, digests in self.results.made(run).items():
                self._submit_pass(run, number, digests, request.sample)
            if missing:
                todo.append((request, missing))
        thread = threading.Thread(target=self._prepare, args=(todo,), name="prepare", daemon=True)
        thread.start()
        preparing = True
        try:
            while preparing or self.running:
                self._show()
                try:
                    kind, first, second = self.inbox.get(timeout=1.0)
                except queue.Empty:
                    self._check_workers()
                    continue
                self.news = time.monotonic()
                if kind == "opened":
                    assert isinstance(first, Opened) and isinstance(second, queue.Queue)
                    run = self.results.add_run(**first.entry())
                    missing = self._missing(run)
                    self._expect(run, missing)
                    second.put((run, missing))
                elif kind == "prepared":
                    assert isinstance(first, Prepared) and isinstance(second, tuple)
                    run, request = second
                    self.results.add_pass(run, first.number, first.digests, first.cores, first.seconds)
                    self.tally.expected = max(0, self.tally.expected - len(first.cores))
                    self._submit_pass(run, first.number, first.digests, request.sample)
                elif kind == "done":
                    self._take(str(first))
                elif kind == "error":
                    assert isinstance(first, BaseException)
                    raise first
                else:
                    preparing = False
            self._show()
        finally:
            self.stop.set()
            if self.running:  # an error, or an interruption
                with contextlib.suppress(Exception):
                    self.client.cancel([future for _, future in self.running.values()])
        if unknown := [layer for layer in self.options.layers if layer not in self.known]:
            raise SdannError(f"no network has a layer {unknown[0]!r}; there are: {', '.join(sorted(self.known))}")
        return self.given_up

    # -- preparation ----------------------------------------------------------------------------------

    def _missing(self, run: int) -> list[int]:
        """Passes of the run that are asked for and still to be made."""
        layers = self.results.layers_of(run)
        self.known |= set().union(*layers.values())
        only, made = set(self.options.layers), self.results.made(run)
        return [number for number in layers if number not in made and (not only or only & layers[number])]

    def _expect(self, run: int, missing: Sequence[int]) -> None:
        """Counts the tiles of passes that are about to be made; with a choice of tiles that cannot be known."""
        if not self.options.layers and not self.options.shapes:
            rows = self.results.query("SELECT pass, cores FROM passes WHERE run = ?", (run,))
            self.tally.expected += sum(row["cores"] for row in rows if row["pass"] in missing)

    def _prepare(self, todo: Sequence[tuple[Request, list[int] | None]]) -> None:
        """In a thread of its own: networks are opened, mapped and written while the workers run what is ready."""
        try:
            for request, _ in todo:
                if self.stop.is_set():
                    return
                opened = open_request(request)
                answer: queue.Queue[tuple[int, list[int]]] = queue.Queue()
                self.inbox.put(("opened", opened, answer))
                while True:
                    try:
                        run, missing = answer.get(timeout=1.0)
                        break
                    except queue.Empty:
                        if self.stop.is_set():
                            return
                for one in prepare(opened, self.work / f"run-{run}", missing, lambda: not self.stop.is_set()):
                    self.inbox.put(("prepared", one, (run, request)))
            self.inbox.put(("all prepared", None, None))
        except BaseException as error:  # the main thread raises it
            self.inbox.put(("error", error, None))

    def _check_workers(self) -> None:
        if self.running and time.monotonic() - self.news > PATIENCE and not self.client.ncores():
            raise SdannError(
                f"no workers for {PATIENCE} s; what they have done is kept: start some, and run the same command again"
            )

    # -- jobs -----------------------------------------------------------------------------------------

    def _submit_pass(self, run: int, number: int, digests: Digests, sample: int) -> None:
        cores = self.results.want(run, number, self.options.layers, self.options.shapes)
        self.tally.asked += len(cores)
        for n in range(0, len(cores), self.options.chunk):
            self._submit(TileJob(
                run=run, number=number, cores=tuple(cores[n : n + self.options.chunk]), digests=digests, sample=sample,
                folder=str(self.work / f"run-{run}"), build_dir=str(self.options.build_dir.resolve()),
                timeout=self.options.timeout, attempt=1, marker="",
            ))  # fmt: skip

    def _submit(self, job: TileJob) -> None:
        key = f"run-{job.run}-pass-{job.number}-{uuid.uuid4().hex}"
        job = replace(job, marker=str(self.work / f"{key}.ended"))
        future = self.client.submit(self.options.job, job, key=key, pure=False)
        self.running[key] = job, future
        future.add_done_callback(lambda done: self.inbox.put(("done", done.key, None)))

    def _take(self, key: str) -> None:
        """Enters what a job has brought, and sends out again what it has not."""
        job, future = self.running.pop(key)
        marker = Path(job.marker)
        try:
            if future.cancelled():
                raise SdannError("the connection to the scheduler is lost; run the same command again to go on")
            found: JobResult = future.result()
        except SdannError:
            raise
        except KilledWorker as error:
            late = marker.exists()
            marker.unlink(missing_ok=True)
            text = f"{error.last_worker.address if error.last_worker else 'its worker'} ended"
            text += f" itself: the job took more than {2 * job.timeout:g} s" if late else ""
            self._again(job, "time-out" if late else "worker lost", text)
        except Exception as error:  # of the worker's machine: no memory, no file; a tile's own faults are in its row
            self._again(job, "error", f"{type(error).__name__}: {error}")
        else:
            self._enter(job, found)

    def _enter(self, job: TileJob, found: JobResult) -> None:
        self.results.add_tiles(job.run, job.number, found.rows, found.worker, job.attempt)
        self.tally.done += len(found.rows)
        self.tally.cycles += sum(row["cycles"] for row in found.rows)
        self.tally.wrong += sum(row["mismatches"] for row in found.rows)
        if found.left:
            text = f"{len(found.rows)} of {len(job.cores)} tiles after {job.timeout:g} s"
            self.results.add_event(job.run, job.number, "time-out", found.left, job.attempt, text)
            self._submit(replace(job, cores=found.left, attempt=job.attempt + 1))

    def _again(self, job: TileJob, kind: str, text: str) -> None:
        """Each tile on its own from now on: the one that is to blame is not to take others with it."""
        self.results.add_event(job.run, job.number, kind, job.cores, job.attempt, text)
        if len(job.cores) > 1:
            for core in job.cores:
                self._submit(replace(job, cores=(core,), attempt=job.attempt + 1))
            return
        tile = (job.run, job.number, job.cores[0])
        self.failures[tile] = self.failures.get(tile, 0) + 1
        if self.failures[tile] <= self.options.retries:
            self._submit(replace(job, attempt=job.attempt + 1))
            return
        self.results.add_event(job.run, job.number, "failed", job.cores, job.attempt, text)
        self.tally.failed += 1
        name = self.results.query("SELECT network FROM runs WHERE run = ?", (job.run,))[0][0]
        self.given_up.append(
            f"{name}, pass {job.number}, core {job.cores[0]}: given up after {job.attempt} attempts, at last: {text}"
        )

    def _show(self) -> None:
        t = self.tally
        speed = t.cycles / max(1e-9, time.monotonic() - t.started)
        text = f"{speed:,.0f} tile-cycles/s, {t.wrong:,} mismatches" + (f", {t.failed:,} failed" if t.failed else "")
        self._report(t.done, t.asked + t.expected, text)
