"""The neuron core: memories, and the blocks that share their ports."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory as MemoryBlock
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..host import Command, CommandWord
from ..program import (
    Activations, CoreDescriptor, Counter, EdgeDescriptor, ISums, Membranes, Memory, Requant, Route, WRITABLE,
    chunks_of, memory_depths, memory_layouts,
)
from .accumulate import Accumulator
from .emit import Emitter
from .membrane import MembranePass

__all__ = ["Core"]


class Core(wiring.Component):
    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "i": In(stream.Signature(Flit(config))), "o": Out(stream.Signature(Flit(config))),
            "y": In(bits_for(config.rows - 1)), "x": In(bits_for(config.cols - 1)),
            "command": In(CommandWord(config)), "idle": Out(1), "hop": In(3), "dropped": In(1),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()
        depths, layouts = memory_depths(config), memory_layouts(config)
        lanes = config.lanes
        core = Signal(CoreDescriptor(config))
        edges = Signal(data.ArrayLayout(EdgeDescriptor(config), config.edges))

        def memory(name, shape, depth):
            m.submodules[name] = block = MemoryBlock(shape=shape, depth=depth, init=[])
            return block

        weight = memory("weight", layouts[Memory.WEIGHT].size, depths[Memory.WEIGHT])
        isum = memory("isum", data.ArrayLayout(config.isum_bits, lanes), depths[Memory.ISUM])
        membrane = memory("membrane", data.ArrayLayout(config.membrane_bits, lanes), depths[Memory.MEMBRANE])
        neuron_bits = bits_for(config.neuron_words - 1)
        act = memory("act", data.ArrayLayout(config.act_bits, lanes), 2 << neuron_bits)
        constants = memory("constants", layouts[Memory.REQUANT].size, depths[Memory.REQUANT])
        routes = memory("routes", layouts[Memory.ROUTE].size, depths[Memory.ROUTE])
        weight_r, weight_w = weight.read_port(), weight.write_port()
        isum_r, isum_w = isum.read_port(), isum.write_port(granularity=1)
        membrane_r, membrane_w = membrane.read_port(), membrane.write_port(granularity=1)
        act_r, act_w = act.read_port(), act.write_port(granularity=1)
        constants_r, constants_w = constants.read_port(), constants.write_port()
        routes_r, routes_w = routes.read_port(domain="comb"), routes.write_port()

        m.submodules.accumulator = accumulator = Accumulator(config)
        m.submodules.membrane_pass = passes = MembranePass(config)
        m.submodules.emitter = emitter = Emitter(config)

        # -- commands -------------------------------------------------------------------------------
        command = self.command
        slot = Signal()  # the front slot, being emitted
        first = Signal()
        is_step, is_requant, is_clear = (command.op == op for op in (Command.STEP, Command.REQUANT, Command.CLEAR))
        valids = Cat(Const(0, 1), command.valid)
        integrates = core.enable & (core.stage != 0) & valids.bit_select(core.stage, 1)
        emits = core.enable & command.valid.bit_select(core.stage, 1)
        m.d.comb += [
            passes.start.eq((is_step & ~command.first | is_requant) & integrates), passes.final.eq(is_requant),
            passes.clear.eq(is_clear), passes.core.eq(core),
            emitter.start.eq(is_step & emits), emitter.first.eq(command.first), emitter.plane.eq(command.plane),
            emitter.core.eq(core), emitter.y.eq(self.y), emitter.x.eq(self.x),
            accumulator.core.eq(core), accumulator.edges.eq(edges), accumulator.first.eq(first),
        ]  # fmt: skip
        with m.If(is_step):
            m.d.sync += first.eq(command.first)
            with m.If(command.first & core.enable & ((core.stage != 0) | command.valid[0])):
                m.d.sync += slot.eq(~slot)
        with m.If(is_clear):
            m.d.sync += slot.eq(0)
        pulse = command.op != Command.NONE

        # -- flits in -------------------------------------------------------------------------------
        flit = self.i.payload
        kind = flit.kind
        word = flit.payload.memory
        settled = ~passes.busy & ~pulse
        reading = Signal()  # a READ waits for, or sends, its answer
        is_spike, is_write, is_read = (kind == k for k in (FlitKind.SPIKE, FlitKind.WRITE, FlitKind.READ))
        m.d.comb += [
            accumulator.i.payload.eq(flit.payload.spike),
            accumulator.i.valid.eq(self.i.valid & is_spike & settled),
            self.i.ready.eq(settled & Mux(is_spike, accumulator.i.ready, Mux(is_read, ~reading, 1))),
        ]
        accept = self.i.valid & self.i.ready
        rejected = Signal(range(4))
        writable = Signal()
        write = Signal()
        largest = max(chunks_of(config, memory_) for memory_ in WRITABLE)
        staging = Signal(data.ArrayLayout(config.data_bits, largest))
        merged = Signal(data.ArrayLayout(config.data_bits, largest))
        m.d.comb += merged.eq(staging)
        in_range = Signal()
        with m.Switch(word.mem):
            for mem in WRITABLE:
                with m.Case(mem):
                    m.d.comb += [
                        in_range.eq((word.addr < depths[mem]) & (word.chunk < chunks_of(config, mem))),
                    ]
        for k in range(largest):
            with m.If(word.chunk == k):
                m.d.comb += merged[k].eq(word.data)
        with m.If(accept & is_write):
            m.d.sync += staging.eq(merged)
            m.d.comb += write.eq(in_range & word.last)
            with m.If(word.last):
                m.d.sync += staging.eq(0)
        full = merged.as_value()
        m.d.comb += [
            weight_w.addr.eq(word.addr), weight_w.data.eq(full), weight_w.en.eq(write & (word.mem == Memory.WEIGHT)),
            constants_w.addr.eq(word.addr), constants_w.data.eq(full), constants_w.en.eq(write & (word.mem == Memory.REQUANT)),
            routes_w.addr.eq(word.addr), routes_w.data.eq(full), routes_w.en.eq(write & (word.mem == Memory.ROUTE)),
        ]  # fmt: skip
        with m.If(write & (word.mem == Memory.CORE)):
            m.d.sync += core.eq(full)
        with m.If(write & (word.mem == Memory.EDGE)):
            with m.Switch(word.addr):
                for k in range(config.edges):
                    with m.Case(k):
                        m.d.sync += edges[k].eq(full)
        bad_flit = accept & (is_write & ~in_range | (kind == FlitKind.READOUT))

        # -- flits out: answers when all else rests ---------------------------------------------------
        asked = Signal(layouts_memory := flit.payload.memory.shape())
        with m.If(accept & is_read):
            m.d.sync += [reading.eq(1), asked.eq(word)]
        calm = ~passes.busy & ~accumulator.busy & ~emitter.busy & ~pulse
        answer_o = Signal()
        answer = Signal(Flit(config))
        fetch = Signal(range(3))
        chunk = Signal.like(asked.chunk)
        chunk_count = Signal.like(asked.chunk)
        counter_values = Signal(config.counter_bits)
        widest = max(layouts[mem].size for mem in Memory)
        read_word = Signal(-(-widest // config.data_bits) * config.data_bits)
        exists = Signal()
        with m.Switch(asked.mem):
            for mem in Memory:
                with m.Case(mem):
                    m.d.comb += [chunk_count.eq(chunks_of(config, mem) - 1), exists.eq(asked.addr < depths[mem])]
        responding = reading & calm
        with m.If(exists):
            with m.Switch(asked.mem):
                with m.Case(Memory.CORE):
                    m.d.comb += read_word.eq(core)
                with m.Case(Memory.EDGE):
                    for k in range(config.edges):
                        with m.If(asked.addr == k):
                            m.d.comb += read_word.eq(edges[k])
                with m.Case(Memory.ROUTE):
                    m.d.comb += read_word.eq(routes_r.data)
                with m.Case(Memory.REQUANT):
                    m.d.comb += read_word.eq(constants_r.data)
                with m.Case(Memory.WEIGHT):
                    m.d.comb += read_word.eq(weight_r.data)
                with m.Case(Memory.ACT):
                    m.d.comb += read_word.eq(act_r.data)
                with m.Case(Memory.ISUM):
                    m.d.comb += read_word.eq(isum_r.data)
                with m.Case(Memory.MEMBRANE):
                    m.d.comb += read_word.eq(membrane_r.data)
                with m.Case(Memory.COUNTER):
                    m.d.comb += read_word.eq(counter_values)
        r = answer.payload.readout
        m.d.comb += [
            answer.kind.eq(FlitKind.READOUT),
            r.src_y.eq(self.y), r.src_x.eq(self.x), r.mem.eq(asked.mem), r.addr.eq(asked.addr), r.chunk.eq(chunk),
            r.data.eq(read_word.word_select(chunk, config.data_bits)),
        ]  # fmt: skip
        bad_read = Signal()
        with m.If(responding):
            with m.If(fetch != 2):
                m.d.sync += fetch.eq(fetch + 1)
            with m.Else():
                m.d.comb += answer_o.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += chunk.eq(chunk + 1)
                    with m.If(chunk == chunk_count):
                        m.d.comb += bad_read.eq(~exists)
                        m.d.sync += [reading.eq(0), chunk.eq(0), fetch.eq(0)]
        m.d.comb += [
            self.o.valid.eq(emitter.o.valid | answer_o),
            self.o.payload.eq(Mux(emitter.o.valid, emitter.o.payload, answer)),
            emitter.o.ready.eq(self.o.ready),
        ]
        m.d.comb += rejected.eq(bad_flit + accumulator.rejected + bad_read)

        # -- memory ports -----------------------------------------------------------------------------
        m.d.comb += [
            weight_r.addr.eq(Mux(responding, asked.addr, accumulator.weight_addr)),
            accumulator.weight_data.eq(weight_r.data),
            isum_r.addr.eq(Mux(responding, asked.addr, Mux(passes.busy, passes.addr, accumulator.isum_addr))),
            accumulator.isum_data.eq(isum_r.data), passes.isum.eq(isum_r.data),
            isum_w.addr.eq(Mux(passes.busy, passes.write_addr, accumulator.write_addr)),
            isum_w.data.eq(Mux(passes.busy, 0, accumulator.write_data.as_value())),
            isum_w.en.eq(Mux(passes.busy, passes.write_en, accumulator.write_en)),
            membrane_r.addr.eq(Mux(responding, asked.addr, passes.addr)), passes.membrane.eq(membrane_r.data),
            membrane_w.addr.eq(passes.write_addr), membrane_w.data.eq(passes.membrane_out.as_value()),
            membrane_w.en.eq(passes.write_en),
            constants_r.addr.eq(Mux(responding, asked.addr, passes.constants_addr)), passes.constants.eq(constants_r.data),
            routes_r.addr.eq(Mux(responding, asked.addr, emitter.route_addr)), emitter.route.eq(routes_r.data),
            act_r.addr.eq(Mux(responding, Cat(asked.addr[:neuron_bits], ~slot), Cat(emitter.addr, slot))),
            act_r.en.eq(responding | emitter.read), emitter.word.eq(act_r.data),
        ]  # fmt: skip
        with m.If(passes.busy):
            m.d.comb += [
                act_w.addr.eq(Cat(passes.act_addr, Mux(passes.clearing, passes.clear_slot, ~slot))),
                act_w.data.eq(passes.act_out.as_value()), act_w.en.eq(passes.act_en),
            ]
        with m.Else():
            m.d.comb += [
                act_w.addr.eq(Cat(word.addr[:neuron_bits], ~slot)), act_w.data.eq(full),
                act_w.en.eq(Mux(write & (word.mem == Memory.ACT), (1 << lanes) - 1, 0)),
            ]

        # -- counters ---------------------------------------------------------------------------------
        steps = {
            Counter.SOPS: accumulator.sops, Counter.SPIKES_IN: accumulator.spikes, Counter.SPIKES_OUT: emitter.spikes,
            Counter.SATURATIONS: passes.saturated, Counter.REJECTED: rejected, Counter.BUSY: accumulator.working,
            Counter.STALLED: emitter.stalled, Counter.HOPS: self.hop, Counter.DROPPED: self.dropped,
        }  # fmt: skip
        for counter in Counter:
            value = Signal(config.counter_bits, name=f"count_{counter.name.lower()}")
            with m.If(is_clear):
                m.d.sync += value.eq(0)
            with m.Elif(passes.saturated.any() if counter is Counter.OVERFLOW else Const(counter in steps, 1)):
                m.d.sync += value.eq(1 if counter is Counter.OVERFLOW else value + steps[counter])
            with m.If(asked.addr == counter.value):
                m.d.comb += counter_values.eq(value)
        m.d.comb += self.idle.eq(calm & ~reading & ~self.i.valid)
        return m
