"""Where a core meets the network: when emission can hand over each bundle, and when accumulation can take one."""

from collections.abc import Sequence
from typing import NamedTuple

from sdann.mapper.image import Coordinate

from .mesh import Flit, Kind
from .program import REJECTED, UNREACHING, CoreProgram
from .timing import ADDING, CLOSED, EMIT_CHOOSES, EMIT_REFILLS, HOST_HOLDS, LOADING, RESPONDER_FILL, SETUP_STAGES
from .traffic import Sender

__all__ = ["Inlet", "Spiking", "chunks", "emission", "sample_words"]

LONG_AGO = -(1 << 60)
"""Before the command of a phase: a core that has no pass then is open, for the host's sample is on its way."""

VANISHES = {REJECTED: 1, UNREACHING: 3}
"""The last stage of address setup that a bundle without a job gets to (address.py, `keep`)."""


class Spiking(NamedTuple):
    """The words of one age that have spikes: their numbers, ascending, and set bits of each."""

    words: Sequence[int]
    bits: Sequence[int]


def emission(core: CoreProgram, ages: Sequence[Spiking | None]) -> Sender:
    """Bundles of one step (hdl/core/emit.py). None: an age without a valid sample.

    A word stands in a register (``read``: the first cycle), then its mask does (``mask``, until ``leave``), and where
    there are spikes, its routes are scanned one a cycle (``scan``, until ``done``), each when the output register is
    free.
    """
    read = mask = leave = done = free = 0
    choosing, steps = EMIT_CHOOSES, max(1, core.routes)
    for age, spiking in enumerate(ages):
        if spiking is None:
            choosing += 1
            continue
        read = max(choosing + 2, mask)  # after `walking`
        mask = max(read + 1, leave)
        leave, at = mask + 1, 0
        for word, bits in zip(spiking.words, spiking.bits, strict=True):
            read, mask = _walk(read, mask, leave, word - at)
            scan = max(mask, done) + 1
            leave = scan if mask > done else scan + EMIT_REFILLS
            at = word
            step, due = max(scan, free), 0  # when route number `due` is compared
            done = step + steps - 1
            for route, rectangle, targets in core.matches[age][word]:
                step += route - due
                done, due = step, route + 1
                step = free = yield step + 1, Flit(rectangle, Kind.SPIKE, bits, targets)
            if 0 < due < steps:
                done = step + steps - due - 1
        rest = core.out_words - 1 - at
        read, mask = _walk(read, mask, leave, rest)
        leave = leave if rest == 0 else mask + 1
        choosing = read
    return max(choosing + 1, leave, done + 1)


def _walk(read: int, mask: int, leave: int, words: int) -> tuple[int, int]:
    """When the word that many words further is read and cut out; those between have no spikes."""
    if words == 0:
        return read, mask
    return (mask, leave) if words == 1 else (leave + words - 2, leave + words - 1)


def chunks(flit: Flit, count: int, start: int) -> Sender:
    """A read-out or partial sums, begun in cycle ``start``: a flit a cycle through the responder and the register."""
    sent, free = start + RESPONDER_FILL, 0
    for _ in range(count):
        sent = max(sent, free)
        free = yield sent + 1, flit
        sent += 1
    return free


def sample_words(flits: Sequence[tuple[Flit, int]], start: int) -> Sender:
    """A sample's flits, each so many times, one a cycle: from cycle ``start`` on the bridge has them for the register
    before its router.
    """
    at = start + HOST_HOLDS
    for flit, count in flits:
        for _ in range(count):
            at = 1 + (yield at, flit)
    return at


class Inlet:
    """The input of the core ``at`` in one phase: two registers, address setup and accumulation.

    ``passes``: cycles from the command on until no pass is under way, 0 if there is none. ``quiet``: the first cycle in
    which nothing of what it took is under way. ``visits``: of the accumulator, so far.
    """

    __slots__ = ("_at", "_drain", "_leave", "_opens", "_ports", "_taken", "quiet", "visits")

    def __init__(self, at: Coordinate, *, passes: int, drain: int, ports: int) -> None:
        self._opens, self.quiet, self.visits = passes + CLOSED if passes else LONG_AGO, 0, 0
        self._at, self._drain, self._ports = at, drain, ports
        self._taken = LONG_AGO  # when the flit before left the first register
        self._leave = [0] * (SETUP_STAGES + 2)  # when the bundle before left each stage; the last: the accumulator

    def opens(self, now: int) -> int:
        """As :class:`sdann.cycles.traffic.Receiver` says. Right after the command it is closed."""
        opens = max(now, self._opens)
        return CLOSED + 1 if 0 < opens <= CLOSED else opens

    def take(self, now: int, flit: Flit) -> None:
        """``flit`` is handed over in cycle ``now``, in which it is open."""
        held = max(now, self._taken) + 1
        self._opens = held  # a second flit waits in the spare register until the first one leaves
        if flit.kind is not Kind.SPIKE:
            self._taken = held
            self.quiet = max(self.quiet, held + (ADDING if flit.kind is Kind.PARTIAL else LOADING))
            return
        offsets, depthwise, _ = flit.targets[self._at]
        leave, enter = self._leave, held
        for stage in range(1, VANISHES.get(offsets, SETUP_STAGES) + 2):  # a stage moves if the next one does
            enter += 1
            if leave[stage] > enter:
                enter = leave[stage]
            leave[stage - 1] = enter
        self._taken = leave[0] - 1
        if offsets > 0:
            visits = offsets if depthwise else offsets * -(-flit.spikes // self._ports)
            self.visits += visits
            leave[SETUP_STAGES + 1] = enter + visits
            enter += visits + self._drain
        if enter > self.quiet:
            self.quiet = enter
