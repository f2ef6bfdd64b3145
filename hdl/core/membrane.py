"""Membrane pass: integrates I(t) into V at a step's end; at a window's end also requantizes; clears at start."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..neuron import MembraneUpdate, RequantMultiply, RequantRound, ScaleCurrent, current_bits, product_bits
from ..program import Activations, CoreDescriptor, ISums, Membranes, Requant, memory_depths, Memory

__all__ = ["MembranePass"]


class MembranePass(wiring.Component):
    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        neuron = bits_for(config.neuron_words - 1)
        constants = bits_for(memory_depths(config)[Memory.REQUANT] - 1)
        super().__init__({
            "start": In(1), "final": In(1), "clear": In(1),
            "core": In(CoreDescriptor(config)),
            "busy": Out(1),
            "addr": Out(neuron), "isum": In(ISums(config)), "membrane": In(Membranes(config)),
            "constants_addr": Out(constants), "constants": In(Requant(config)),
            "write_addr": Out(neuron), "write_en": Out(config.lanes), "membrane_out": Out(Membranes(config)),
            "act_addr": Out(neuron), "act_en": Out(config.lanes), "act_out": Out(Activations(config)),
            "clear_slot": Out(1), "clearing": Out(1),
            "saturated": Out(bits_for(config.requant_lanes)),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()
        core = self.core
        subs, width = config.requant_subwords, config.requant_lanes

        # -- walk -----------------------------------------------------------------------------------
        active, clearing, final = Signal(), Signal(), Signal()
        word = Signal(bits_for(config.neuron_words))
        sub = Signal(range(subs)) if subs > 1 else Const(0, 1)
        group = Signal(bits_for(config.group_words))
        slot = Signal()
        last_sub = sub == subs - 1
        last_word = word == core.words - 1
        with m.If(active):
            with m.If(last_sub):
                if subs > 1:
                    m.d.sync += sub.eq(0)
                m.d.sync += [word.eq(word + 1), group.eq(Mux(group == core.groups - 1, 0, group + 1))]
                with m.If(last_word):
                    m.d.sync += active.eq(0)
            with m.Else():
                if subs > 1:
                    m.d.sync += sub.eq(sub + 1)
        with m.Elif(clearing):
            m.d.sync += word.eq(word + 1)
            with m.If(word == config.neuron_words - 1):
                m.d.sync += [word.eq(0), slot.eq(~slot)]
                with m.If(slot):
                    m.d.sync += clearing.eq(0)
        with m.Elif(self.start):
            m.d.sync += [word.eq(0), group.eq(0), final.eq(self.final), active.eq(core.words != 0)]
            if subs > 1:
                m.d.sync += sub.eq(0)
        with m.Elif(self.clear):
            m.d.sync += [word.eq(0), slot.eq(0), clearing.eq(1)]
        m.d.comb += [
            self.addr.eq(word),
            self.constants_addr.eq(group * subs + sub),
            self.clearing.eq(clearing), self.clear_slot.eq(slot),
        ]

        # -- pipeline: read, scale, update (write V), multiply, round (write activation) -------------
        stages = 4
        valid = [Signal(name=f"valid{k}") for k in range(stages)]
        addr = [Signal(bits_for(config.neuron_words - 1), name=f"addr{k}") for k in range(stages)]
        subk = [Signal(range(max(subs, 2)), name=f"sub{k}") for k in range(stages)]
        consts = [Signal(Requant(config), name=f"constants{k}") for k in range(1, stages)]
        m.d.sync += [valid[0].eq(active), addr[0].eq(word), subk[0].eq(sub)]
        for k in range(1, stages):
            m.d.sync += [addr[k].eq(addr[k - 1]), subk[k].eq(subk[k - 1])]
            m.d.sync += valid[k].eq(valid[k - 1] & (1 if k < 2 else final))
        m.d.sync += [consts[0].eq(self.constants), consts[1].eq(consts[0]), consts[2].eq(consts[1])]

        saturations = []
        enable_v, enable_a = Signal(config.lanes), Signal(config.lanes)
        with m.If(valid[1]):
            m.d.comb += enable_v.eq(((1 << width) - 1) << (subk[1] * width))
        with m.If(valid[3]):
            m.d.comb += enable_a.eq(((1 << width) - 1) << (subk[3] * width))
        for lane in range(width):
            m.submodules[f"scale{lane}"] = scale = ScaleCurrent(config)
            m.submodules[f"update{lane}"] = update = MembraneUpdate(config)
            m.submodules[f"multiply{lane}"] = multiply = RequantMultiply(config)
            m.submodules[f"round{lane}"] = rounding = RequantRound(config)
            current = Signal(signed(current_bits(config)), name=f"current{lane}")
            v = Signal(signed(config.membrane_bits), name=f"v{lane}")
            v_final = Signal(signed(config.membrane_bits), name=f"v_final{lane}")
            product = Signal(signed(product_bits(config)), name=f"product{lane}")
            base = (subk[0] * width)[: bits_for(config.lanes - 1)]
            m.d.comb += [
                scale.i.eq(self.isum[base + lane] if subs > 1 else self.isum[lane]),
                scale.scaled.eq(core.scaled), scale.mult1.eq(core.mult1), scale.shift1.eq(core.shift1),
                update.v.eq(v), update.current.eq(current),
                multiply.v.eq(v_final), multiply.mult.eq(consts[1][lane].mult),
                multiply.bias.eq(consts[1][lane].bias), multiply.bias_in_sum.eq(core.bias_in_sum),
                rounding.product.eq(product), rounding.shift.eq(consts[2][lane].shift),
                rounding.bias.eq(consts[2][lane].bias), rounding.bias_in_sum.eq(core.bias_in_sum),
                rounding.lo.eq(core.lo), rounding.hi.eq(core.hi), rounding.rot.eq(core.rot), rounding.drlo.eq(core.drlo),
            ]  # fmt: skip
            m.d.sync += [
                current.eq(scale.current),
                v.eq(self.membrane[base + lane] if subs > 1 else self.membrane[lane]),
                v_final.eq(update.v_next),
                product.eq(multiply.product),
            ]
            for s in range(subs):
                m.d.comb += [
                    self.membrane_out[s * width + lane].eq(Mux(final | clearing, 0, update.v_next)),
                    self.act_out[s * width + lane].eq(Mux(clearing, 0, rounding.a)),
                ]
            saturations.append(update.saturated & valid[1])
        m.d.comb += [
            self.saturated.eq(sum(saturations)),
            self.write_addr.eq(Mux(clearing, word, addr[1])), self.write_en.eq(Mux(clearing, ~0, enable_v)),
            self.act_addr.eq(Mux(clearing, word, addr[3])), self.act_en.eq(Mux(clearing, ~0, enable_a)),
            self.busy.eq(active | clearing | Cat(*valid).any()),
        ]  # fmt: skip
        return m
