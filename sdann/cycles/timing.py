"""How many cycles what takes, read off the RTL: each constant says which registers it counts.

Cycle 0 of a phase is the one in which the cores see its command. All times are counted from there.
"""

from dataclasses import dataclass

from hdl.barrier import levels_for
from hdl.config import ChipConfig
from hdl.neuron import ADDEND_AT, MEMBRANE_AT, VALUE_AT

__all__ = [
    "ADDING", "EMIT_CHOOSES", "EMIT_LEAST", "HOP", "HOST_ENDS", "LOADING", "PASS_DRAIN", "PASS_STARTS", "POOL_DRAIN",
    "RESPONDER_FILL", "SETUP_STAGES", "WINDOW_START", "Barrier", "drain_of",
]  # fmt: skip

PASS_STARTS = 1
"""The command sets `todo` (hdl/core/core.py); a pass starts in the cycle after it."""

PASS_DRAIN = VALUE_AT + 3
"""Of a membrane pass beside a cycle per sub-word: from start to `walking` one, and its pipeline's places that follow
the first one (hdl/core/membrane.py, `stage`), for every kind of pass."""

POOL_DRAIN = 6
"""Of pooling beside a cycle per neuron of a window: from start to `walking`, and five places of `stage` (pool.py)."""

EMIT_CHOOSES = 2
"""`emit_wanted` (core.py), then `choosing` (hdl/core/emit.py): the cycle in which the first age is looked at."""

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

HOST_ENDS = 1
"""After a sample's last flit: the word SAMPLE_END, which sets `sample_pending` (hdl/bridge.py)."""

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
