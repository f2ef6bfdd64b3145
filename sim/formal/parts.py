"""How a proof gets at the parts that a chip makes of itself."""

from collections.abc import Callable
from typing import Any

__all__ = ["collect"]


def collect(made: list[Any], make: Callable[..., Any]) -> Callable[..., Any]:
    """``make``, and what it makes is appended to ``made``: to stand in for a class where the chip uses it."""

    def make_and_keep(*args: Any, **kwargs: Any) -> Any:
        made.append(make(*args, **kwargs))
        return made[-1]

    return make_and_keep
