"""Passes over all neurons: integration at a step's boundary, requantization, clearing. And the sum of parts."""

from itertools import pairwise
from typing import TYPE_CHECKING

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..neuron import ADDEND_AT, MEMBRANE_AT, VALUE_AT, NeuronLane
from ..program import CoreDescriptor, Partials, Readout, Requant
from .accumulate import popcount
from .address import neuron_bits
from .ring import act_bits
from .storage import membrane_address_bits, sub_bits

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = ["MembranePass", "Pass", "requant_address_bits"]

PARAMETERS = ("scaled", "mult1", "shift1", "bias_in_sum", "lo", "hi", "rot", "truncate", "drlo")


class Pass(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What a pass does to each neuron."""

    INTEGRATE = 0  # V <- sat(2V + s1(I)), I <- 0
    REQUANT = 1  # activation <- requant(V), and V <- that, too, for pooling and wide read-out
    CLEAR = 2  # I, V, all activations <- 0


def requant_address_bits(config: ChipConfig) -> int:
    """Width of an address of the requantization constants."""
    return bits_for(config.group_words * config.requant_subwords - 1)


class MembranePass(wiring.Component):
    """Walks the neuron words, ``requant_lanes`` neurons (a sub-word) per cycle.

    Between passes it adds what other cores send to V. Such a sum has left the pipeline three cycles after ``add_read``;
    until then its sub-word must not come again.

    Members
    -------
    core : CoreDescriptor
    start, kind, from_zero : bit, Pass, bit
        Starts a pass while not ``busy``; INTEGRATE takes V as 0 with ``from_zero``. The memories belong to the pass
        until it is over.
    back : address
        First word of the slot that requantized activations go to.
    isum_address, isum_select, current : memory port
        Reads a word of I, and a cycle later selects a sub-word of what was read, or 0: two cycles of latency in all.
    address, membrane : memory port
        Reads sub-words of V, one cycle of latency.
    requant_address, requant : memory port
        Reads the constants, one cycle of latency.
    isum_clear, isum_clear_address : bit, address
        Writes a word of I to zero.
    write_en, write_address, write : memory port
        Writes a sub-word of V.
    act_en, act_all, act_sub, act_address, act_write : memory port
        Writes activations of a sub-word, or with ``act_all`` the same ones to all.
    add_read, add_address, add, part : bit, address, bit, membranes (only where ``parts`` exceeds 1)
        ``add_read`` reads the sub-word of V at ``add_address``, ``add`` a cycle later adds ``part``. Not while a pass
        is ``busy`` or starts.
    busy : bit
        A pass is under way.
    adding : bit
        A sum is under way.
    saturated : number
        Neurons that saturate in this cycle.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        nb, vb = neuron_bits(config), membrane_address_bits(config)
        partials = {
            "add_read": In(1), "add_address": In(vb), "add": In(1), "part": In(Partials(config)),
        } if config.parts > 1 else {}  # fmt: skip
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "start": In(1),
            "kind": In(Pass),
            "from_zero": In(1),
            "back": In(act_bits(config)),
            "isum_address": Out(nb),
            "isum_select": Out(config.requant_subwords),
            "current": In(data.ArrayLayout(signed(config.isum_bits), config.requant_lanes)),
            "address": Out(vb),
            "membrane": In(Partials(config)),
            "requant_address": Out(requant_address_bits(config)),
            "requant": In(Requant(config)),
            "isum_clear": Out(1),
            "isum_clear_address": Out(nb),
            "write_en": Out(1),
            "write_address": Out(vb),
            "write": Out(Partials(config)),
            "act_en": Out(1),
            "act_all": Out(1),
            "act_sub": Out(max(1, sub_bits(config))),
            "act_address": Out(act_bits(config)),
            "act_write": Out(data.ArrayLayout(config.act_bits, config.requant_lanes)),
            **partials,
            "busy": Out(1),
            "adding": Out(1),
            "saturated": Out(bits_for(config.requant_lanes)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config, core = self.config, self.core
        subwords, vb, sb = config.requant_subwords, membrane_address_bits(config), sub_bits(config)

        # Walk: the neurons' sub-words, or in CLEAR every address of the memories; and the constants' address.
        walking, walks_on, kind, from_zero = Signal(), Signal(), Signal(Pass), Signal()
        m.d.sync += walking.eq(walks_on)
        at = Signal(max(vb, act_bits(config)))
        left, group = Signal.like(core.words), Signal(bits_for(config.group_words))
        constants = Signal.like(self.requant_address)
        sub, word, last_sub, last = at[:sb], at[sb:vb], Signal(), Signal()
        m.d.comb += [
            last_sub.eq(sub == subwords - 1),
            last.eq(Mux(kind == Pass.CLEAR, at.all(), last_sub & (left == 1))),
        ]  # fmt: skip
        with m.If(self.start & ~self.busy):
            m.d.comb += walks_on.eq((self.kind == Pass.CLEAR) | (core.words != 0))
            m.d.sync += [
                kind.eq(self.kind), from_zero.eq(self.from_zero),
                at.eq(0), left.eq(core.words), group.eq(core.groups), constants.eq(0),
            ]  # fmt: skip
        with m.Elif(walking):
            m.d.comb += walks_on.eq(~last)
            m.d.sync += [at.eq(at + 1), constants.eq(constants + 1)]
            with m.If(last_sub):
                m.d.sync += [left.eq(left - 1), group.eq(group - 1)]
                with m.If(group <= 1):
                    m.d.sync += [group.eq(core.groups), constants.eq(0)]
        m.d.comb += self.isum_address.eq(word)
        m.d.sync += self.requant_address.eq(constants)

        # Where the neurons of each pipeline stage are. Operands are there in stage 2: I is read first.
        place = data.StructLayout({"valid": 1, "at": vb})
        stage = [Signal(place, name=f"stage_{n}") for n in range(VALUE_AT + 3)]
        m.d.comb += [stage[0].valid.eq(walking & (kind != Pass.CLEAR)), stage[0].at.eq(at)]
        m.d.sync += [b.eq(a) for a, b in pairwise(stage)]
        m.d.sync += self.busy.eq(walks_on | Cat(s.valid for s in stage[:-1]).any())  # in the cycle to come
        integrating = kind == Pass.INTEGRATE
        addend_read, membrane_out, value_out = stage[ADDEND_AT + 1], stage[MEMBRANE_AT + 2], stage[VALUE_AT + 2]
        m.d.comb += self.address.eq(Mux(integrating, addend_read.at, stage[1].at))
        m.d.sync += self.isum_select.eq((stage[0].valid & integrating) << sub)

        # A sum enters where integration has its addend.
        summed = Signal(place)
        if config.parts > 1:
            sums = [Signal(place, name=f"sum_{n}") for n in range(MEMBRANE_AT - ADDEND_AT + 2)]
            m.d.comb += [
                sums[0].valid.eq(self.add_read), sums[0].at.eq(self.add_address),
                summed.eq(sums[-1]), self.adding.eq(Cat(s.valid for s in sums).any()),
            ]  # fmt: skip
            m.d.sync += [b.eq(a) for a, b in pairwise(sums)]
            with m.If(self.add_read):
                m.d.comb += self.address.eq(self.add_address)

        saturated = Signal(config.requant_lanes)
        values = []
        for n in range(config.requant_lanes):
            m.submodules[f"lane_{n}"] = lane = NeuronLane(config)
            m.d.comb += [getattr(lane, name).eq(getattr(core, name)) for name in PARAMETERS]
            m.d.comb += [
                lane.integrate.eq(integrating), lane.from_zero.eq(from_zero),
                lane.current.eq(self.current[n]), lane.membrane.eq(self.membrane[n]),
                lane.mult.eq(self.requant[n].mult), lane.shift.eq(self.requant[n].shift),
                lane.bias.eq(self.requant[n].bias),
                saturated[n].eq(lane.saturated & membrane_out.valid & integrating),
                self.act_write[n].eq(lane.value), self.write[n].eq(lane.v),
            ]  # fmt: skip
            if config.parts > 1:
                m.d.comb += [lane.add.eq(self.add), lane.part.eq(self.part[n])]
            values.append(lane.value)
        m.d.comb += self.saturated.eq(popcount(saturated))

        # Results.
        m.d.comb += [
            self.act_sub.eq(value_out.at[:sb]),
            self.isum_clear.eq(stage[1].valid & integrating & (stage[1].at[:sb] == subwords - 1)),
            self.isum_clear_address.eq(stage[1].at[sb:]),
            self.write_en.eq((membrane_out.valid & integrating) | summed.valid),
            self.write_address.eq(Mux(summed.valid, summed.at, membrane_out.at)),
        ]  # fmt: skip
        with m.If(kind == Pass.REQUANT):
            with m.If(value_out.valid):
                keeps = core.pool | (core.readout == Readout.WIDE)
                m.d.comb += [self.write_en.eq(keeps), self.write_address.eq(value_out.at)]
                m.d.comb += [self.write[n].eq(value) for n, value in enumerate(values)]
                with m.If(~core.pool):
                    m.d.comb += self.act_en.eq(1)
            m.d.comb += self.act_address.eq(self.back + value_out.at[sb:])
        with m.If(walking & (kind == Pass.CLEAR)):
            m.d.comb += [
                self.isum_clear.eq(1), self.isum_clear_address.eq(word),
                self.write_en.eq(1), self.write_address.eq(at), self.write.eq(0),
                self.act_en.eq(1), self.act_all.eq(1), self.act_address.eq(at), self.act_write.eq(0),
            ]  # fmt: skip
        return m
