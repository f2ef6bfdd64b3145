"""A chip on the ULX3S-85F: Verilog, synthesis, place and route, bitstream, with the figures of each part."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hdl.board.ulx3s import ULX3S_MODULE, clock_mhz, constraints, ulx3s_verilog
from hdl.chip import CHIP_MODULE, TILE_MODULE
from hdl.config import ChipConfig
from sdann.errors import SdannError

from .floorplan import arrange
from .nextpnr import Routed, bitstream, place_and_route
from .replicate import replicate
from .yosys import Cells, Synthesis, synthesize

__all__ = ["CORE", "KEPT", "ROUTER", "FpgaBuild", "build"]

CORE, ROUTER = f"{TILE_MODULE}.neurons", f"{TILE_MODULE}.router"
KEPT = (CORE, ROUTER, f"{CHIP_MODULE}.host", f"{CHIP_MODULE}.host.router", f"{CORE}.setup.stalls")
"""Modules that synthesis keeps apart: smaller or less deep than flattened together; each has its own figures."""


AIM = 1.125
"""The clock that a layout is made for, over the one that it must reach. Asked for no more than that, nextpnr takes its
time: of one netlist it made 72 MHz where it was to make 80, and 84 where it was to make 90."""


@dataclass(frozen=True, kw_only=True)
class FpgaBuild:
    """``modules``: cells by module, :data:`ULX3S_MODULE` being all. ``target_mhz``: the clock that the PLL makes."""

    config: ChipConfig
    modules: dict[str, Cells]
    routed: Routed
    target_mhz: float
    bitstream: Path


def build(
    config: ChipConfig,
    out: Path,
    *,
    mhz: float = 100.0,
    folder: Path,
    attempts: int = 3,
    seed: int = 1,
    step: Callable[[str], None] = lambda name: None,
) -> FpgaBuild:
    """Makes the bitstream ``out`` of ``config`` for a ULX3S-85F; intermediate files go to ``folder``.

    ``mhz``: the wanted clock; the board's is the nearest one not above it. ``attempts``: placements to try until it is
    reached. A design that misses its clock is an error, and no bitstream is left. ``step`` is called with the name of
    each step. Raises SdannError.
    """
    out.unlink(missing_ok=True)
    target = clock_mhz(mhz)
    step("Verilog")
    verilog = ulx3s_verilog(config, mhz=mhz)
    step("synthesis")
    synthesis = synthesize(verilog, ULX3S_MODULE, folder=folder, keep=KEPT)
    check_fits(synthesis)
    step("place and route")
    replicate(synthesis.netlist, ULX3S_MODULE)
    arrange(synthesis.netlist, ULX3S_MODULE)
    routed = place_and_route(
        synthesis.netlist, constraints=constraints(AIM * target), mhz=target, seed=seed, attempts=attempts
    )
    if routed.mhz < target:
        path = "\n".join(routed.critical)
        raise SdannError(
            f"the design reaches {routed.mhz} MHz, its clock is {target:g} MHz; ask for a lower one with --mhz, or try "
            f"more placements with --attempts. The longest path:\n{path}"
        )
    step("bitstream")
    bitstream(routed.config, out)
    return FpgaBuild(config=config, modules=synthesis.modules, routed=routed, target_mhz=target, bitstream=out)


ECP5_85F = Cells(lut4=83_640, ff=83_640, ram=208, dsp=156)
"""What the device has."""


def check_fits(synthesis: Synthesis) -> None:
    """Raises SdannError that names the resource of which the device has too little."""
    used = synthesis.modules[ULX3S_MODULE]
    for name in ("lut4", "ff", "ram", "dsp"):
        if (need := getattr(used, name)) > (have := getattr(ECP5_85F, name)):
            raise SdannError(
                f"the design takes {need:g} of the ECP5-85F's {have:g} {name}; choose fewer tiles or smaller "
                f"memories with --set"
            )
