"""What a core takes on an ECP5 and on an Artix-7: the table of docs/fpga.md. Synthesis only; some minutes.

Needs the packages of the extra `fpga`.

    python scripts/area_table.py [--lanes 8 16 32] [--artix-lanes 16]
"""

import argparse
import tempfile
from pathlib import Path

from hdl.config import preset
from hdl.core import Core
from hdl.verilog import convert
from sdann.fpga.yosys import Family, synthesize

TOP = "sdann_core"
DEVICES: dict[Family, str] = {"ecp5": "ECP5", "xilinx": "Artix-7"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, nargs="*", default=[8, 16, 32], help="cores for the ECP5")
    parser.add_argument("--artix-lanes", type=int, nargs="*", default=[16], help="cores for the Artix-7")
    arguments = parser.parse_args()
    print("| device | lanes | LUT | FF | block RAM | DSP |\n|---|---|---|---|---|---|")
    families: dict[Family, list[int]] = {"ecp5": arguments.lanes, "xilinx": arguments.artix_lanes}
    for family, all_lanes in families.items():
        for lanes in all_lanes:
            verilog = convert(Core(preset("ecp5_85k").replace(lanes=lanes)), TOP)
            with tempfile.TemporaryDirectory() as folder:
                cells = synthesize(verilog, TOP, folder=Path(folder), family=family).modules[TOP]
            row = [DEVICES[family], str(lanes), f"{cells.lut4:,}", f"{cells.ff:,}", f"{cells.ram:g}", str(cells.dsp)]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
