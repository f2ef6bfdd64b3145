"""The barrier of the whole chip: its real sequencer, trees, rows and wiring, with tiles that do anything a tile may do.

Work begins in tiles that a command reaches, one cycle later, and goes on only where there was some in the cycle before
(a flit that travels is always in one tile or the next, see :mod:`sim.formal.router` and :mod:`sim.formal.mesh`). A
tile with work is not idle. The same holds for what the host sends, which it may do when the bridge lets it.
"""

from functools import partial
from typing import Any
from unittest.mock import patch

from amaranth.hdl import Cat, Fragment, Module, Mux, Signal, Value

import hdl.chip
import hdl.row
from hdl.barrier import QuiescenceTree, levels_for
from hdl.chip import Chip
from hdl.config import ChipConfig, preset
from hdl.host import Command, RunState
from hdl.host_tile import HostTile
from hdl.sequencer import Phase, Sequencer
from hdl.tile import Tile

from .engine import Harness, Proof
from .parts import collect

__all__ = ["PROOFS", "Lockstep"]


_PHASES = {
    RunState.CLEARING: (Phase.CLEAR, Phase.CHECK, Phase.CLEARED),
    RunState.WAITING: (Phase.WAIT, Phase.ARRIVED),
    RunState.RUNNING: (Phase.WINDOW, Phase.FIRST, Phase.BARRIER, Phase.RESUMED),
    RunState.PAUSED: (Phase.PAUSED,),
}
"""What the host sees, by phase."""


class AnyTile(Tile):
    """In place of a core tile: its flag is driven from outside, its command seen from there."""

    def __init__(self, config: ChipConfig) -> None:
        super().__init__(config)
        self.quiet = Signal()

    def elaborate(self, platform: object) -> Module:
        """One wire."""
        m = Module()
        m.d.comb += self.idle.eq(self.quiet)
        return m


class AnyHost(HostTile):
    """In place of the host tile: the real sequencer; bridge and router are outside."""

    def __init__(self, config: ChipConfig, *, round_trip: int, sequencer: type[Sequencer]) -> None:
        super().__init__(config, round_trip=round_trip)
        self.quiet = Signal()
        self.sequencer = sequencer(config, round_trip=round_trip)

    def elaborate(self, platform: object) -> Module:
        """The sequencer between the trees."""
        m = Module()
        m.submodules.sequencer = sequencer = self.sequencer
        m.d.comb += [
            self.idle.eq(self.quiet), sequencer.quiescent.eq(self.quiescent), self.command.eq(sequencer.command),
        ]  # fmt: skip
        return m


