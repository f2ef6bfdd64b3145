"""What a verification can do with the RTL, by name. Imports nothing, so that the command line starts at once."""

from typing import Final, Literal

from sim.simulators import SimulatorName, simulators

__all__ = ["ALONE", "Simulation", "simulations"]

ALONE: Final = "tile"
"""In place of a simulator of the chip: each tile alone on the RTL, see :mod:`sim.tile_mode`."""

Simulation = SimulatorName | Literal["tile"]


def simulations() -> tuple[str, ...]:
    """What :func:`sdann.verification.verify` can do with the RTL: simulators of the chip, and :data:`ALONE`."""
    return (*simulators(rtl=False), ALONE)
