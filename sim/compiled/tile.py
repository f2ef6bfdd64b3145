"""One tile alone on the RTL, at native speed: flits in, flits out, commands in between."""

from collections.abc import Mapping
from ctypes import POINTER, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.config import ChipConfig
from hdl.host import CommandWord
from hdl.pack import pack_rows

from ..driver import ChipTimeoutError
from .build import build_library
from .library import load

__all__ = ["Flits", "LoneTile"]

Flits = npt.NDArray[np.uint32]
"""Flits as rows of 32-bit pieces, lowest first (:func:`hdl.pack.pack_rows`)."""

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "tile_new": (c_void_p, [c_int, c_int]),
    "tile_delete": (None, [c_void_p]),
    "tile_place": (None, [c_void_p, c_int, c_int]),
    "flit_words": (c_int, []),
    "command_words": (c_int, []),
    "tile_run": (c_int64, [c_void_p, POINTER(c_uint32), POINTER(c_uint32), c_size_t, c_int64]),
    "tile_left": (c_size_t, [c_void_p]),
    "tile_left_words": (POINTER(c_uint32), [c_void_p]),
    "tile_forget": (None, [c_void_p]),
    "tile_sound": (c_int, [c_void_p]),
    "tile_cycles": (c_uint64, [c_void_p]),
}


class LoneTile:
    """A tile at (y, x) of a mesh that has no other one. ``tile``: its Verilog, where deliberately changed."""

    def __init__(self, config: ChipConfig, *, build_dir: Path, tile: str | None = None) -> None:
        self.config = config
        self._call = load(build_library(config, build_dir=build_dir, tile=tile), _FUNCTIONS)
        self._tile: int | None = self._call["tile_new"](0, 1)
        self._size = self._call["flit_words"]()
        self._nothing = np.zeros((0, self._size), dtype=np.uint32)

    def close(self) -> None:
        """Frees the tile. It cannot be used afterwards."""
        if self._tile is not None:
            self._call["tile_delete"](self._tile)
        self._tile = None

    def __enter__(self) -> "LoneTile":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def place(self, y: int, x: int) -> None:
        """Moves the tile, in reset; its memories keep what they hold."""
        self._call["tile_place"](self._tile, y, x)

    @property
    def cycles(self) -> int:
        """Clock cycles of all runs."""
        return int(self._call["tile_cycles"](self._tile))

    @property
    def sound(self) -> bool:
        """Whether the core has nothing against its program."""
        return bool(self._call["tile_sound"](self._tile))

    def run(
        self, command: Mapping[str, Any] | None = None, flits: Flits | None = None, *, limit: int = 50_000_000
    ) -> tuple[npt.NDArray[np.int64], Flits]:
        """Gives a command (fields of :func:`hdl.host.CommandWord`), then flits as fast as they are taken, and goes on
        until the tile is idle.

        Returns what has left: sides (0 north, 1 east, 2 south, 3 west) and flits, in order. Raises
        :class:`sim.driver.ChipTimeoutError` when ``limit`` cycles do not do.
        """
        word = None
        if command is not None:
            row = pack_rows(CommandWord(self.config), command, 1)
            padded = np.zeros(max(row.shape[1], self._call["command_words"]()), dtype=np.uint32)
            padded[: row.shape[1]] = row
            word = padded.ctypes.data_as(POINTER(c_uint32))
        rows = np.ascontiguousarray(self._nothing if flits is None else flits, dtype=np.uint32)
        pointer = rows.ctypes.data_as(POINTER(c_uint32))
        if self._call["tile_run"](self._tile, word, pointer, len(rows), limit) < 0:
            raise ChipTimeoutError(
                f"the tile is not idle {limit} cycles after {dict(command or {})}, {len(rows)} flits"
            )
        count = self._call["tile_left"](self._tile)
        if not count:
            return np.zeros(0, dtype=np.int64), self._nothing
        found = np.ctypeslib.as_array(self._call["tile_left_words"](self._tile), (count, 1 + self._size)).copy()
        self._call["tile_forget"](self._tile)
        return found[:, 0].astype(np.int64), found[:, 1:]