class Lockstep(Harness):
    """Whatever host and tiles do: a command leaves only when all work of those before is done, and reaches all tiles in
    the same cycle.

    ``early``: cycles by which the blanking is shorter than the chip's (to see how much it needs).
    """

    def __init__(
        self, *, config: ChipConfig, sequencer: type[Sequencer] = Sequencer,
        tree: type[QuiescenceTree] = QuiescenceTree, early: int = 0,
    ) -> None:  # fmt: skip
        self.config = config
        tiles: list[Any] = []
        hosts: list[AnyHost] = []

        def any_host(config: ChipConfig, *, round_trip: int) -> AnyHost:
            return AnyHost(config, round_trip=round_trip - early, sequencer=sequencer)

        with (
            patch.object(hdl.row, "Tile", collect(tiles, AnyTile)),
            patch.object(hdl.chip, "HostTile", collect(hosts, any_host)),
            patch.object(hdl.chip, "QuiescenceTree", tree),
            patch.object(hdl.row, "QuiescenceTree", tree),
        ):
            self.chip = Fragment.get(Chip(config), None)  # wires the parts above as it would its own
        (self.host,) = hosts
        self.tiles = [self.host, *tiles]
        count = len(self.tiles)
        free = dict.fromkeys(("works", "visits", "brings", "busy"), count)
        inputs = ("set", "set_valid", "readout_free", "readout_missing", "stray", "refusal", "complaint")
        self.sequencer_inputs = {name: Value.cast(getattr(self.host.sequencer, name)) for name in inputs}
        super().__init__(
            free | {"send_flit": 1, "send_sample": 1, "sample_ends": 1}
            | {name: len(value) for name, value in self.sequencer_inputs.items()}
        )  # fmt: skip

    def statements(self, m: Module) -> None:
        """See :class:`Lockstep`."""
        m.submodules.chip = self.chip
        sequencer, host, tiles = self.host.sequencer, self.host, self.tiles
        m.d.comb += [value.eq(getattr(self, name)) for name, value in self.sequencer_inputs.items()]
        state, issued = sequencer.state, Signal()
        m.d.comb += issued.eq(sequencer.command.op != Command.NONE)
        # What the bridge lets the host do.
        pending = sequencer.sample_pending
        stopped = (state == RunState.STOPPED) | (state == RunState.FAILED)
        sends_flit, sends_sample = Signal(), Signal()
        with m.If(sequencer.fresh | stopped | sequencer.sample_take):
            m.d.sync += pending.eq(0)
        with m.Elif(self.sample_ends & sequencer.sample_open):
            m.d.sync += pending.eq(1)
        m.d.comb += [
            sends_sample.eq(self.send_sample & sequencer.sample_open & ~pending),
            sends_flit.eq(
                self.send_flit & (state != RunState.RUNNING) & (state != RunState.CLEARING)
                & ((state != RunState.WAITING) | ~pending)
            ),
        ]  # fmt: skip
        # What tiles do: work of commands, flits of the host, flits of the host's samples.
        work, visit, sample = (Signal(len(tiles), name=name) for name in ("work", "visit", "sample"))
        arrives = Cat(tile.command.op != Command.NONE for tile in tiles if tile is not host)
        m.d.sync += [
            work.eq(Mux(work.any() | arrives.any(), self.works, 0)),
            visit.eq(Mux(visit.any() | sends_flit, self.visits, 0)),
            sample.eq(Mux(sample.any() | sends_sample, self.brings, 0)),
        ]  # fmt: skip
        for number, tile in enumerate(tiles):
            offers = (sends_flit | sends_sample) if tile is host else 0
            m.d.comb += tile.quiet.eq(~(work | visit | sample | self.busy)[number] & ~offers)
        # Where a command is on its way to the tiles.
        way = Signal(levels_for(self.config.rows, 4) + levels_for(self.config.cols, 4) + 1)
        m.d.sync += way.eq(Cat(issued, way))
        self.claim(m, "commands_reach_all_tiles_at_once", arrives == (way[-2]).replicate(len(arrives)))
        self.claim(m, "commands_come_when_work_is_done", ~issued | ~(work.any() | way.any()))
        self.claim(m, "commands_come_when_flits_have_arrived", ~issued | ~visit.any())
        begins = (sequencer.command.op == Command.CLEAR) | (sequencer.command.op == Command.LOAD)
        self.claim(m, "runs_begin_when_samples_have_arrived", ~begins | ~sample.any())
        step = (sequencer.command.op == Command.STEP) & sequencer.command.first & sequencer.command.valid[0]
        self.claim(m, "windows_begin_with_a_whole_sample", ~step | ~sample.any())
        self.claim(m, "next_sample_waits_until_all_know", ~sequencer.sample_take | ~way.any())
        # Invariants.
        phase, sample_in = sequencer.phase, sequencer.sample_in
        for run, phases in _PHASES.items():
            self.claim(m, "state_fits_phase", ~Cat(phase == one for one in phases).any() | (state == run))
        between = (phase == Phase.WINDOW) | (phase == Phase.FIRST)
        self.claim(m, "quiet_between_windows", ~between | ~(work.any() | visit.any() | way.any()))
        self.claim(m, "whole_sample_waits", ~(sample_in | (phase == Phase.ARRIVED)) | pending)
        self.claim(m, "samples_are_for_runs", ~sample_in | (state == RunState.RUNNING) | (state == RunState.PAUSED))
        self.claim(m, "whole_sample_has_arrived", ~(sample_in & (phase == Phase.WINDOW)) | ~sample.any())
        self.claim(m, "one_sample_a_window", ~(sample_in & sequencer.taking) | (phase == Phase.FIRST))
        # "Taking" lasts for the blanking after a step.
        trip = sequencer.round_trip
        since = Signal(range(trip + 1), init=trip)
        m.d.sync += since.eq(Mux(issued, 0, Mux(since == trip, trip, since + 1)))
        fits = (phase == Phase.FIRST) | (phase == Phase.STOPPED)
        fits |= (phase == Phase.BARRIER) & (issued | (since < trip - 1))
        self.claim(m, "taking_fits_phase", ~sequencer.taking | fits)
        worked = Signal()
        m.d.sync += worked.eq((worked | work.any()) & ~issued)
        m.d.comb += self.reached.eq((sequencer.command.op == Command.REQUANT) & worked)


PROOFS = [
    Proof(
        name=f"lockstep_{rows}x{cols}", make=partial(Lockstep, config=preset("test").replace(rows=rows, cols=cols)),
        states=f"on {rows} x {cols} tiles, no step or phase begins before every tile has seen the last command and "
        "is idle, nor a window before its sample is whole",
        method="induction", depth=depth, reach=reach, long=True,
    )
    for rows, cols, depth, reach in ((2, 3, 12, 60), (3, 1, 12, 60), (5, 5, 16, 90))
]  # fmt: skip
