"""Jobs that go wrong. They run in the workers, which take all that they need from here."""

import os
import random
import signal
import time
from dataclasses import replace

from sim.campaign.job import run_job, watchdog


def dies_at_random(job):
    """Ends its worker before the work or after it: often at first, so that the test ends."""
    dice = random.Random(f"{job.number} {job.cores} {job.attempt}")
    share = 0.3 if job.attempt == 1 else 0.05
    if dice.random() < share:
        os.kill(os.getpid(), signal.SIGKILL)
    found = run_job(job)
    if dice.random() < share:
        os.kill(os.getpid(), signal.SIGKILL)
    return found


def hangs_at_one(job):
    """Never ends with tile (0, 2) of pass 0 among its own."""
    if job.number == 0 and (0, 2) in job.cores:
        with watchdog(2 * job.timeout, job.marker):
            time.sleep(1000)
    return run_job(replace(job, timeout=600))


def has_time_for_one(job):
    """Is called with more tiles than it does."""
    return replace(run_job(replace(job, cores=job.cores[:1])), left=job.cores[1:])


def finds_no_room(job):
    """Fails at the first attempt."""
    if job.attempt == 1:
        raise OSError(f"no room for {len(job.cores)} tiles")
    return run_job(job)
