"""Workers: processes of this machine, or those of a scheduler that runs elsewhere."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from sdann.errors import SdannError

__all__ = ["WORKER_MEMORY", "connect"]

WORKER_MEMORY = "4GiB"
"""At which a local worker is ended, and its job sent out again."""

SETTINGS = {
    # A job whose worker has died comes back to us, who count it and send it out again.
    "distributed.scheduler.allowed-failures": 0,
    # Of a worker that dies only the job that it was running is suspect: it has no other.
    "distributed.scheduler.worker-saturation": 1.0,
    # A worker that has not been heard of for so long counts as dead.
    "distributed.scheduler.worker-ttl": "120s",
    "distributed.admin.tick.limit": "600s",  # the interpreter is busy while networks are mapped
    "distributed.comm.timeouts.connect": "30s",
    "distributed.comm.timeouts.tcp": "600s",
}
WAIT = 60
"""Seconds in which a first worker must be there."""


@contextmanager
def connect(*, workers: int, scheduler: str | None = None) -> Iterator[Client]:
    """A client of ``scheduler``, or of ``workers`` new processes of this machine with one thread each.

    Raises :class:`SdannError` where the scheduler does not answer or has no workers.
    """
    for name in ("distributed", "tornado"):  # lost workers are reported by the campaign
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS):
        if scheduler is None:
            with (
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    memory_limit=WORKER_MEMORY,
                    silence_logs=logging.CRITICAL,
                ) as cluster,
                Client(cluster) as client,
            ):
                yield client
            return
        try:
            client = Client(scheduler, timeout=WAIT)
        except (OSError, TimeoutError, ValueError) as error:
            raise SdannError(
                f"no scheduler answers at {scheduler!r} ({error}); start one with `dask scheduler`"
            ) from None
        with client:
            try:
                client.wait_for_workers(1, timeout=WAIT)
            except TimeoutError:
                raise SdannError(
                    f"the scheduler at {scheduler!r} has no workers; start some with `dask worker {scheduler} "
                    "--nthreads 1`"
                ) from None
            yield client
