"""The chip in Amaranth's own simulator: for small meshes, with no tool but Python."""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from amaranth.sim import Simulator

from hdl.chip import Chip
from sdann.mapper import ProgramImage

from .driver import ChipDriver

__all__ = ["AmaranthPort", "run_in_amaranth"]

Result = TypeVar("Result")


class AmaranthPort:
    """Moves host words of an elaborated chip, one clock cycle at a time.

    ``stall``: probability with which the host, in a cycle, offers no word, and takes none.
    """

    def __init__(self, ctx: Any, chip: Chip, *, stall: float = 0.0, seed: int = 0) -> None:
        self._ctx, self._chip = ctx, chip
        self._stall, self._random = stall, random.Random(seed)
        self._out: deque[int] = deque()
        self._in: deque[int] = deque()
        self._offered = False
        self._moved = 0  # words that went in or out
        self.cycle = 0

    def send(self, words: Iterable[int]) -> None:
        """Queues words for the chip."""
        self._out.extend(words)

    async def receive(self, limit: int) -> int | None:
        """The next word from the chip, or None when nothing moved in either direction for ``limit`` cycles."""
        idle = 0
        while not self._in and idle < limit:
            moved = self._moved
            await self.tick()
            idle = idle + 1 if moved == self._moved else 0
        return self._in.popleft() if self._in else None

    async def wait(self, cycles: int) -> None:
        """Lets ``cycles`` clock cycles pass."""
        for _ in range(cycles):
            await self.tick()

    async def tick(self) -> None:
        """One clock cycle of both streams."""
        ctx, chip = self._ctx, self._chip
        # An offered word stays offered until it is taken, as the stream protocol demands.
        self._offered = bool(self._out) and (self._offered or not self._stalls())
        ctx.set(chip.i.valid, self._offered)
        if self._offered:
            ctx.set(chip.i.payload, self._out[0])
        taking = not self._stalls()
        ctx.set(chip.o.ready, taking)
        _, _, ready, valid, payload = await ctx.tick().sample(chip.i.ready, chip.o.valid, chip.o.payload)
        self.cycle += 1
        if self._offered and ready:
            self._out.popleft()
            self._offered = False
            self._moved += 1
        if taking and valid:
            self._in.append(payload)
            self._moved += 1

    def _stalls(self) -> bool:
        return self._stall > 0 and self._random.random() < self._stall


def run_in_amaranth(
    image: ProgramImage, job: Callable[[ChipDriver], Awaitable[Result]], *, stall: float = 0.0, seed: int = 0
) -> Result:
    """Runs ``job`` with a driver of the image's chip; returns what the job returns."""
    chip = Chip(image.config)
    results: list[Result] = []

    async def testbench(ctx: Any) -> None:
        results.append(await job(ChipDriver(AmaranthPort(ctx, chip, stall=stall, seed=seed), image)))

    simulator = Simulator(chip)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return results[0]
