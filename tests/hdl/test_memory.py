"""The memory in Amaranth's simulator and its Verilog module in Icarus: both against a plain list."""

import random
import subprocess

import pytest
from amaranth.sim import Simulator

from hdl.memory import Ram
from hdl.verilog import convert
from sim.toolchain import find_icarus

WIDTH, DEPTH, PARTS = 12, 5, 3


def traffic(seed: int, cycles: int = 200) -> list[tuple[int, int, int, int, int]]:
    """(w_en, w_addr, w_data, r_en, r_addr) per cycle; the first cycles write every word once."""
    rng = random.Random(seed)
    fill = [(7, address, rng.randrange(1 << WIDTH), 1, 0) for address in range(DEPTH)]
    return fill + [
        (rng.randrange(8), rng.randrange(DEPTH), rng.randrange(1 << WIDTH), rng.randrange(2), rng.randrange(DEPTH))
        for _ in range(cycles)
    ]


def expected(cycles) -> list[int]:
    """What the read port shows at the end of each cycle (before its clock edge) once all words are written."""
    words, read, seen = [0] * DEPTH, 0, []
    for number, (w_en, w_addr, w_data, r_en, r_addr) in enumerate(cycles):
        if number > DEPTH:
            seen.append(read)
        if r_en:
            read = words[r_addr]
        for part in range(PARTS):
            if w_en >> part & 1:
                mask = 0xF << (4 * part)
                words[w_addr] = words[w_addr] & ~mask | w_data & mask
    return seen


def in_amaranth(cycles, ram) -> list[int]:
    seen = []

    async def testbench(ctx):
        for number, values in enumerate(cycles):
            for name, value in zip(("w_en", "w_addr", "w_data", "r_en", "r_addr"), values, strict=True):
                ctx.set(getattr(ram, name), value)
            await ctx.delay(1e-7)
            if number > DEPTH:
                seen.append(ctx.get(ram.r_data))
            await ctx.tick()

    simulator = Simulator(ram)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return seen


def in_icarus(cycles, ram, folder) -> list[int]:
    steps = "\n".join(
        f'w_en={a}; w_addr={b}; w_data={c}; r_en={d}; r_addr={e}; #1 $display("%0d", r_data); #4 clk=1; #5 clk=0;'
        for a, b, c, d, e in cycles
    )
    bench = f"""
    module bench;
      reg clk = 0; reg [2:0] w_en; reg [2:0] w_addr, r_addr; reg [11:0] w_data; reg r_en; wire [11:0] r_data;
      dut dut(.clk(clk), .w_en(w_en), .w_addr(w_addr), .w_data(w_data), .r_en(r_en), .r_addr(r_addr), .r_data(r_data));
      initial begin {steps} $finish; end
    endmodule"""
    (folder / "ram.v").write_text(convert(ram, "dut") + bench)
    subprocess.run([find_icarus(), "-g2012", "-s", "bench", "-o", folder / "ram.vvp", folder / "ram.v"], check=True)
    done = subprocess.run(["vvp", "-N", folder / "ram.vvp"], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if "$finish" not in line]
    return [int(line) for line in lines[DEPTH + 1 :]]


@pytest.mark.parametrize("seed", [1, 2])
def test_both_forms_are_the_list(seed, tmp_path):
    cycles = traffic(seed)
    wanted = expected(cycles)
    assert len(set(wanted)) > 10
    assert in_amaranth(cycles, Ram(shape=WIDTH, depth=DEPTH, parts=PARTS)) == wanted
    assert in_icarus(cycles, Ram(shape=WIDTH, depth=DEPTH, parts=PARTS), tmp_path) == wanted


def test_parts_must_divide():
    with pytest.raises(ValueError, match="12 bits"):
        Ram(shape=12, depth=4, parts=5)
