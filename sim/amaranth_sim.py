"""The chip in Amaranth's own simulator: for small meshes, with no tool but Python."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from amaranth.sim import Simulator

from hdl.chip import Chip
from sdann.mapper import ProgramImage

from .driver import ChipDriver
from .host_port import HostPort

__all__ = ["AmaranthPort", "run_in_amaranth"]

Result = TypeVar("Result")


class AmaranthPort(HostPort):
    """The host streams of an elaborated chip."""

    def __init__(self, ctx: Any, chip: Chip, *, stall: float = 0.0, seed: int = 0) -> None:
        super().__init__(stall=stall, seed=seed)
        self._ctx, self._chip = ctx, chip

    async def cycle(self, offered: int | None, taking: bool) -> tuple[bool, int | None]:
        """See :meth:`sim.host_port.HostPort.cycle`."""
        ctx, chip = self._ctx, self._chip
        ctx.set(chip.i.valid, offered is not None)
        if offered is not None:
            ctx.set(chip.i.payload, offered)
        ctx.set(chip.o.ready, taking)
        _, _, ready, valid, payload = await ctx.tick().sample(chip.i.ready, chip.o.valid, chip.o.payload)
        return offered is not None and bool(ready), payload if taking and valid else None


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
