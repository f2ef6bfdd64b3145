"""What the host benches share: a host that errs on purpose, and a chip with a good program to fall back on."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hdl.host import Register, RunState
from hdl.pack import fields, pack, unpack
from hdl.program import Memory, memory_layouts
from sdann.mapper import ProgramImage
from sim.benches.chip_bench import CocotbPort
from sim.driver import ChipDriver, ChipError
from sim.workload import Workload

__all__ = ["SETTINGS", "Bench", "begin"]

SETTINGS = 1 + 1  # words that the driver sends before the program: GET CONFIG_ID, SET CONTROL


class Host(CocotbPort):
    """A host that can lose, repeat and change the ``n``-th word it sends, and stop taking words."""

    def __init__(self, dut, **options) -> None:
        super().__init__(dut, **options)
        self.changes: dict[int, list] = {}
        self.count = 0
        self.deaf = False

    def send(self, words: Iterable[int]) -> None:
        for word in words:
            for change in self.changes.pop(self.count, [lambda w: w]):
                super().send([change(word)])
            self.count += 1

    async def cycle(self, offered, taking):
        return await super().cycle(offered, taking and not self.deaf)


@dataclass
class Bench:
    """A chip that was just reset, with a driver, a good image, samples and what the golden says of them."""

    port: Host
    image: ProgramImage
    samples: np.ndarray
    expected: np.ndarray
    driver: ChipDriver = field(init=False)

    def __post_init__(self) -> None:
        self.driver = self.other(self.image)

    def other(self, image: ProgramImage) -> ChipDriver:
        return ChipDriver(self.port, image, step_limit=20_000)

    def changed(self, layer: str, memory: Memory, **changes: int) -> ProgramImage:
        """The image with fields of a layer's first word of ``memory`` changed."""
        layout = memory_layouts(self.image.config)[memory]
        core = next((c.y, c.x) for c in self.image.cores_of(layer))
        values = unpack(layout, self.image.words(core, memory)[0]) | changes
        return self.image.with_word(core, memory, 0, pack(layout, values, fields(layout)))

    async def good_run(self, count: int = 1) -> None:
        """Loads the good program and runs ``count`` samples: the golden's outputs, and nothing astray."""
        await self.driver.load()
        await self.driver.start()
        for sample in self.samples[:count]:
            self.driver.send_sample(sample)
        outputs = await self.driver.collect(count, 50_000)
        np.testing.assert_array_equal(np.stack(outputs), self.expected[:count])
        await self.driver.wait_for(RunState.WAITING)
        assert await self.driver.get(Register.SAMPLES) == count

    async def refused(self, message: str, driver: ChipDriver | None = None, *, load: bool = True) -> None:
        """Loading and starting ends in an error that says ``message``; a good program is then accepted."""
        with pytest.raises(ChipError, match=message):
            await self._begin(driver or self.driver, load)
        await self.good_run()

    async def _begin(self, driver: ChipDriver, load: bool) -> None:
        if load:
            await driver.load()
        await driver.start()


async def begin(dut, stall: float = 0.2) -> Bench:
    workload = Workload.load(Path(os.environ["SDANN_WORKLOAD"]))
    port = Host(dut, stall=stall, seed=workload.seed)
    await port.reset()
    expected = np.load(workload.folder / "expected.npy", allow_pickle=False)
    return Bench(port, workload.image(), workload.samples, expected)
