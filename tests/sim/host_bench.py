"""cocotb bench: hosts that send bad programs and bad words. After each the chip must run a good program."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cocotb
import numpy as np
import pytest

from hdl.flit import FlitKind
from hdl.host import PROGRAM_VERSION, Control, HostOp, PauseMode, Register, RunState
from hdl.pack import fields, pack, unpack
from hdl.program import Counter, Memory, memory_layouts
from hdl.registers import register_map
from sdann.mapper import ProgramImage
from sim.benches.chip_bench import CocotbPort
from sim.driver import ChipDriver, ChipError
from sim.program import checksum, program_words
from sim.session import stream
from sim.workload import Workload


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


SETTINGS = 1 + 1  # words that the driver sends before the program: GET CONFIG_ID, SET CONTROL


@cocotb.test()
async def no_program(dut):
    """After power-up there is none, and no version."""
    bench = await begin(dut)
    await bench.refused("PROGRAM_VERSION declares program version 0, the chip runs version 1.*VERSION", load=False)


@cocotb.test()
async def wrong_version(dut):
    bench = await begin(dut)
    words = len(list(program_words(bench.image)))
    layout = bench.driver.words.layout
    wrong = pack(layout, {
        "op": HostOp.SET, "payload.register.address": Register.PROGRAM_VERSION,
        "payload.register.value": PROGRAM_VERSION + 1,
    })  # fmt: skip
    bench.port.changes[SETTINGS + words] = [lambda word: wrong]
    await bench.refused(r"declares program version 2, the chip runs version 1.*map the network again.*\[VERSION\]")


@cocotb.test()
async def word_lost(dut):
    bench = await begin(dut)
    bench.port.changes[SETTINGS + 100] = []
    await bench.refused(
        r"words were lost: register LOADED_FLITS counts (\d+) flits.*Load the program again.*\[PROGRAM\]"
    )


@cocotb.test()
async def word_twice(dut):
    bench = await begin(dut)
    bench.port.changes[SETTINGS + 100] = [lambda w: w, lambda w: w]
    await bench.refused(r"words were sent twice: .*\[PROGRAM\]")


@cocotb.test()
async def bit_flipped(dut):
    bench = await begin(dut)
    data = fields(bench.driver.words.layout)["payload.flit.payload.memory.data"].offset
    bench.port.changes[SETTINGS + 200] = [lambda w: w ^ 1 << data]
    await bench.refused(
        r"changed on their way: register LOADED_CHECKSUM is 0x[0-9a-f]+, .*check the link.*\[CHECKSUM\]"
    )


@cocotb.test()
async def out_of_range(dut):
    bench = await begin(dut)
    image = bench.changed("conv2", Memory.CORE, groups=7)
    await bench.refused(
        r"a core refuses its program: tile \(\d, \d\), CORE word 0: groups is 7, the chip takes 1\.\.4.*\[PROGRAM\]",
        bench.other(image),
    )
    image = bench.changed("conv1", Memory.EDGE, kernel_h=9)
    await bench.refused(r"EDGE word 0: kernel_h is 9, the chip takes 1\.\.8.*\[PROGRAM\]", bench.other(image))


@cocotb.test()
async def bad_address(dut):
    """A flit to a memory that cannot be written is no program flit, and so not counted; the core complains."""
    bench = await begin(dut)
    core = bench.image.config.cores[-1]
    for memory, address in ((Memory.COUNTER, 0), (Memory.ACT, 127)):
        await bench.driver.load()
        bench.port.send(bench.driver.words.write(core, memory, address, 0))
        await bench.refused(
            rf"refused a WRITE flit.*rejected in tiles \[\({core[0]}, {core[1]}\)\].*\[PROGRAM\]", load=False
        )


@cocotb.test()
async def chunks_out_of_order(dut):
    """Count and checksum are right, and yet it is no program."""
    bench = await begin(dut)
    driver = bench.driver
    words = list(program_words(bench.image))
    words[0], words[1] = words[1], words[0]
    await driver.load()
    driver.set(Register.CONTROL, Control.LOAD.value)
    bench.port.send(words)
    driver.set(Register.PROGRAM_CHECKSUM, checksum(bench.image.config, words))
    await bench.refused(r"chunks of a word out of order.*\[PROGRAM\]", load=False)


@cocotb.test()
async def aborted_load(dut):
    """LOAD in the middle of a word forgets what came before."""
    bench = await begin(dut)
    bench.driver.set(Register.CONTROL, Control.LOAD.value)
    bench.port.send(list(program_words(bench.image))[:101])
    await bench.good_run()


@cocotb.test()
async def settings(dut):
    bench = await begin(dut)
    await bench.driver.load()
    bench.driver.set(Register.STAGES, 8)
    await bench.refused(r"the driver wrote STEPS = 8, STAGES = 8, .*1\.\.7.*\[SETTINGS\]", load=False)


@cocotb.test()
async def unknown_operation(dut):
    bench = await begin(dut)
    for count, word in enumerate((5, 6), 1):
        bench.port.changes[bench.port.count + SETTINGS + 50] = [lambda w: w, lambda w, bad=word: bad]
        await bench.refused(rf"an unknown operation.*STRAY counts {count}\..*\[PROTOCOL\]")


@cocotb.test()
async def bad_word_in_a_run(dut):
    """A flit that no host may send fails a run under way, at once."""
    bench = await begin(dut)
    driver = bench.driver
    await driver.load()
    await driver.start()
    driver.send_sample(bench.samples[0])
    bench.port.send([driver.words.memory_flit(HostOp.SAMPLE, (0, 1), FlitKind.WRITE, Memory.WEIGHT, 0)])
    with pytest.raises(ChipError, match=r"no WRITE or READ to a core.*\[PROTOCOL\]"):
        await driver.collect(1, 5000)
    await bench.good_run(2)


@cocotb.test()
async def truncated_sample(dut):
    bench = await begin(dut)
    driver, port = bench.driver, bench.port
    for change in ([], [lambda w: w, lambda w: w]):
        await driver.load()
        await driver.start()
        flits = driver.written[Register.SAMPLE_FLITS]
        port.changes[port.count + flits - 1] = change
        driver.send_sample(bench.samples[0])
        with pytest.raises(ChipError, match=rf"did not have the {flits} flits that register SAMPLE_FLITS.*\[SAMPLE\]"):
            await driver.wait_for(RunState.RUNNING)
        if not change:
            # START recovers: what was sent of the sample is gone, and the next one is whole again.
            await driver.start()
            driver.send_sample(bench.samples[1])
            np.testing.assert_array_equal((await driver.collect(1, 50_000))[0], bench.expected[1])
        await bench.good_run()


@cocotb.test()
async def program_changed_in_a_run(dut):
    """The program of a run is the one that was checked: a word written in a pause fails it."""
    bench = await begin(dut)
    driver = bench.driver
    await driver.load()
    await driver.start(PauseMode.WINDOW)
    driver.send_sample(bench.samples[0])
    await driver.wait_for(RunState.PAUSED)
    core = next((c.y, c.x) for c in bench.image.cores_of("conv2"))
    bench.port.send(driver.words.write(core, Memory.WEIGHT, 0, 0))
    driver.set(Register.CONTROL, Control.RESUME.value)
    with pytest.raises(ChipError, match=r"sent twice: register LOADED_FLITS.*\[PROGRAM\]"):
        await driver.collect(1, 5000)
    await bench.good_run()


@cocotb.test()
async def reset_in_a_window(dut):
    """At any moment of a run: registers as after power-up, no program, nothing left to read, and a good run after."""
    bench = await begin(dut)
    driver = bench.driver
    for wait in (1, 150, 700, 1500):
        await driver.load()
        await driver.start()
        for sample in bench.samples:
            driver.send_sample(sample)
        await bench.port.wait(wait)
        bench.port._out.clear()  # a host that starts anew
        bench.port._offered = False
        await driver.reset()
        for register, entry in register_map(bench.image.config).items():
            if entry.access.readable:
                assert await driver.get(register) == entry.reset, register.name
        assert driver.readouts == []
        await bench.refused("VERSION", load=False)


@cocotb.test()
async def stalled_host(dut):
    """A host that neither takes read-outs nor ends its sample stops the chip, and nothing else; no watchdog fires."""
    bench = await begin(dut, stall=0.0)
    driver = bench.driver
    driver.step_limit = 3000  # WATCHDOG; no step of this program takes that long
    await driver.load()
    await driver.start()
    driver.step_limit = 20_000
    for sample in bench.samples:
        driver.send_sample(sample)
    bench.port.deaf = True
    await bench.port.wait(12_000)
    bench.port.deaf = False
    np.testing.assert_array_equal(np.stack(await driver.collect(3, 50_000)), bench.expected)
    # Half a sample, then silence.
    bench.port.changes = {bench.port.count + n: [] for n in range(20, driver.written[Register.SAMPLE_FLITS] + 1)}
    driver.send_sample(bench.samples[0])
    await bench.port.wait(12_000)
    assert await driver.check() == RunState.WAITING
    await bench.good_run(3)


@cocotb.test()
async def read_window(dut):
    """Counters through the read window are those that READ flits bring; bad requests are refused."""
    bench = await begin(dut)
    driver, config = bench.driver, bench.image.config
    result = await stream(driver, bench.samples[:1])

    async def window(y: int, x: int, memory: int, address: int, part: int = 0) -> tuple[int, int]:
        driver.set(Register.READ_TILE, x | y << 8)
        driver.set(Register.READ_WORD, address | memory << 20 | part << 24)
        while (status := await driver.get(Register.READ_STATUS)) & 1:
            pass
        return status, await driver.get(Register.READ_LOW) | await driver.get(Register.READ_HIGH) << 32

    for core in config.cores:
        for counter in (Counter.SOPS, Counter.SPIKES_OUT, Counter.BUSY):
            assert await window(*core, Memory.COUNTER.value, counter.value) == (0, result.counters[core][counter.name])
    # A word of several parts.
    core = next((c.y, c.x) for c in bench.image.cores_of("conv1"))
    (descriptor,) = await driver.read_words(core, Memory.CORE, [0])
    assert descriptor == bench.image.words(core, Memory.CORE)[0]
    parts = -(-memory_layouts(config)[Memory.CORE].size // 64)
    assert parts > 1
    for part in range(parts):
        assert await window(*core, Memory.CORE.value, 0, part) == (0, descriptor >> 64 * part & (1 << 64) - 1)
    for y, x in ((0, 0), (config.rows, 0), (0, config.cols)):
        assert (await window(y, x, Memory.CORE.value, 0))[0] == 2, "there is no such core"
    assert (await window(*core, Memory.CORE.value, 0))[0] == 0
    # While a run is in progress the read waits, and RESET gives up on it.
    await driver.start(PauseMode.NONE)
    driver.send_sample(bench.samples[0])
    await driver.wait_for(RunState.RUNNING)
    driver.set(Register.READ_WORD, Memory.COUNTER.value << 20)
    driver.set(Register.READ_WORD, Memory.COUNTER.value << 20)
    assert await driver.get(Register.READ_STATUS) == 3, "busy, and the second request was refused"
    np.testing.assert_array_equal((await driver.collect(1, 50_000))[0], bench.expected[0])
    await driver.wait_for(RunState.WAITING)
    await bench.good_run()
