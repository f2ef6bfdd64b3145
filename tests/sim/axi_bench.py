"""cocotb bench of the chip behind AXI, driven by bus models that are not ours, with pauses on every channel."""

import json
import os
from pathlib import Path

import cocotb
import numpy as np
import pytest
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiResp, AxiStreamFrame

from hdl.host import Control, HostOp, Register, RunState
from hdl.program import Counter, Memory
from hdl.registers import BYTES, register_map
from sdann.graph import INPUT
from sdann.mapper import ProgramImage
from sim.axi_port import AxiPort
from sim.driver import ChipDriver, ChipError
from sim.program import HostWords, program_words
from sim.session import observe
from sim.workload import Workload


async def begin(dut, stall: float = 0.3) -> tuple[AxiPort, ChipDriver, ProgramImage, Workload]:
    workload = Workload.load(Path(os.environ["SDANN_WORKLOAD"]))
    image = workload.image()
    port = AxiPort(dut, image.config, stall=stall, seed=workload.seed)
    await port.reset()
    return port, ChipDriver(port, image, step_limit=20_000), image, workload


def expected(workload: Workload) -> np.ndarray:
    return np.load(workload.folder / "expected.npy", allow_pickle=False)


async def window(port: AxiPort, core: tuple[int, int], memory: Memory, address: int) -> int:
    """64 bits of a memory word, through the read window."""
    await port.write(Register.READ_TILE, core[1] | core[0] << 8)
    await port.write(Register.READ_WORD, address | memory.value << 20)
    while (status := await port.read(Register.READ_STATUS)) & 1:
        pass
    assert status == 0
    return await port.read(Register.READ_LOW) | await port.read(Register.READ_HIGH) << 32


async def finished(port: AxiPort) -> None:
    """Nothing is left in any queue, and nothing more comes."""
    await port.wait(200)
    assert port.empty()


@cocotb.test()
async def outputs_and_counters(dut):
    """Samples back to back: the golden's outputs, one packet each, and counters through the read window."""
    port, driver, _, workload = await begin(dut)
    golden = json.loads((workload.folder / "golden.json").read_text())
    count = len(golden["sops"])
    await driver.load()
    await driver.start()
    for sample in workload.samples[:count]:
        driver.send_sample(sample)
    outputs = np.stack(await driver.collect(count, 50_000))
    np.testing.assert_array_equal(outputs, expected(workload)[:count])
    await driver.wait_for(RunState.WAITING)
    assert port.packets == [driver.readout_flits] * count
    assert await port.read(Register.SAMPLES) == count
    assert await port.read(Register.STRAY) == 0
    for counter, wanted in ((Counter.SOPS, sum(golden["sops"])), (Counter.SATURATIONS, sum(golden["saturations"]))):
        found = [await window(port, core, Memory.COUNTER, counter.value) for core in driver.config.cores]
        assert sum(found) == wanted, counter.name
    await finished(port)


@cocotb.test()
async def every_activation(dut):
    """Paused after every window, with samples waiting in the stream, and every activation read."""
    port, driver, _, workload = await begin(dut)
    result = await observe(driver, workload.samples[:1])
    wanted = np.load(workload.folder / "layers.npz", allow_pickle=False)
    for layer, found in result.activations.items():
        np.testing.assert_array_equal(found, wanted[layer][:1], err_msg=layer)
    np.testing.assert_array_equal(result.outputs, expected(workload)[:1])
    await finished(port)


@cocotb.test()
async def responses(dut):
    """Every register answers as described; what is not there, or not allowed, is an error and changes nothing."""
    port, _, image, _ = await begin(dut)
    entries = register_map(image.config)
    for entry in entries.values():
        read = await port.registers.read(entry.address, BYTES)
        assert read.resp == (AxiResp.OKAY if entry.access.readable else AxiResp.SLVERR), entry.name
        assert int.from_bytes(read.data, "little") == (entry.reset if entry.access.readable else 0), entry.name
    for entry in entries.values():
        if entry.register is Register.CONTROL:
            continue
        write = await port.registers.write(entry.address, b"\x03\0\0\0")
        assert write.resp == (AxiResp.OKAY if entry.access.writable else AxiResp.SLVERR), entry.name
        read = await port.registers.read(entry.address, BYTES)
        value = 3 & entry.mask if entry.access.writable else entry.reset
        if entry.register is Register.READ_STATUS:
            value = 2  # the tile that was just written to READ_TILE does not exist
        assert int.from_bytes(read.data, "little") == value, entry.name
    for address in range(max(entry.address for entry in entries.values()) + BYTES, 256, 28):
        assert (await port.registers.read(address, BYTES)).resp == AxiResp.DECERR
        assert (await port.registers.write(address, bytes(BYTES))).resp == AxiResp.DECERR
    address = Register.WATCHDOG.value * BYTES
    assert (await port.registers.write(address + 1, b"\xff\xff")).resp == AxiResp.SLVERR, "part of a register"
    assert await port.read(Register.WATCHDOG) == 3
    assert (await port.registers.write(address, b"\x01\x02\x03\x04")).resp == AxiResp.OKAY
    assert await port.read(Register.WATCHDOG) == 0x04030201
    await finished(port)


