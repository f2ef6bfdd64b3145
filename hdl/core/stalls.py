"""Which stages of a pipeline may load."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Stalls"]


class Stalls(wiring.Component):
    """``ready[n]``: stage n may load, for it or a later one is not valid, or what follows the last is ``next_ready``.

    A module of its own, which synthesis may keep apart: inside a larger one it saves tables by making a chain of
    these, each of which waits for the next.
    """

    def __init__(self, stages: int) -> None:
        self.stages = stages
        super().__init__({"valid": In(stages), "next_ready": In(1), "ready": Out(stages)})

    def elaborate(self, platform) -> Module:
        m = Module()
        for n in range(self.stages):
            m.d.comb += self.ready[n].eq(self.next_ready | ~self.valid[n:].all())
        return m
