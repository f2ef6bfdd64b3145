"""A chip as the gates that synthesis makes of it, ready for a simulator."""

from pathlib import Path

from hdl.chip import CHIP_MODULE, TILE_MODULE, chip_verilog
from hdl.config import ChipConfig

from .build import KEPT
from .cells import gate_level
from .yosys import synthesize

__all__ = ["chip_gates"]


def chip_gates(config: ChipConfig, folder: Path) -> str:
    """Verilog of ``config``'s chip in ECP5 cells, with the cells' models; the ports are the chip's.

    Core, router and host are synthesized apart, as for a board, and so is the tile, so that a simulator compiles it
    once. Intermediate files go to ``folder``. Takes minutes. Raises SdannError.
    """
    synthesis = synthesize(chip_verilog(config), CHIP_MODULE, folder=folder, keep=(*KEPT, TILE_MODULE))
    return gate_level(synthesis.verilog.read_text())
