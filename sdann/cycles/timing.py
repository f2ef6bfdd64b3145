"""How many cycles what takes, read off the RTL: each constant says which registers it counts.

Cycle 0 of a phase is the one in which the cores see its command. All times are counted from there.
"""

from dataclasses import dataclass

from hdl.barrier import levels_for
from hdl.config import ChipConfig
from hdl.neuron import ADDEND_AT, MEMBRANE_AT, VALUE_AT

__all__ = [
    "ADDING", "CLOSED", "EMIT_CHOOSES", "EMIT_LEAST", "EMIT_REFILLS", "HOP", "HOST_ENDS", "HOST_HOLDS", "LOADING",
    "PASS_DRAIN", "PASS_STARTS", "POOL_DRAIN", "RESPONDER_FILL", "SETUP_STAGES", "WINDOW_START", "Barrier", "drain_of",
]  # fmt: skip

PASS_STARTS = 1
"""The command sets `todo` (hdl/core/core.py); a pass starts in the cycle after it. What it looks at, `was_quiet`, tells
of the command's cycle, in which a core with a pass is always quiet."""

CLOSED = 1
"""A core's `ready` hangs on a register (core.py, `closed`): the core takes nothing in the cycle after a command, nor in
the first one without a pass."""

PASS_DRAIN = VALUE_AT + 3
"""Of a membrane pass beside a cycle per sub-word: from start to `walking` one, and its pipeline's places that follow
the first one (hdl/core/membrane.py, `stage`), for every kind of pass."""

POOL_DRAIN = 6
"""Of pooling beside a cycle per neuron of a window: from start to `walking`, and five places of `stage` (pool.py)."""

EMIT_CHOOSES = 2
"""`emit_wanted` (core.py), then `choosing` (hdl/core/emit.py): the cycle in which the first age is looked at."""

EMIT_REFILLS = 1
"""For so many cycles no word is in `mask` after one that left it for the scan just when that was done with the word
before (emit.py, `mask_ready`): the next one moves up as soon as `mask_valid` is off."""

EMIT_LEAST = EMIT_CHOOSES + 2
"""At least so many cycles, and one for each word, has a core emission under way: `choosing`, `walking`."""

RESPONDER_FILL = 5
"""From what starts a read-out or partial sums to the first flit at `o`: the request's register, the task's, and three
places of `stage` (hdl/core/respond.py)."""

SETUP_STAGES = 6
"""Places of address setup (hdl/core/address.py)."""

HOP = 2
"""A router's queue and its output register (hdl/router.py)."""

LOADING = 2
"""From the cycle in which a chunk leaves the core's input register until its word is written (load.py, `en`)."""

ADDING = LOADING + MEMBRANE_AT - ADDEND_AT + 1
"""The same for partial sums, which pass the membrane pipeline from the addend on (membrane.py, `sums`)."""

HOST_HOLDS = 1
"""The register between the bridge and the router of the host tile (hdl/host_tile.py, `held`)."""

HOST_ENDS = 1
"""After a sample's last flit has left the bridge: the word SAMPLE_END, which sets `sample_pending` (hdl/bridge.py)."""

WINDOW_START = 1
"""Phase FIRST of the sequencer, which register CYCLES counts; phase WINDOW before it is not counted."""


def drain_of(config: ChipConfig) -> int:
    """Cycles from the one after the accumulator's last visit until it is not busy: places of `stage` (accumulate.py)
    after the first; with two weight ports their sum takes one more.
    """
    return 8 if config.weight_ports == 2 else 7


@dataclass(frozen=True)
class Barrier:
    """What a phase takes beside the cores' work.

    ``latency``: of broadcast and quiescence tree together. ``down``: of the broadcast tree. ``round_trip``: blanking,
    as in hdl/chip.py: the trees, the command's register, the core's reaction, and one as a margin.
    """

    latency: int
    down: int
    round_trip: int

    @classmethod
    def of(cls, config: ChipConfig) -> "Barrier":
        """Of a chip: both trees have a level set over the rows, and one over the columns of each row."""
        down = levels_for(config.rows, 4) + levels_for(config.cols, 4)
        return cls(latency=2 * down, down=down, round_trip=2 * down + 3)

    def phase(self, quiet: int) -> int:
        """Cycles from one command to the next, if ``quiet`` is the first cycle in which all tiles are idle."""
        return max(self.round_trip, quiet + self.latency) + 1

    def sampled(self, quiet: int) -> int:
        """The cycle whose idle flags end the phase; ``quiet`` as above."""
        return max(self.round_trip - self.latency, quiet)
