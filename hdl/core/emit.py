"""Emission: one bit-plane of the front activation slot as bundles over the routes, or the values as read-out."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..program import Activations, CoreDescriptor, Memory, Route, chunks_of

__all__ = ["Emitter"]


class Emitter(wiring.Component):
    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "start": In(1), "first": In(1), "plane": In(range(config.time_steps)),
            "y": In(bits_for(config.rows - 1)), "x": In(bits_for(config.cols - 1)),
            "core": In(CoreDescriptor(config)),
            "addr": Out(bits_for(config.neuron_words - 1)), "read": Out(1), "word": In(Activations(config)),
            "route_addr": Out(bits_for(config.routes - 1)), "route": In(Route(config)),
            "o": Out(stream.Signature(Flit(config))),
            "busy": Out(1), "stalled": Out(1), "spikes": Out(bits_for(config.lanes)),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()
        core = self.core
        active, loaded, fresh = Signal(), Signal(), Signal()
        readout = Signal()
        plane = Signal(range(config.time_steps))
        index = Signal(bits_for(config.neuron_words))  # next word to read
        yy, xx, gg = Signal.like(core.height), Signal.like(core.width), Signal.like(core.groups)  # of the word at hand
        number = Signal(bits_for(config.neuron_words))  # of the word at hand
        choice = Signal(bits_for(max(config.routes, chunks_of(config, Memory.ACT))))

        bits = Signal(config.lanes)
        for lane in range(config.lanes):
            m.d.comb += bits[lane].eq(self.word[lane].bit_select(plane, 1))
        free = Signal()
        m.d.comb += free.eq(~self.o.valid | self.o.ready)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        y, x = Signal(bits_for(config.map_side - 1)), Signal(bits_for(config.map_side - 1))
        g = Signal(bits_for(config.map_groups - 1))
        m.d.comb += [y.eq(core.y0 + yy), x.eq(core.x0 + xx), g.eq(core.group0 + gg)]
        route = self.route
        match = Signal()
        m.d.comb += match.eq(
            (choice < core.routes)
            & (route.y0 <= y) & (y <= route.y1) & (route.x0 <= x) & (x <= route.x1)
            & (route.group0 <= g) & (g <= route.group1)
        )  # fmt: skip
        chunks = chunks_of(config, Memory.ACT)
        done = Signal()  # the word at hand needs no further cycle
        send = Signal()
        m.d.comb += [
            self.route_addr.eq(choice),
            send.eq(loaded & Mux(readout, 1, match & (bits != 0))),
            done.eq(
                loaded
                & Mux(
                    readout,
                    free & (choice == chunks - 1),
                    (bits == 0) | ((choice + 1 >= core.routes) & (free | ~match)),
                )
            ),
            self.stalled.eq(send & ~free),
        ]
        payload = Signal(Flit(config))
        with m.If(readout):
            r = payload.payload.readout
            m.d.comb += [
                payload.kind.eq(FlitKind.READOUT),
                r.src_y.eq(self.y), r.src_x.eq(self.x), r.mem.eq(Memory.ACT), r.addr.eq(number), r.chunk.eq(choice),
                r.data.eq(self.word.as_value().word_select(choice, config.data_bits)),
            ]  # fmt: skip
        with m.Else():
            s = payload.payload.spike
            m.d.comb += [
                payload.kind.eq(FlitKind.SPIKE), payload.dst.eq(route.dst),
                s.edge.eq(route.edge), s.y.eq(y), s.x.eq(x), s.group.eq(g), s.mask.eq(bits),
            ]  # fmt: skip
        with m.If(send & free):
            m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(payload)]
        with m.If(loaded & ~done & (~send | free)):
            m.d.sync += choice.eq(choice + 1)

        advance = Signal()
        m.d.comb += [advance.eq(~loaded | done), self.addr.eq(index), self.read.eq(active & advance)]
        # A word's spikes are counted once, in the cycle that ends its first route.
        counted = loaded & ~readout & (choice == 0) & (done | ~send | free)
        m.d.comb += self.spikes.eq(Mux(counted, sum(bits[i] for i in range(config.lanes)), 0))
        with m.If(advance):
            m.d.sync += [loaded.eq(active), choice.eq(0)]
            with m.If(loaded):  # the word at hand is finished: coordinates of the next one
                m.d.sync += [number.eq(number + 1), gg.eq(gg + 1)]
                with m.If(gg == core.groups - 1):
                    m.d.sync += [gg.eq(0), xx.eq(xx + 1)]
                    with m.If(xx == core.width - 1):
                        m.d.sync += [xx.eq(0), yy.eq(yy + 1)]
            with m.If(active):
                m.d.sync += index.eq(index + 1)
                with m.If(index == core.words - 1):
                    m.d.sync += active.eq(0)
        with m.If(self.start):
            m.d.sync += [
                active.eq((core.words != 0) & (~core.readout | self.first)),
                readout.eq(core.readout), plane.eq(self.plane),
                index.eq(0), number.eq(0), yy.eq(0), xx.eq(0), gg.eq(0), choice.eq(0),
            ]  # fmt: skip
        m.d.comb += self.busy.eq(active | loaded | self.o.valid)
        return m

