"""Emission: one bit-plane of the front activation slot becomes spike bundles."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..program import Activations, CoreDescriptor, Route
from .accumulate import popcount
from .address import neuron_bits

__all__ = ["Emitter", "route_bits"]


def route_bits(config: ChipConfig) -> int:
    """Width of a route number."""
    return bits_for(config.routes - 1)


class Emitter(wiring.Component):
    """Reads one word per cycle; a word without spikes costs that cycle only, another one costs one cycle per route.

    Members
    -------
    core : CoreDescriptor
    start, plane : bit, number
        Starts emission of that bit of every activation while not ``busy``.
    word_address, word_en, word : memory port
        Front slot: ``word`` follows ``word_address`` by one cycle and holds while ``word_en`` is low.
    route_address, route : memory port
        Routes, one cycle of latency.
    o : stream of Flit
    busy : bit
    spikes : number
        Spikes of the word whose emission begins in this cycle.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "start": In(1),
            "plane": In(max(1, (config.time_steps - 1).bit_length())),
            "word_address": Out(neuron_bits(config)),
            "word_en": Out(1),
            "word": In(Activations(config)),
            "route_address": Out(route_bits(config)),
            "route": In(Route(config)),
            "o": Out(stream.Signature(Flit(config))),
            "busy": Out(1),
            "spikes": Out(bits_for(config.lanes)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config, core = self.config, self.core
        nb = neuron_bits(config)
        side, group_bits = bits_for(config.map_side - 1), bits_for(config.map_groups - 1)
        position = data.StructLayout({"y": side, "x": side, "group": group_bits})

        # 1: the word being read, at region coordinates (y, x, group).
        walking, plane = Signal(), Signal.like(self.plane)
        word, here = Signal(nb + 1), Signal(position)
        read_valid, read_at, read_ready = Signal(), Signal(position), Signal()
        m.d.comb += [self.word_address.eq(word), self.word_en.eq(read_ready)]
        with m.If(self.start & ~self.busy):
            m.d.sync += [walking.eq(core.words != 0), plane.eq(self.plane), word.eq(0), here.eq(0)]
        with m.Elif(walking & read_ready):
            m.d.sync += [word.eq(word + 1), walking.eq(word + 1 < core.words), here.group.eq(here.group + 1)]
            with m.If(here.group + 1 >= core.groups):
                m.d.sync += [here.group.eq(0), here.x.eq(here.x + 1)]
                with m.If(here.x + 1 >= core.width):
                    m.d.sync += [here.x.eq(0), here.y.eq(here.y + 1)]

        # 2: its spikes, in map coordinates.
        mask = Signal(config.lanes)
        scan_valid, scan_at, scan_mask, scan_ready = Signal(), Signal(position), Signal(config.lanes), Signal()
        m.d.comb += [
            mask.eq(Cat((self.word[n] >> plane)[0] for n in range(config.lanes))),
            read_ready.eq(~read_valid | ~mask.any() | scan_ready),
        ]
        with m.If(read_ready):
            m.d.sync += [read_valid.eq(walking), read_at.eq(here)]
        with m.If(scan_ready):
            m.d.sync += [
                scan_valid.eq(read_valid & mask.any()), scan_mask.eq(mask),
                scan_at.y.eq(core.y0 + read_at.y), scan_at.x.eq(core.x0 + read_at.x),
                scan_at.group.eq(core.group0 + read_at.group),
            ]  # fmt: skip

        # 3: routes, one per cycle. The memory reads the next one while this one is compared.
        index, index_next = Signal(route_bits(config)), Signal(route_bits(config))
        match, step, last_route = Signal(), Signal(), Signal()
        route = self.route
        m.d.comb += [
            match.eq(
                (core.routes != 0)
                & (route.y0 <= scan_at.y) & (scan_at.y <= route.y1)
                & (route.x0 <= scan_at.x) & (scan_at.x <= route.x1)
                & (route.group0 <= scan_at.group) & (scan_at.group <= route.group1)
            ),
            self.o.valid.eq(scan_valid & match),
            step.eq(scan_valid & (~match | self.o.ready)),
            last_route.eq((index + 1 >= core.routes) | (index == config.routes - 1)),
            scan_ready.eq(~scan_valid | (step & last_route)),
            self.route_address.eq(index_next),
            index_next.eq(index),
        ]  # fmt: skip
        with m.If(step):
            m.d.comb += index_next.eq(index + 1)
            with m.If(last_route):
                m.d.comb += index_next.eq(0)
        m.d.sync += index.eq(index_next)
        with m.If(step & (index == 0)):
            m.d.comb += self.spikes.eq(popcount(scan_mask))
        flit = self.o.payload
        spike = flit.payload.spike
        m.d.comb += [
            flit.kind.eq(FlitKind.SPIKE), flit.dst.eq(route.dst), spike.edge.eq(route.edge),
            spike.y.eq(scan_at.y), spike.x.eq(scan_at.x), spike.group.eq(scan_at.group), spike.mask.eq(scan_mask),
            self.busy.eq(walking | read_valid | scan_valid),
        ]  # fmt: skip
        return m
