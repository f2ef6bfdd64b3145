"""Emission: one bit-plane of the activations of every age becomes spike bundles."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..program import Activations, CoreDescriptor, Route
from .accumulate import popcount
from .ring import act_bits

__all__ = ["Emitter", "route_bits"]


def route_bits(config: ChipConfig) -> int:
    """Width of a route number."""
    return bits_for(config.routes - 1)


class Emitter(wiring.Component):
    """Reads one word per cycle; a word without spikes costs that cycle only, another one a cycle per route, or one and
    a half if there is only one.

    Ages are walked from the newest on. An age without a valid sample costs a cycle, and in an input tile it has no
    slot: only samples have.

    Members
    -------
    core : CoreDescriptor
    start, plane : bit, number
        Starts emission of that bit of every activation while not ``busy``.
    valid : mask
        With ``start``: bit a says that the sample of age a is valid.
    newest, top : address
        As in :class:`hdl.core.ring.Ring`.
    word_address, word_en, word : memory port
        Activations: ``word`` follows ``word_address`` by one cycle and holds while ``word_en`` is low.
    route_address, route : memory port
        Routes, one cycle of latency.
    o : stream of Flit
        ``ready`` must not depend on ``valid``.
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
            "valid": In(config.slots - 1),
            "newest": In(act_bits(config)),
            "top": In(act_bits(config)),
            "word_address": Out(act_bits(config)),
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
        side, group_bits = bits_for(config.map_side - 1), bits_for(config.map_groups - 1)
        age_bits = bits_for(config.slots - 1)
        place = data.StructLayout({"y": side, "x": side, "group": group_bits, "age": age_bits})

        # 0: the slot of an age.
        choosing, plane, valid = Signal(), Signal.like(self.plane), Signal.like(self.valid)
        age, base, older = Signal(age_bits), Signal(act_bits(config)), Signal(act_bits(config))
        m.d.comb += older.eq(Mux(base == 0, self.top, base - core.out_words))
        begin, next_age = Signal(), Signal()
        m.d.comb += begin.eq(choosing & (age < core.ages) & valid[0] & (core.out_words != 0))
        with m.If(self.start & ~self.busy):
            m.d.sync += [choosing.eq(1), plane.eq(self.plane), valid.eq(self.valid), age.eq(0), base.eq(self.newest)]
        with m.Elif(next_age):
            m.d.sync += [age.eq(age + 1), valid.eq(valid >> 1)]
            with m.If(valid[0] | (core.stage != 0)):
                m.d.sync += base.eq(older)

        # 1: the word being read, at (y, x, group) from the region's corner.
        walking, left = Signal(), Signal.like(core.out_words)
        here = Signal(place)
        read_valid, read_at, read_ready = Signal(), Signal(place), Signal()
        m.d.comb += self.word_en.eq(read_ready)
        with m.If(choosing):
            m.d.comb += next_age.eq(age < core.ages)  # already for the choice after the walk
            m.d.sync += [
                choosing.eq(next_age & ~begin), walking.eq(begin), self.word_address.eq(base), left.eq(core.out_words),
                here.eq(0), here.age.eq(age),
            ]  # fmt: skip
        with m.Elif(walking & read_ready):
            m.d.sync += [self.word_address.eq(self.word_address + 1), left.eq(left - 1), here.group.eq(here.group + 1)]
            with m.If(here.group + 1 >= core.groups):
                m.d.sync += [here.group.eq(0), here.x.eq(here.x + 1)]
                with m.If(here.x + 1 >= core.out_width):
                    m.d.sync += [here.x.eq(0), here.y.eq(here.y + 1)]
            with m.If(left == 1):
                m.d.sync += [walking.eq(0), choosing.eq(1)]

        # 2: its spikes, in map coordinates.
        mask_valid, mask_at, mask, mask_ready = Signal(), Signal(place), Signal(config.lanes), Signal()
        spiking, scan_ready = Signal(), Signal()
        scan_valid, scan_at, scan_mask = Signal(), Signal(place), Signal(config.lanes)
        m.d.comb += [
            spiking.eq(mask_valid & mask.any()),
            # Not as soon as the scan takes a word: that is known late, and a word usually waits for the one before it.
            mask_ready.eq(~spiking | ~scan_valid),
            read_ready.eq(~read_valid | mask_ready),
        ]  # fmt: skip
        with m.If(read_ready):
            m.d.sync += [read_valid.eq(walking), read_at.eq(here)]
        with m.If(mask_ready):
            m.d.sync += [
                mask_valid.eq(read_valid), mask.eq(Cat((self.word[n] >> plane)[0] for n in range(config.lanes))),
                mask_at.y.eq(core.y0 + read_at.y), mask_at.x.eq(core.x0 + read_at.x),
                mask_at.group.eq(core.group0 + read_at.group), mask_at.age.eq(read_at.age),
            ]  # fmt: skip
        with m.Elif(scan_ready):
            m.d.sync += mask_valid.eq(0)
        with m.If(scan_ready):
            m.d.sync += [scan_valid.eq(spiking), scan_mask.eq(mask), scan_at.eq(mask_at)]

        # 3: routes, one per cycle. The memory reads the next one while this one is compared.
        index, index_next = Signal(route_bits(config)), Signal(route_bits(config))
        match, step, last_route = Signal(), Signal(), Signal()
        route = self.route
        in_phase = [
            ((scan_at[axis][:2] ^ route[f"phase_{axis}"]) & Cat(route.phase_log2 != 0, route.phase_log2[1])) == 0
            for axis in "yx"
        ]
        m.d.comb += [
            match.eq(
                (core.routes != 0)
                & (route.y0 <= scan_at.y) & (scan_at.y <= route.y1)
                & (route.x0 <= scan_at.x) & (scan_at.x <= route.x1)
                & (route.group0 <= scan_at.group) & (scan_at.group <= route.group1)
                & (route.age == scan_at.age) & in_phase[0] & in_phase[1]
            ),
            self.o.valid.eq(scan_valid & match),
            step.eq(scan_valid & self.o.ready),  # a route that does not match waits as well: the comparison is long
            scan_ready.eq(~scan_valid | (step & last_route)),
            self.route_address.eq(index_next),
            index_next.eq(index),
        ]  # fmt: skip
        with m.If(step):
            m.d.comb += index_next.eq(index + 1)
            with m.If(last_route):
                m.d.comb += index_next.eq(0)
        m.d.sync += index.eq(index_next)
        # Whether a route is the last one is known when it is due.
        with m.If(~scan_valid | (step & last_route)):
            m.d.sync += last_route.eq((core.routes <= 1) | (config.routes == 1))
        with m.Elif(step):
            m.d.sync += last_route.eq((index + 2 >= core.routes) | (index == config.routes - 2))
        with m.If(step & (index == 0)):
            m.d.comb += self.spikes.eq(popcount(scan_mask))
        flit = self.o.payload
        spike = flit.payload.spike
        m.d.comb += [
            flit.kind.eq(FlitKind.SPIKE), flit.dst.eq(route.dst), spike.edge.eq(route.edge),
            spike.y.eq(scan_at.y), spike.x.eq(scan_at.x), spike.group.eq(scan_at.group), spike.mask.eq(scan_mask),
            self.busy.eq(choosing | walking | read_valid | mask_valid | scan_valid),
        ]  # fmt: skip
        return m
