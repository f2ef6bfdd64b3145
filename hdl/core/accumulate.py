"""Accumulation: every spike of a bundle, every kernel offset, every output group: one word of `lanes` SOPs per cycle."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import payload_layouts
from ..program import CoreDescriptor, EdgeDescriptor, ISums, Weights

__all__ = ["Accumulator"]


class Accumulator(wiring.Component):
    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        weight, neuron = bits_for(config.weight_words - 1), bits_for(config.neuron_words - 1)
        super().__init__({
            "i": In(stream.Signature(payload_layouts(config)["spike"])),
            "core": In(CoreDescriptor(config)),
            "edges": In(data.ArrayLayout(EdgeDescriptor(config), config.edges)),
            "first": In(1),
            "weight_addr": Out(weight),
            "weight_data": In(Weights(config)),
            "isum_addr": Out(neuron),
            "isum_data": In(ISums(config)),
            "write_en": Out(config.lanes),
            "write_addr": Out(neuron),
            "write_data": Out(ISums(config)),
            "busy": Out(1),
            "working": Out(1),
            "sops": Out(bits_for(config.lanes)),
            "spikes": Out(bits_for(config.lanes)),
            "rejected": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        config = self.config
        m = Module()
        core = self.core
        lanes = config.lanes
        EdgeShape = EdgeDescriptor(config)
        side = bits_for(config.map_side)
        groups_bits = bits_for(config.map_groups)

        # -- A: the bundle and its edge -----------------------------------------------------------
        a_valid, b_valid, c_valid, run = (Signal(name=n) for n in ("a_valid", "b_valid", "c_valid", "run"))
        a_ready, b_ready, c_ready, take = (Signal(name=n) for n in ("a_ready", "b_ready", "c_ready", "take"))
        a_spike = Signal(payload_layouts(config)["spike"])
        a_edge = Signal(EdgeShape)
        a_known = Signal()
        m.d.comb += [a_ready.eq(~a_valid | b_ready), b_ready.eq(~b_valid | c_ready), c_ready.eq(~c_valid | take)]
        m.d.comb += self.i.ready.eq(a_ready)
        padded = 1 << bits_for(config.edges - 1)
        with m.If(a_ready):
            m.d.sync += [
                a_valid.eq(self.i.valid),
                a_spike.eq(self.i.payload),
                a_known.eq(self.i.payload.edge < config.edges),
            ]
            with m.Switch(self.i.payload.edge):
                for index in range(config.edges):
                    with m.Case(index):
                        m.d.sync += a_edge.eq(self.edges[index])

        # -- B: which kernel offsets hit this core ------------------------------------------------
        def span(position, offset, size, kernel, axis):
            """First and last kernel offset of one axis, the position relative to them, and whether there are any."""
            u = Signal(signed(side + 4), name=f"u_{axis}")
            low = Signal(signed(side + 6), name=f"low_{axis}")
            first = Signal(side + 1, name=f"first_{axis}")
            last = Signal(side + 1, name=f"last_{axis}")
            hit = Signal(name=f"hit_{axis}")
            phase = Signal(3, name=f"phase_{axis}")
            m.d.comb += [
                u.eq(position + offset),
                low.eq(u - ((size - 1) << a_edge.stride_log2)),
                phase.eq(u[:3] & ((1 << a_edge.stride_log2) - 1)),
                first.eq(Mux(low < 0, phase, low)),
                last.eq(Mux(u < kernel, u, kernel - 1)),
                hit.eq((u >= 0) & (Mux(low < 0, phase, low) <= Mux(u < kernel, u, kernel - 1))),
            ]
            return u, first, last, hit

        uy, ky0, ky1, hit_y = span(a_spike.y, a_edge.y_offset, core.height, a_edge.kernel_h, "y")
        ux, kx0, kx1, hit_x = span(a_spike.x, a_edge.x_offset, core.width, a_edge.kernel_w, "x")
        g = Signal(signed(groups_bits + 1))
        accepted = Signal()
        m.d.comb += [
            g.eq(a_spike.group - a_edge.group0),
            accepted.eq(core.enable & a_known & a_edge.enable & (g >= 0) & (g < a_edge.groups)),
            self.rejected.eq(a_valid & b_ready & ~accepted),
        ]
        popcount = sum(a_spike.mask[i] for i in range(lanes))
        m.d.comb += self.spikes.eq(Mux(a_valid & b_ready & accepted, popcount, 0))
        b = Signal(data.StructLayout({
            "edge": EdgeShape, "mask": lanes, "g": groups_bits,
            "ky0": side, "ky1": side, "kx0": side, "kx1": side, "oy": side, "ox": side,
        }))  # fmt: skip
        with m.If(b_ready):
            m.d.sync += [
                b_valid.eq(a_valid & accepted & hit_y & hit_x & (a_spike.mask != 0)),
                b.edge.eq(a_edge), b.mask.eq(a_spike.mask), b.g.eq(g),
                b.ky0.eq(ky0), b.ky1.eq(ky1), b.kx0.eq(kx0), b.kx1.eq(kx1),
                b.oy.eq((uy - ky0) >> a_edge.stride_log2), b.ox.eq((ux - kx0) >> a_edge.stride_log2),
            ]  # fmt: skip

        # -- C: start addresses -------------------------------------------------------------------
        row_bits, neuron_bits = bits_for(config.weight_words) + 1, bits_for(config.neuron_words)
        c = Signal(data.StructLayout({
            "edge": EdgeShape, "mask": lanes, "g": groups_bits,
            "ky": side, "ky1": side, "kx": side, "kx1": side,
            "row": row_bits, "neuron": neuron_bits,
        }))  # fmt: skip
        start_row = Signal(row_bits)
        start_neuron = Signal(neuron_bits)
        m.d.comb += [
            start_row.eq(
                Mux(b.edge.depthwise, b.g, b.g * b.edge.stride_g) + b.ky0 * b.edge.stride_y + b.kx0 * core.groups
            ),
            start_neuron.eq((b.oy * core.width + b.ox) * core.groups + Mux(b.edge.depthwise, b.g, 0)),
        ]
        with m.If(c_ready):
            m.d.sync += [
                c_valid.eq(b_valid),
                c.edge.eq(b.edge), c.mask.eq(b.mask), c.g.eq(b.g),
                c.ky.eq(b.ky0), c.ky1.eq(b.ky1), c.kx.eq(b.kx0), c.kx1.eq(b.kx1),
                c.row.eq(start_row), c.neuron.eq(start_neuron),
            ]  # fmt: skip

        # -- engine: one visit per cycle ----------------------------------------------------------
        j = Signal.like(c, name="job")
        kx = Signal(side)
        og = Signal(bits_for(config.group_words))
        left = Signal(lanes)
        row, row_x = Signal(row_bits), Signal(row_bits)
        neuron, neuron_x = Signal(neuron_bits), Signal(neuron_bits)
        rest = Signal(lanes)
        m.d.comb += rest.eq(left & (left - 1))
        bit = Signal(range(lanes))
        for index in reversed(range(lanes)):
            with m.If(left[index]):
                m.d.comb += bit.eq(index)
        stride = Signal(3)
        m.d.comb += stride.eq(1 << j.edge.stride_log2)
        last_bit, last_og, last_kx, last_ky = (Signal(name=n) for n in ("last_bit", "last_og", "last_kx", "last_ky"))
        m.d.comb += [
            last_bit.eq(j.edge.depthwise | (rest == 0)),
            last_og.eq(j.edge.depthwise | (og == core.groups - 1)),
            last_kx.eq(kx + stride > j.kx1),
            last_ky.eq(j.ky + stride > j.ky1),
        ]
        finishing = Signal()
        m.d.comb += [
            finishing.eq(run & last_bit & last_og & last_kx & last_ky),
            take.eq(~run | finishing),
        ]
        with m.If(run):
            with m.If(~last_bit):
                m.d.sync += left.eq(rest)
            with m.Else():
                m.d.sync += left.eq(j.mask)
                with m.If(~last_og):
                    m.d.sync += [og.eq(og + 1), row.eq(row + 1), neuron.eq(neuron + 1)]
                with m.Else():
                    m.d.sync += og.eq(0)
                    with m.If(~last_kx):
                        next_row = row_x + (core.groups << j.edge.stride_log2)
                        next_neuron = neuron_x - core.groups
                        m.d.sync += [
                            kx.eq(kx + stride), row.eq(next_row), row_x.eq(next_row),
                            neuron.eq(next_neuron), neuron_x.eq(next_neuron),
                        ]  # fmt: skip
                    with m.Elif(~last_ky):
                        next_row = j.row + (j.edge.stride_y << j.edge.stride_log2)
                        next_neuron = j.neuron - core.width * core.groups
                        m.d.sync += [
                            j.ky.eq(j.ky + stride), kx.eq(j.kx), j.row.eq(next_row), j.neuron.eq(next_neuron),
                            row.eq(next_row), row_x.eq(next_row), neuron.eq(next_neuron), neuron_x.eq(next_neuron),
                        ]  # fmt: skip
        with m.If(take):
            m.d.sync += [
                run.eq(c_valid), j.eq(c), kx.eq(c.kx), og.eq(0), left.eq(c.mask),
                row.eq(c.row), row_x.eq(c.row), neuron.eq(c.neuron), neuron_x.eq(c.neuron),
            ]  # fmt: skip

        exists = Signal(lanes)
        last_group = Signal()
        m.d.comb += [
            last_group.eq(Mux(j.edge.depthwise, j.g, og) == core.groups - 1),
            exists.eq(Mux(last_group, (1 << core.last_lanes) - 1, (1 << lanes) - 1)),
            self.weight_addr.eq(
                j.edge.weight_base + Mux(j.edge.depthwise, row, (row << j.edge.row_shift) + bit)
            ),
            self.isum_addr.eq(neuron),
        ]
        enabled = Signal(lanes)
        m.d.comb += enabled.eq(Mux(j.edge.depthwise, j.mask, ~0))
        hits = enabled & exists
        m.d.comb += [
            self.working.eq(run),
            self.sops.eq(Mux(run, sum(hits[i] for i in range(lanes)), 0)),
        ]

        # -- add and write ------------------------------------------------------------------------
        w_valid = Signal()
        w_en = Signal(lanes)
        w_addr = Signal.like(self.write_addr)
        w_negate, w_shift = Signal(), Signal.like(j.edge.shift)
        m.d.sync += [
            w_valid.eq(run), w_en.eq(enabled), w_addr.eq(neuron),
            w_negate.eq(j.edge.signed & self.first), w_shift.eq(j.edge.shift),
        ]  # fmt: skip
        f_valid = Signal()
        f_addr = Signal.like(w_addr)
        f_data = Signal(ISums(config))
        m.d.sync += [f_valid.eq(w_valid), f_addr.eq(w_addr), f_data.eq(self.write_data)]
        forward = f_valid & (f_addr == w_addr)
        for lane in range(lanes):
            old = Signal(signed(config.isum_bits), name=f"old{lane}")
            step = Signal(signed(config.isum_bits), name=f"step{lane}")
            m.d.comb += [
                old.eq(Mux(forward, f_data[lane], self.isum_data[lane])),
                step.eq(self.weight_data[lane] << w_shift),
                self.write_data[lane].eq(Mux(w_en[lane], Mux(w_negate, old - step, old + step), old)),
            ]
        m.d.comb += [
            self.write_addr.eq(w_addr),
            self.write_en.eq(Mux(w_valid, w_en, 0)),
            self.busy.eq(a_valid | b_valid | c_valid | run | w_valid),
        ]
        return m
