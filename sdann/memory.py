"""How much memory a step needed."""

import contextlib
import re
from pathlib import Path

__all__ = ["peak_memory", "reset_peak_memory"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak_memory() -> None:
    """Let :func:`peak_memory` count from here on; does nothing where only the whole process's peak is known."""
    with contextlib.suppress(OSError):
        _RESET.write_text("5")


def peak_memory() -> int | None:
    """Most bytes that this process had resident since :func:`reset_peak_memory`; None where no /proc tells."""
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if found is None else int(found[1]) << 10
