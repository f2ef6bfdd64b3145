"""The history ring of activations: which slot receives, and which one is the newest that is complete."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..program import CoreDescriptor

__all__ = ["Ring", "act_bits"]


def act_bits(config: ChipConfig) -> int:
    """Width of an address of the activation memory."""
    return bits_for(config.act_words - 1)


class Ring(wiring.Component):
    """Slots of ``out_words`` words, one after the other from address 0; their first addresses come from adders.

    Members
    -------
    core : CoreDescriptor
        Constant from ``clear`` on.
    clear : bit
        Slot 0 receives. The ring is ready ``slots`` cycles later.
    advance : bit
        The slot that received is complete: the newest one. The next slot receives, so what was the oldest is lost.
    back : address
        First word of the slot that receives.
    newest : address
        First word of the newest complete slot.
    top : address
        First word of the last slot. The slot before one at ``a`` is at ``a - out_words``, or at ``top`` if ``a`` is 0.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        address = act_bits(config)
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "clear": In(1),
            "advance": In(1),
            "back": Out(address),
            "newest": Out(address),
            "top": Out(address),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        core = self.core
        last, slot = Signal.like(core.slots), Signal.like(core.slots)
        missing = Signal.like(core.slots)  # slots that `top` has yet to step over
        m.d.comb += last.eq(core.slots - 1)
        with m.If(self.clear):
            m.d.sync += [slot.eq(0), self.back.eq(0), self.newest.eq(0), self.top.eq(0), missing.eq(last)]
            with m.If(core.slots == 0):
                m.d.sync += missing.eq(0)
        with m.Else():
            with m.If(missing != 0):
                m.d.sync += [missing.eq(missing - 1), self.top.eq(self.top + core.out_words)]
            with m.If(self.advance):
                m.d.sync += [self.newest.eq(self.back), slot.eq(slot + 1), self.back.eq(self.back + core.out_words)]
                with m.If(slot >= last):
                    m.d.sync += [slot.eq(0), self.back.eq(0)]
        return m
