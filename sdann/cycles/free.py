"""The network as if nothing ever waited in it: queues without end, links for any number of flits."""

from collections.abc import Mapping
from operator import itemgetter

from sdann.mapper.image import Coordinate
from sdann.mesh_model import deliver

from .mesh import Flit, Mesh
from .timing import HOP
from .traffic import Arrivals, Receiver, Sender

__all__ = ["run_free"]


def run_free(mesh: Mesh, senders: Mapping[Coordinate, Sender], receivers: Mapping[Coordinate, Receiver]) -> Arrivals:
    """As :func:`sdann.cycles.traffic.run_traffic`, but no flit waits for another one before it is at its core.

    So nothing ends later than on the chip, as far as cores take their bundles in the order of their arrival.
    """
    coming: dict[Coordinate, list[tuple[int, Flit]]] = {}
    ended: dict[Coordinate, int] = {}
    for source, sender in senders.items():
        taken = 0
        try:
            since, flit = next(sender)
            while True:
                taken = since
                way = deliver(mesh.rows, mesh.cols, source, flit.rectangle)
                for tile in way.tiles if way else ():
                    hops = abs(tile[0] - source[0]) + abs(tile[1] - source[1])
                    coming.setdefault(tile, []).append((taken + (hops + 1) * HOP, flit))
                since, flit = sender.send(taken)
        except StopIteration as end:
            ended[source] = max(end.value, taken + 1 if taken else 0)
    empty = 0
    for tile, flits in coming.items():
        receiver, now = receivers.get(tile), 0
        for arrives, flit in sorted(flits, key=itemgetter(0)):
            now = receiver.opens(arrives) if receiver else max(arrives, now + 1)
            if receiver:
                receiver.take(now, flit)
        empty = max(empty, now + 1)
    return Arrivals(empty=empty, ended=ended, stalled={})
