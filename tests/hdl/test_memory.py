"""The memories in Amaranth's simulator and their Verilog modules in Icarus: both against a plain list."""

import random
import subprocess

import pytest
from amaranth.sim import Simulator

from hdl.memory import Ram, RamTwoRead
from hdl.verilog import convert
from sim.toolchain import find_icarus

WIDTH, DEPTH, PARTS = 12, 5, 3
PORTS = {
    "ram": {"w_en": PARTS, "w_addr": 3, "w_data": WIDTH, "r_en": 1, "r_addr": 3},
    "ram_2r": {"w_en": 1, "w_data": WIDTH, "a_en": 1, "a_addr": 3, "b_en": 1, "b_addr": 3},
}
OUTPUTS = {"ram": ["r_data"], "ram_2r": ["a_data", "b_data"]}
Read = tuple[int, int]  # bits as they were before any write in the same cycle; which of them are unknown


def make(kind: str):
    return Ram(shape=WIDTH, depth=DEPTH, parts=PARTS) if kind == "ram" else RamTwoRead(shape=WIDTH, depth=DEPTH)


def traffic(kind: str, seed: int, cycles: int = 200) -> list[dict[str, int]]:
    """Inputs per cycle; the first cycles write every word once, the next one reads."""
    rng = random.Random(seed)
    values = lambda: {  # noqa: E731
        name: rng.randrange(DEPTH if name.endswith("addr") else 1 << width) for name, width in PORTS[kind].items()
    }
    wholly = {"w_en": (1 << PORTS[kind]["w_en"]) - 1}
    fill = [values() | wholly | {"w_addr" if kind == "ram" else "a_addr": word} for word in range(DEPTH)]
    reads = dict.fromkeys({"r_en", "a_en", "b_en"} & set(PORTS[kind]), 1)
    first = values() | {"w_en": 0} | reads
    return [*fill, first, *(values() for _ in range(cycles))]


def expected(kind: str, cycles: list[dict[str, int]]) -> list[list[Read]]:
    """What each output shows at the end of each cycle (before its clock edge) once all have read."""
    words, shown, seen = [0] * DEPTH, dict.fromkeys(OUTPUTS[kind], (0, 0)), []
    for number, c in enumerate(cycles):
        if number > DEPTH:
            seen.append(list(shown.values()))
        where, width = (c["w_addr"], WIDTH // PARTS) if kind == "ram" else (c["a_addr"], WIDTH)
        parts = range(WIDTH // width)
        written = sum(((1 << width) - 1) << (width * part) for part in parts if c["w_en"] >> part & 1)
        for name in shown:
            port = name[0]
            if c[f"{port}_en"] and not (port == "a" and c["w_en"]):
                address = c[f"{port}_addr"]
                shown[name] = (words[address], written if address == where else 0)
        words[where] = words[where] & ~written | c["w_data"] & written
    return seen


def in_amaranth(kind: str, cycles) -> list[list[int]]:
    seen, ram = [], make(kind)

    async def testbench(ctx):
        for number, values in enumerate(cycles):
            for name, value in values.items():
                ctx.set(getattr(ram, name), value)
            await ctx.delay(1e-7)
            if number > DEPTH:
                seen.append([ctx.get(getattr(ram, name)) for name in OUTPUTS[kind]])
            await ctx.tick()

    simulator = Simulator(ram)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return seen


def in_icarus(kind: str, cycles, folder) -> list[list[str]]:
    show = f'$display("{" ".join("%b" for _ in OUTPUTS[kind])}", {", ".join(OUTPUTS[kind])});'
    steps = "\n".join(
        " ".join(f"{name}={value};" for name, value in c.items()) + f" #1 {show} #4 clk=1; #5 clk=0;" for c in cycles
    )
    inputs = " ".join(f"reg [{width - 1}:0] {name};" for name, width in PORTS[kind].items())
    wires = " ".join(f"wire [{WIDTH - 1}:0] {name};" for name in OUTPUTS[kind])
    pins = ", ".join(f".{name}({name})" for name in ("clk", *PORTS[kind], *OUTPUTS[kind]))
    bench = f"""
    module bench;
      reg clk = 0; {inputs} {wires}
      dut dut({pins});
      initial begin {steps} $finish; end
    endmodule"""
    (folder / "ram.v").write_text(convert(make(kind), "dut") + bench)
    subprocess.run([find_icarus(), "-g2012", "-s", "bench", "-o", folder / "ram.vvp", folder / "ram.v"], check=True)
    done = subprocess.run(["vvp", "-N", folder / "ram.vvp"], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines() if "$finish" not in line]
    return lines[DEPTH + 1 :]


def text(bits: int, unknown: int) -> str:
    return "".join("x" if unknown >> n & 1 else str(bits >> n & 1) for n in reversed(range(WIDTH)))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", PORTS)
def test_both_forms_are_the_list(kind, seed, tmp_path):
    cycles = traffic(kind, seed)
    wanted = expected(kind, cycles)
    assert (
        any(unknown for row in wanted for _, unknown in row) and len({bits for row in wanted for bits, _ in row}) > 10
    )
    assert in_amaranth(kind, cycles) == [[bits ^ unknown for bits, unknown in row] for row in wanted]
    shown = [[text(*read) for read in row] for row in wanted]
    assert in_icarus(kind, cycles, tmp_path) == shown


def test_parts_must_divide():
    with pytest.raises(ValueError, match="12 bits"):
        Ram(shape=12, depth=4, parts=5)