@cocotb.test()
async def many_accesses_at_once(dut):
    """Writes and reads overlap, and each gets its own answer."""
    port, _, _, _ = await begin(dut)
    values = {Register.WATCHDOG: 123456, Register.PROGRAM_CHECKSUM: 0xDEADBEEF, Register.SAMPLE_FLITS: 77}
    for round_ in range(10):
        writes = [cocotb.start_soon(port.write(register, value + round_)) for register, value in values.items()]
        reads = [cocotb.start_soon(port.read(Register.CONFIG_ID)) for _ in range(5)]
        for task in writes:
            await task
        assert len({await task for task in reads}) == 1
        for register, value in values.items():
            assert await port.read(register) == value + round_
    await finished(port)


async def good_run(driver: ChipDriver, workload: Workload) -> None:
    await driver.load()
    await driver.start()
    driver.send_sample(workload.samples[0])
    np.testing.assert_array_equal((await driver.collect(1, 50_000))[0], expected(workload)[0])
    await driver.wait_for(RunState.WAITING)


@cocotb.test()
async def words_cut_short(dut):
    """TLAST, or a byte that TKEEP leaves out, in the middle of a word: a status, an error, and a good run after."""
    port, driver, image, workload = await begin(dut)
    words = list(program_words(image))
    whole = words[0].to_bytes(port._in_bytes, "little")
    needed = driver.word_bits // 8
    holes = [1] * port._in_bytes
    holes[needed // 2] = 0
    for frame in (AxiStreamFrame(whole + whole[: needed - 1]), AxiStreamFrame(whole, tkeep=holes)):
        await port.write(Register.CONTROL, Control.LOAD.value)
        port.source.send_nowait(frame)
        with pytest.raises(ChipError, match=r"cut short: TLAST or a missing byte.*\[FRAMING\]"):
            await driver.wait_for(RunState.RUNNING)
        await good_run(driver, workload)
    if needed < port._in_bytes:  # bytes beyond the word do not matter
        await port.write(Register.CONTROL, Control.LOAD.value)
        port.source.send_nowait(AxiStreamFrame(whole[:needed]))
        await port.wait(200)
        assert await driver.check() == RunState.STOPPED
        assert await port.read(Register.LOADED_FLITS) == 1
    await finished(port)


@cocotb.test()
async def truncated_sample(dut):
    """TLAST ends a sample, whatever its length."""
    port, driver, image, workload = await begin(dut)
    await driver.load()
    await driver.start()
    core = next((c.y, c.x) for c in image.cores_of(INPUT))
    words = HostWords(image.config)
    port.send([*words.write(core, Memory.ACT, 0, 0, HostOp.SAMPLE), words.word(HostOp.SAMPLE_END)])
    with pytest.raises(ChipError, match=r"register SAMPLE_FLITS declares.*\[SAMPLE\]"):
        await driver.wait_for(RunState.RUNNING)
    await good_run(driver, workload)
    await finished(port)


@cocotb.test()
async def reset_passes_words_that_wait(dut):
    """A sample that waits for its turn does not hold up RESET, which forgets it."""
    port, driver, _, workload = await begin(dut)
    await driver.load()
    await driver.start()
    for sample in workload.samples:
        driver.send_sample(sample)
    port.sink.pause = True
    port.sink.clear_pause_generator()
    while await port.read(Register.WINDOWS) < 3:
        pass
    port.source.clear()
    await driver.reset()
    port.sink.pause = False
    assert await port.read(Register.LOADED_FLITS) == 0
    await port.wait(100)
    assert await driver.check() == RunState.STOPPED
    await good_run(driver, workload)
    await finished(port)


@cocotb.test()
async def a_response_stays_while_nobody_takes_it(dut):
    """Valid does not wait for ready, and neither it nor the data change before it."""
    port, _, _, _ = await begin(dut, stall=0.0)
    port.registers.read_if.r_channel.pause = True
    read = cocotb.start_soon(port.registers.read(Register.CONFIG_ID.value * BYTES, BYTES))
    seen = set()
    for cycle in range(40):
        await RisingEdge(dut.clk)
        if cycle > 20:
            seen.add((int(dut.s_axil_rvalid.value), int(dut.s_axil_rdata.value)))
    assert len(seen) == 1 and seen.pop()[0] == 1
    port.registers.read_if.r_channel.pause = False
    assert (await read).resp == AxiResp.OKAY
