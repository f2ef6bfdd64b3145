"""Round-robin arbiter: who was served last is last in turn."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RoundRobin"]


class RoundRobin(wiring.Component):
    """Chooses among ``count`` requests; the turn passes on only with a transfer.

    So one that keeps its request is chosen after at most ``count - 1`` transfers of others.

    Parameters
    ----------
    count: number of requests, at least 2.

    Members
    -------
    request: one bit each.
    choice: number of the one whose turn it is, combinational; 0 without a request.
    advance: the chosen one is served in this cycle. Without a request it has no effect.
    last (attribute): the latest one that was served.
    """

    def __init__(self, count: int) -> None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 2:
            raise ValueError(f"count must be an integer of at least 2, not {count!r}")
        self.count = count
        self.last = Signal(range(count))
        super().__init__({"request": In(count), "choice": Out(range(count)), "advance": In(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        last = self.last
        with m.Switch(last):
            for latest in range(self.count):
                with m.Case(latest):
                    for distance in range(
                        self.count, 0, -1
                    ):  # the nearest one after `latest` is assigned last and wins
                        index = (latest + distance) % self.count
                        with m.If(self.request[index]):
                            m.d.comb += self.choice.eq(index)
        with m.If(self.advance & self.request.any()):
            m.d.sync += last.eq(self.choice)
        return m
