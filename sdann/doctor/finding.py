"""One thing that was looked for."""

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Finding"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """``group``: what it belongs to, such as "packages" or "extra fpga". ``wanted``: the versions that serve.

    ``found``: the version that is there ("" if none is). ``purpose``: what it is for. ``problem``: "is missing" and
    the like, "" where all is well. ``remedy``: how to get it. ``required``: whether `sdann demo` needs it.
    """

    name: str
    group: str
    wanted: str
    found: str
    purpose: str
    remedy: str
    required: bool
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The fields that the JSON output promises."""
        return asdict(self) | {"ok": not self.problem}
