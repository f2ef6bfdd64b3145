"""How to train."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import SdannError
from ..zoo import NetworkSpec, Recipe

__all__ = ["TrainOptions", "device_of", "threads"]

SMALL = 1_000_000
"""Networks with fewer parameters are too small to gain from threads, and with one thread the result does not depend
on how many there are.
"""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What is not None here overrides the :class:`sdann.zoo.Recipe` of the network for the data set.

    ``threads``: of torch; None is one for networks of less than a million parameters and torch's choice for others.
    ``device``: "auto" is a GPU if there is one.
    """

    epochs: int | None = None
    batch: int | None = None
    rate: float | None = None
    momentum: float | None = None
    decay: float | None = None
    warmup: int | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"

    def recipe(self, spec: NetworkSpec, data: str) -> Recipe:
        """The recipe to follow for ``spec`` on the data set ``data``; raises SdannError for senseless values."""
        own = vars(spec.recipe_on(data))
        values: dict[str, Any] = {key: own[key] if getattr(self, key) is None else getattr(self, key) for key in own}
        for key, least in (("epochs", 1), ("batch", 2), ("rate", 0), ("momentum", 0), ("decay", 0), ("warmup", 0)):
            if values[key] < least:
                raise SdannError(f"{key} must be at least {least}, not {values[key]}")
        return Recipe(**values)


def device_of(name: str) -> torch.device:
    """The device called ``name``, "auto", "cpu" or "cuda"; raises SdannError if there is no such one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SdannError("device cuda: torch sees no GPU here; use --device cpu")
    return torch.device(name)


@contextmanager
def threads(count: int | None, parameters: int) -> Iterator[None]:
    """Sets torch to use ``count`` threads in the block; None stands for one if the network is small."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or (1 if parameters < SMALL else before))
    try:
        yield
    finally:
        torch.set_num_threads(before)
