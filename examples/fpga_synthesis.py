"""What a tile takes on an ECP5, by synthesis alone: `python examples/fpga_synthesis.py [LANES]...`.

Needs `pip install 'sdann[fpga]'`. The first run compiles the tools for this machine, which takes a minute. `sdann fpga`
goes on from here to a routed bitstream; docs/fpga.md has the figures of the board's preset.
"""

import sys
from pathlib import Path

import sdann
from hdl.chip import TILE_MODULE
from hdl.tile import Tile
from hdl.verilog import convert
from sdann.fpga.yosys import synthesize

small = sdann.preset("test")
print(f"{'lanes':>5} {'LUT4':>7} {'FF':>7} {'block RAM':>9} {'DSP':>4}")
for lanes in map(int, sys.argv[1:] or ["4"]):
    chip = small.replace(lanes=lanes)
    folder = Path(f"build/examples/fpga_synthesis/{lanes}")
    made = synthesize(convert(Tile(chip), TILE_MODULE), TILE_MODULE, folder=folder)
    cells = made.modules[TILE_MODULE]
    print(f"{lanes:>5} {cells.lut4:>7,} {cells.ff:>7,} {cells.ram:>9g} {cells.dsp:>4}")
