"""cocotb bench: hosts that send bad programs. After each the chip must run a good one."""

import cocotb
from host_harness import SETTINGS, begin

from hdl.host import PROGRAM_VERSION, Control, HostOp, Register
from hdl.pack import fields, pack
from hdl.program import Memory
from sim.program import checksum, program_words


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
