"""One phase of the network, flit by flit. Of a cycle, only what may move is looked at: waiting for slow cores is free.

A cycle's decisions all follow from the registers at its begin, as on the chip: first every output and core that may
move looks at them, then what has moved changes the queues.
"""

import heapq
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sdann.mapper.image import Coordinate

from .mesh import CORE, Copies, Flit, Mesh

__all__ = ["Arrivals", "Receiver", "Sender", "run_traffic"]

Sender = Generator[tuple[int, Flit], int, int]
"""Yields (first cycle in which the flit stands at the router, flit), is sent the cycle in which the router took it, and
returns the first cycle in which nothing is left to send.
"""


class Receiver(Protocol):
    """A core's input."""

    def opens(self, now: int) -> int:
        """The first cycle from ``now`` on in which it takes the next flit."""

    def take(self, now: int, flit: Flit) -> None:
        """Takes ``flit`` in cycle ``now``."""


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """``empty``: the first cycle in which the network is empty again (0: nothing was sent). By sender, ``ended``: the
    first cycle in which it has nothing left; ``stalled``: cycles in which its output register waited.
    """

    empty: int
    ended: Mapping[Coordinate, int]
    stalled: Mapping[Coordinate, int]


def run_traffic(mesh: Mesh, senders: Mapping[Coordinate, Sender], receivers: Mapping[Coordinate, Receiver]) -> Arrivals:
    """Moves what ``senders`` send until ``mesh`` is empty. Tiles without a receiver take everything at once."""
    return _Traffic(mesh, senders, receivers).run()


@dataclass
class _Cycle:
    """What is to be looked at in a cycle: outputs, and tiles whose core offers a flit."""

    outputs: set[int] = field(default_factory=set)
    tiles: list[int] = field(default_factory=list)


Pushes = list[tuple[Flit, list[tuple[int, Copies]]]]
"""Flits that get into queues: into which, and their copies in each."""


