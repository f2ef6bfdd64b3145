"""The simulators that run a program, by name. All yield the same :class:`sim.result.RunResult`."""

from typing import Literal, get_args

__all__ = ["ABOUT", "CocotbSimulator", "SimulatorName", "simulators"]

CocotbSimulator = Literal["verilator", "icarus"]
"""Those that cocotb drives."""

SimulatorName = Literal["verilator", "icarus", "amaranth", "compiled", "tiles"]

ABOUT: dict[SimulatorName, str] = {
    "verilator": "the chip's Verilog, compiled, driven by cocotb",
    "icarus": "the chip's Verilog, event-driven and with unknowns, driven by cocotb",
    "amaranth": "the Amaranth description, in Python, for small meshes",
    "compiled": "the tile's and the host tile's Verilog, compiled once each, driven at native speed",
    "tiles": "no RTL: the tile model and the cycle model",
}


def simulators(*, rtl: bool = True) -> tuple[SimulatorName, ...]:
    """All names; ``rtl``: only those that run the RTL."""
    return tuple(name for name in get_args(SimulatorName) if not (rtl and name == "tiles"))
