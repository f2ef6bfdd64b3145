"""Passes over all neurons: integration at a step's boundary, requantization, clearing."""

from itertools import pairwise
from typing import TYPE_CHECKING

from amaranth.hdl import Array, Cat, Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..neuron import MembraneUpdate, RequantMultiply, RequantRound, ScaleCurrent, current_bits, product_bits
from ..program import Activations, CoreDescriptor, ISums, Membranes, Requant
from .accumulate import popcount
from .address import neuron_bits

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = ["MembranePass", "Pass", "act_address_bits", "requant_address_bits"]


class Pass(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What a pass does to each neuron."""

    INTEGRATE = 0  # V <- sat(2V + s1(I)), I <- 0
    REQUANT = 1  # the same, then activation <- requant(V), V <- 0
    CLEAR = 2  # I, V, both activation slots <- 0


def requant_address_bits(config: ChipConfig) -> int:
    """Width of an address of the requantization constants."""
    return bits_for(config.group_words * config.requant_subwords - 1)


def act_address_bits(config: ChipConfig) -> int:
    """Width of an activation address: the slot is the top bit."""
    return neuron_bits(config) + 1


class MembranePass(wiring.Component):
    """Walks the neuron words, ``requant_lanes`` neurons per cycle, in a pipeline of six registers.

    Members
    -------
    core : CoreDescriptor
    start, kind : bit, Pass
        Starts a pass while not ``busy``. The memories belong to the pass until it is over.
    back : bit
        Slot that requantized activations go to.
    address, current, membrane : memory port
        Reads the words of I and V, one cycle of latency.
    requant_address, requant : memory port
        Reads the constants, one cycle of latency.
    write_en, write_address, membrane_write : memory port
        Writes V, and I to zero: one enable per ``requant_lanes`` lanes.
    act_en, act_address, act_write : memory port
        Writes activations: one enable per ``requant_lanes`` lanes.
    busy : bit
    saturated : number
        Neurons that saturate in this cycle.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        subwords, nb = config.requant_subwords, neuron_bits(config)
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "start": In(1),
            "kind": In(Pass),
            "back": In(1),
            "address": Out(nb),
            "current": In(ISums(config)),
            "membrane": In(Membranes(config)),
            "requant_address": Out(requant_address_bits(config)),
            "requant": In(Requant(config)),
            "write_en": Out(subwords),
            "write_address": Out(nb),
            "membrane_write": Out(Membranes(config)),
            "act_en": Out(subwords),
            "act_address": Out(act_address_bits(config)),
            "act_write": Out(Activations(config)),
            "busy": Out(1),
            "saturated": Out(bits_for(config.requant_lanes)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config, core = self.config, self.core
        subwords, width, nb = config.requant_subwords, config.requant_lanes, neuron_bits(config)
        sub_bits = bits_for(subwords - 1)

        # Walk: word, sub-word, and the word's group with its constants' address.
        walking, kind = Signal(), Signal(Pass)
        word, sub, group = Signal(nb + 1), Signal(sub_bits), Signal(bits_for(config.group_words))
        last_sub = Signal()
        m.d.comb += last_sub.eq((kind == Pass.CLEAR) | (sub == subwords - 1))
        with m.If(self.start & ~self.busy):
            # CLEAR walks both activation slots and so I and V twice.
            m.d.sync += [kind.eq(self.kind), word.eq(0), sub.eq(0), group.eq(0), self.requant_address.eq(0)]
            m.d.sync += walking.eq((self.kind == Pass.CLEAR) | (core.words != 0))
        with m.Elif(walking):
            last_word = Signal()
            end = Signal(nb + 1)
            with m.If(kind == Pass.CLEAR):
                m.d.comb += last_word.eq(word.all())
            with m.Else():
                m.d.comb += [end.eq(core.words), last_word.eq(word + 1 >= end)]
            m.d.sync += [sub.eq(sub + 1), self.requant_address.eq(self.requant_address + 1)]
            with m.If(last_sub):
                m.d.sync += [sub.eq(0), word.eq(word + 1), group.eq(group + 1), walking.eq(~last_word)]
                with m.If(group + 1 >= core.groups):
                    m.d.sync += [group.eq(0), self.requant_address.eq(0)]
        m.d.comb += self.address.eq(word)

        # The pipeline: where each stage's neurons are. 1 memory, 2 selected, 3 scaled, 4 integrated, 5 product, 6 done.
        place = data.StructLayout({"valid": 1, "word": nb, "sub": sub_bits})
        stage = [Signal(place, name=f"stage_{n}") for n in range(6)]
        m.d.comb += [stage[0].valid.eq(walking & (kind != Pass.CLEAR)), stage[0].word.eq(word), stage[0].sub.eq(sub)]
        for n in range(1, 6):
            m.d.sync += stage[n].eq(stage[n - 1])
        m.d.comb += self.busy.eq(walking | Cat(s.valid for s in stage).any())

        def subword(memory_word):
            return Array(Cat(memory_word[s * width + n] for n in range(width)) for s in range(subwords))[stage[1].sub]

        currents = Signal(data.ArrayLayout(signed(config.isum_bits), width))
        membranes = Signal(data.ArrayLayout(signed(config.membrane_word_bits), width))
        constants = [Signal(Requant(config), name=f"constants_{n}") for n in range(2, 6)]
        m.d.sync += [
            currents.as_value().eq(subword(self.current)), membranes.as_value().eq(subword(self.membrane)),
            constants[0].eq(self.requant),
        ]  # fmt: skip
        m.d.sync += [b.eq(a) for a, b in pairwise(constants)]

        saturated = Signal(width)
        for n in range(width):
            m.submodules[f"scale_{n}"] = scale = ScaleCurrent(config)
            m.submodules[f"update_{n}"] = update = MembraneUpdate(config)
            m.submodules[f"multiply_{n}"] = multiply = RequantMultiply(config)
            m.submodules[f"round_{n}"] = rounding = RequantRound(config)
            scaled = Signal(signed(current_bits(config)), name=f"scaled_{n}")
            delayed = Signal(signed(config.membrane_bits), name=f"delayed_{n}")
            integrated = Signal(signed(config.membrane_bits), name=f"integrated_{n}")
            product = Signal(signed(product_bits(config)), name=f"product_{n}")
            act = Signal(unsigned(config.act_bits), name=f"act_{n}")
            m.d.comb += [
                scale.i.eq(currents[n]), scale.scaled.eq(core.scaled), scale.mult1.eq(core.mult1),
                scale.shift1.eq(core.shift1), update.v.eq(delayed), update.current.eq(scaled),
                saturated[n].eq(update.saturated & stage[3].valid),
                multiply.v.eq(integrated), multiply.mult.eq(constants[2][n].mult),
                multiply.bias.eq(constants[2][n].bias),
                multiply.bias_in_sum.eq(core.bias_in_sum),
                rounding.product.eq(product), rounding.shift.eq(constants[3][n].shift),
                rounding.bias.eq(constants[3][n].bias), rounding.bias_in_sum.eq(core.bias_in_sum),
                rounding.lo.eq(core.lo), rounding.hi.eq(core.hi), rounding.rot.eq(core.rot),
                rounding.drlo.eq(core.drlo),
            ]  # fmt: skip
            m.d.sync += [
                scaled.eq(scale.current), delayed.eq(membranes[n]), integrated.eq(update.v_next),
                product.eq(multiply.product), act.eq(rounding.a),
            ]  # fmt: skip
            for s in range(subwords):
                with m.If(kind == Pass.INTEGRATE):
                    m.d.comb += self.membrane_write[s * width + n].eq(integrated)
                with m.If(kind == Pass.REQUANT):
                    m.d.comb += self.act_write[s * width + n].eq(act)

        m.d.comb += self.saturated.eq(popcount(saturated))
        done = Signal(place)
        m.d.sync += done.eq(stage[5])
        with m.If(kind == Pass.CLEAR):
            m.d.comb += [
                self.write_en.eq(walking.replicate(subwords)), self.write_address.eq(word),
                self.act_en.eq(walking.replicate(subwords)), self.act_address.eq(word),
            ]  # fmt: skip
        with m.Else():
            m.d.comb += [
                self.write_en.eq(stage[4].valid << stage[4].sub), self.write_address.eq(stage[4].word),
                self.act_en.eq((done.valid & (kind == Pass.REQUANT)) << done.sub),
                self.act_address.eq(Cat(done.word, self.back)),
            ]  # fmt: skip
        with m.If(done.valid):
            m.d.comb += self.busy.eq(1)
        return m