class _Traffic:
    def __init__(
        self, mesh: Mesh, senders: Mapping[Coordinate, Sender], receivers: Mapping[Coordinate, Receiver]
    ) -> None:
        self.mesh = mesh
        self.senders = {mesh.tile(place): (place, sender) for place, sender in senders.items()}
        self.receivers = {mesh.tile(place): receiver for place, receiver in receivers.items()}
        outputs = len(mesh.sources)
        self.requests = [0] * outputs  # of queues' heads, a bit each
        self.held: list[Flit | None] = [None] * outputs  # the output registers
        self.waits = [False] * outputs  # is full, and looked at again when that may have changed
        self.crowded = [0] * len(mesh.inputs)  # full queues of each input
        self.due = [0] * len(mesh.stores)  # copies of each queue's head that are still to leave
        self.offered: dict[int, tuple[int, Flit]] = {}  # by tile: since when, what
        self.core_waits: set[int] = set()
        self.ended: dict[Coordinate, int] = {}
        self.stalled = dict.fromkeys(senders, 0)
        self.calendar: dict[int, _Cycle] = {}
        self.times: list[int] = []
        self.following: set[int] = set()  # outputs to be looked at in the next cycle

    def at(self, time: int) -> _Cycle:
        """The agenda of a cycle to come."""
        if time not in self.calendar:
            self.calendar[time] = _Cycle()
            heapq.heappush(self.times, time)
        return self.calendar[time]

    def run(self) -> Arrivals:
        """All cycles."""
        for tile, (_, sender) in self.senders.items():
            self.offer(tile, sender.__next__, 0)
        empty = 0
        while self.times:
            now = heapq.heappop(self.times)
            cycle = self.calendar.pop(now)
            self.following = set()
            pops, pushes = self.move_outputs(now, cycle.outputs)
            for tile in cycle.tiles:
                self.move_core(now, tile, pushes)
            self.settle(now, pops, pushes)
            if self.following:
                self.at(now + 1).outputs |= self.following
            if cycle.outputs or pushes:
                empty = now + 1
        return Arrivals(empty=empty, ended=self.ended, stalled=self.stalled)

    def offer(self, tile: int, following: Callable[[], tuple[int, Flit]], least: int) -> None:
        """A core's next flit, which ``following()`` gives. Where there is none, the core has ended, but not before
        ``least``.
        """
        try:
            self.offered[tile] = since, _ = following()
        except StopIteration as end:
            self.ended[self.senders[tile][0]] = max(end.value, least)
        else:
            self.at(since).tiles.append(tile)

    def move_outputs(self, now: int, outputs: set[int]) -> tuple[list[int], Pushes]:
        """Output registers that pass on what they hold, or take what a queue has for them.

        Returns the queues whose head has left, and what goes to which queues.
        """
        held, requests, last, crowded, due = self.held, self.requests, self.mesh.last, self.crowded, self.due
        stores, leads, sources, ways = self.mesh.stores, self.mesh.leads, self.mesh.sources, self.mesh.ways
        pops: list[int] = []
        pushes: Pushes = []
        for output in outputs:
            flit = held[output]
            if flit is not None:
                entry = leads[output]
                if entry == CORE:
                    if not self.deliver(now, output, flit):
                        continue
                else:
                    if crowded[entry]:
                        self.waits[output] = True  # until one of its queues is full no more
                        continue
                    way = ways[entry].get(flit.rectangle)
                    pushes.append((flit, self.mesh.way(entry, flit.rectangle) if way is None else way))
                self.waits[output] = False
            wanted = requests[output]
            if not wanted:
                held[output] = None
                continue
            after = last[output] + 1  # round robin: the first one after the latest, or the first one of all
            turn = wanted >> after << after or wanted
            turn &= -turn
            requests[output] = wanted ^ turn
            chosen = last[output] = turn.bit_length() - 1
            queue = sources[output][chosen]
            held[output] = stores[queue][0][0]
            due[queue] -= 1
            if not due[queue]:
                pops.append(queue)
            self.following.add(output)
        return pops, pushes

    def deliver(self, now: int, output: int, flit: Flit) -> bool:
        """Hands a flit to the core behind ``output``, if that is open."""
        receiver = self.receivers.get(output // 5)
        if receiver is not None:
            opens = receiver.opens(now)
            if opens > now:
                self.waits[output] = True
                self.at(opens).outputs.add(output)
                return False
            receiver.take(now, flit)
        return True

    def move_core(self, now: int, tile: int, pushes: Pushes) -> None:
        """A core hands its flit to the router, if that has room."""
        if self.crowded[5 * tile]:
            self.core_waits.add(tile)
            return
        since, flit = self.offered.pop(tile)
        place, sender = self.senders[tile]
        self.stalled[place] += now - since
        pushes.append((flit, self.mesh.way(5 * tile, flit.rectangle)))
        self.offer(tile, lambda: sender.send(now), now + 1)

    def settle(self, now: int, pops: list[int], pushes: Pushes) -> None:
        """The queues after this cycle; who waited for them looks again in the next one."""
        stores, depth, crowded, entries = self.mesh.stores, self.mesh.depth, self.crowded, self.mesh.entries
        waits, requests, following = self.waits, self.requests, self.following
        fresh: list[int] = []  # queues with another head
        for queue in pops:
            store = stores[queue]
            if len(store) == depth:
                crowded[entries[queue]] -= 1
                feeder = self.mesh.feeders[queue]
                if feeder >= 0:
                    if waits[feeder]:
                        following.add(feeder)
                elif -1 - feeder in self.core_waits:
                    self.core_waits.remove(-1 - feeder)
                    self.at(now + 1).tiles.append(-1 - feeder)
            store.popleft()
            if store:
                fresh.append(queue)
        for flit, way in pushes:
            for queue, copies in way:
                store = stores[queue]
                store.append((flit, copies))
                if len(store) == 1:
                    fresh.append(queue)
                elif len(store) == depth:
                    crowded[entries[queue]] += 1
        for queue in fresh:
            copies = stores[queue][0][1]
            self.due[queue] = len(copies)
            for output, bit in copies:
                requests[output] |= bit
                if not waits[output]:
                    following.add(output)
