"""A compiled chip as the driver sees it: a port that moves host words at native speed."""

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ctypes import POINTER, c_char_p, c_double, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any, TypeVar

from hdl.chip import tree_latency
from hdl.config import ChipConfig
from hdl.core.counters import VISITS
from hdl.host import CommandWord
from hdl.pack import fields
from sdann.errors import SdannError
from sdann.mapper import ProgramImage

from ..driver import ChipDriver
from .build import build_library
from .library import load

__all__ = ["CompiledChip", "run_compiled"]

Result = TypeVar("Result")

_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "new": (c_void_p, [c_int, c_int, c_int, c_int, c_uint32]),
    "delete": (None, [c_void_p]),
    "words_in": (c_int, []),
    "words_out": (c_int, []),
    "reset": (None, [c_void_p]),
    "stalls": (None, [c_void_p, c_double, c_char_p]),
    "skip": (None, [c_void_p, c_int]),
    "send": (None, [c_void_p, c_char_p, c_size_t]),
    "receive": (c_int, [c_void_p, c_int64, POINTER(c_uint32)]),
    "wait": (None, [c_void_p, c_int64]),
    "cycles": (c_uint64, [c_void_p]),
    "evaluations": (c_uint64, [c_void_p]),
}
_COVERAGE: dict[str, tuple[Any, list[Any]]] = {"coverage": (None, [c_void_p, c_char_p])}
_WAVES: dict[str, tuple[Any, list[Any]]] = {
    "trace": (c_int, [c_void_p, c_char_p, POINTER(c_int), c_int, c_uint64, c_uint64]),
    "end_trace": (None, [c_void_p]),
}


class CompiledChip:
    """One chip, a :class:`sim.host_port.WordPort`. Its methods end without ever waiting for an event loop.

    ``stall``, ``seed``: as of :class:`sim.host_port.HostPort`, with the same draws in the same cycles. The library's
    functions run without the interpreter's lock, so chips in several threads run side by side.
    """

    def __init__(
        self, config: ChipConfig, *, build_dir: Path, stall: float = 0.0, seed: int = 0, waves: bool = False,
        coverage: bool = False, tile: str | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.library = build_library(config, build_dir=build_dir, waves=waves, coverage=coverage, tile=tile)
        """Path of what was compiled; the Verilog lies beside it."""
        self._call = load(self.library, _FUNCTIONS | (_WAVES if waves else {}) | (_COVERAGE if coverage else {}))
        op = fields(CommandWord(config))["op"]
        self._chip: int | None = self._call["new"](
            config.rows, config.cols, tree_latency(config), VISITS, ((1 << op.width) - 1) << op.offset
        )
        self._size = 4 * self._call["words_in"]()
        self._word = (c_uint32 * self._call["words_out"]())()
        self.set_stalls(stall, seed)

    def close(self) -> None:
        """Frees the chip. It cannot be used afterwards."""
        if self._chip is not None:
            self._call["delete"](self._chip)
        self._chip = None

    def __enter__(self) -> "CompiledChip":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def cycles(self) -> int:
        """Clock cycles since reset."""
        return int(self._call["cycles"](self._chip))

    @property
    def tile_cycles(self) -> int:
        """How often a tile was evaluated: once per cycle in which it was not at rest."""
        return int(self._call["evaluations"](self._chip))

    def reset(self) -> None:
        """Three cycles of reset; the memories keep what they hold. Words that were on their way are forgotten."""
        self._call["reset"](self._chip)

    def set_stalls(self, stall: float, seed: int) -> None:
        """From now on the host stalls as a chip's that is made with these."""
        version, state, _ = random.Random(seed).getstate()
        assert version == 3  # the Mersenne Twister's 624 words and its position
        self._call["stalls"](self._chip, stall, " ".join(map(str, state)).encode())

    def skip_idle(self, skip: bool) -> None:
        """Whether tiles at rest are left out (as they are unless said otherwise): for checking that it is the same."""
        self._call["skip"](self._chip, skip)

    def let_pass(self, cycles: int) -> None:
        """Lets clock cycles pass; words move meanwhile."""
        self._call["wait"](self._chip, cycles)

    def trace(self, path: Path, tiles: Sequence[tuple[int, int]], cycles: range) -> None:
        """Writes waves (VCD) of ``tiles`` (y, x), (0, 0) the host tile, in these cycles; the chip must be built with
        ``waves``.
        """
        if "trace" not in self._call:
            raise ValueError("waves need a chip that was made with waves=True")
        numbers = [y * self.config.cols + x for y, x in tiles]
        found = self._call["trace"](
            self._chip, str(path).encode(), (c_int * len(numbers))(*numbers), len(numbers), cycles.start, cycles.stop
        )
        if not found:
            raise SdannError(f"{path}: the waves cannot be written there")

    def end_trace(self) -> None:
        """Completes the file of :meth:`trace`."""
        self._call["end_trace"](self._chip)

    def write_coverage(self, path: Path) -> None:
        """Writes how often each line ran and each bit changed in any tile (Verilator's format) since the chip was made;
        it must have been made with ``coverage``.
        """
        if "coverage" not in self._call:
            raise ValueError("coverage needs a chip that was made with coverage=True")
        self._call["coverage"](self._chip, str(path).encode())

    # -- as a WordPort ----------------------------------------------------------------------------

    def send(self, words: Iterable[int]) -> None:
        """Queues words for the chip. They go out in order, as fast as the chip takes them."""
        size = self._size
        data = b"".join([word.to_bytes(size, "little") for word in words])
        self._call["send"](self._chip, data, len(data) // size)

    async def receive(self, limit: int) -> int | None:
        """The next word from the chip, or None when nothing moved in either direction for ``limit`` cycles."""
        if not self._call["receive"](self._chip, limit, self._word):
            return None
        return int.from_bytes(bytes(self._word), "little")

    async def wait(self, cycles: int) -> None:
        """As :meth:`let_pass`."""
        self.let_pass(cycles)


def run_compiled(chip: CompiledChip, image: ProgramImage, job: Callable[[ChipDriver], Awaitable[Result]]) -> Result:
    """Runs ``job`` with a driver of ``chip``; returns what the job returns."""
    waiting = job(ChipDriver(chip, image)).__await__()
    try:
        next(waiting)
    except StopIteration as done:
        result: Result = done.value
        return result
    raise RuntimeError("a job on a compiled chip may wait for its driver only")
