"""How a run of the tile model is watched."""

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from hdl.program import Counter
from sdann.mapper.image import Coordinate
from sdann.mesh_model import Delivery

__all__ = ["TileObserver"]


class TileObserver:
    """Is told what a run does, and must not change it. Each method may be overridden."""

    def emits(self, window: int, core: Coordinate, age: int, spikes: npt.NDArray[Any]) -> None:
        """In ``window``, ``core`` emits its activations of ``age``: 0/1 [t, y, x, group, lane], words in the order of
        their addresses; those without a spike are no bundles.
        """

    def sends(self, window: int, way: Delivery, flits: int) -> None:
        """In ``window``, ``flits`` spike bundles take ``way``."""

    def integrates(self, window: int, core: Coordinate, sample: int) -> None:
        """In ``window``, ``core`` integrates ``sample``."""

    def reads_out(self, window: int, core: Coordinate, sample: int) -> None:
        """In ``window``, ``core`` sends its results of ``sample`` to the host."""

    def ends(self, window: int, counters: Mapping[Coordinate, Mapping[Counter, int]]) -> None:
        """``window`` is over. ``counters``: every tile's since the run began, those of
        :data:`sdann.tile_model.COUNTED`.
        """
