"""External programs: logged, bounded in time, and cached builds that an interruption cannot spoil."""

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sdann.errors import SdannError

__all__ = ["ProcessError", "cached_build", "log_tail", "run_logged"]

TAIL_LINES = 25


class ProcessError(SdannError):
    """A program failed or took too long; the message holds the end of its log and the log's path."""


def log_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last ``lines`` lines of a log and where the whole of it lies."""
    text = log.read_text(errors="replace").splitlines() if log.is_file() else ["(no output)"]
    return "\n".join([*text[-lines:], f"full log: {log}"])


def run_logged(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout: float, what: str
) -> None:
    """Runs ``command`` and appends its output to ``log``.

    ``timeout`` in seconds: afterwards the command is killed, with everything that it started. ``what`` names the
    activity in messages. Raises :class:`ProcessError` on a time-out or an exit code other than 0.
    """
    with log.open("a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        # A session of its own, so that make's compilers and a simulator's children can be stopped together.
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise ProcessError(f"{what} did not end within {timeout:g} s\n{log_tail(log)}") from None
        except BaseException:
            _kill(process)
            raise
    if code != 0:
        raise ProcessError(f"{what} failed with exit code {code}\n{log_tail(log)}")


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):  # it may have ended in the meantime
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def cached_build(folder: Path, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """``folder``, made by ``build`` if it is not there yet, and whether it was there.

    ``build`` fills a temporary neighbour of ``folder``, which gets its final name only when complete: a ``folder`` that
    exists is a finished build. Concurrent callers wait for the first one. When ``build`` raises, its log files stay
    in the neighbour ``<folder>.failed``; the exception's message names the log by its final place.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, failed = folder.with_name(folder.name + ".partial"), folder.with_name(folder.name + ".failed")
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released by the system when this process ends, however it ends
        if folder.is_dir():
            return folder, True
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(failed, ignore_errors=True)
        partial.mkdir()
        try:
            build(partial)
        except ProcessError as error:
            partial.rename(failed)
            raise ProcessError(str(error).replace(str(partial), str(failed))) from None
        partial.rename(folder)
    return folder, False
