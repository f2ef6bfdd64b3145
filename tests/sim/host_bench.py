"""cocotb bench: hosts that send bad words, abort runs, stall, and read. After each the chip runs a good program."""

import cocotb
import numpy as np
import pytest
from host_harness import SETTINGS, begin

from hdl.flit import FlitKind
from hdl.host import Control, HostOp, PauseMode, Register, RunState
from hdl.program import Counter, Memory, memory_layouts
from hdl.registers import register_map
from sim.driver import ChipError
from sim.session import stream


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
