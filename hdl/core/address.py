"""From a spike bundle to the kernel offsets and neurons that it reaches."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import payload_layouts
from ..program import CoreDescriptor, EdgeDescriptor

__all__ = ["AddressSetup", "Job", "edge_bits", "neuron_bits", "weight_bits"]


def weight_bits(config: ChipConfig) -> int:
    """Width of a weight address."""
    return bits_for(config.weight_words - 1)


def neuron_bits(config: ChipConfig) -> int:
    """Width of a neuron-word address."""
    return bits_for(config.neuron_words - 1)


def edge_bits(config: ChipConfig) -> int:
    """Width of an edge number."""
    return bits_for(config.edges - 1)


def Job(config: ChipConfig) -> data.StructLayout:
    """Work of one bundle: ``(rows + 1) * (columns + 1)`` kernel offsets times ``groups`` output groups (at least 1).

    ``weight``, ``neuron``: addresses of the first offset and group, for mask bit 0. One kernel row on:
    ``+ weight_row`` and ``- neuron_row``; one column on: ``+ weight_column`` and ``- neuron_column``; one group on:
    ``+ (1 << row_shift)`` and ``+ 1``. ``mask`` is never zero. ``depthwise``: one visit per offset, mask = lane
    enables;
    ``last`` then says that the visited group is the core's last one (else the group counter says so).
    ``shift``, ``signed``: as in :func:`hdl.program.EdgeDescriptor`.
    """
    wb, nb, side = weight_bits(config), neuron_bits(config), bits_for(config.map_side)
    edge = EdgeDescriptor(config)
    return data.StructLayout({
        "rows": side, "columns": side, "groups": bits_for(config.group_words),
        "weight": wb, "weight_row": wb, "weight_column": wb, "row_shift": edge["row_shift"].shape,
        "neuron": nb, "neuron_row": nb, "neuron_column": nb,
        "mask": config.lanes, "depthwise": 1, "last": 1, "signed": 1, "shift": edge["shift"].shape,
    })  # fmt: skip


def _window(config: ChipConfig, u: Signal, size, kernel, stride_log2, prefix: str):
    """Kernel offsets of one axis that land in the region: (statements, first offset, its output row, count - 1,
    any).
    """
    side = bits_for(config.map_side)
    first = Signal(side, name=f"{prefix}_first")
    row = Signal(side, name=f"{prefix}_row")
    count = Signal(side, name=f"{prefix}_count")
    hit = Signal(name=f"{prefix}_hit")
    below = Signal(signed(len(u) + 2), name=f"{prefix}_below")  # u - (size - 1) * stride
    room = Signal(signed(side + 2), name=f"{prefix}_room")  # kernel offsets beyond the first one
    steps = Signal(side, name=f"{prefix}_steps")
    inside = Signal(name=f"{prefix}_inside")
    statements = [
        below.eq(u - ((size - 1) << stride_log2)),
        inside.eq(below < 0),
        first.eq(Mux(inside, u & ((1 << stride_log2) - 1), below)),
        row.eq(Mux(inside, u >> stride_log2, size - 1)),
        room.eq(kernel - 1 - first),
        # An offset beyond the kernel may not fit `first` at all: compare the full numbers.
        hit.eq((u >= 0) & (size != 0) & Mux(inside, room >= 0, below < kernel)),
        steps.eq(room >> stride_log2),
        count.eq(Mux(row < steps, row, steps)),
    ]
    return statements, first, row, count, hit


class AddressSetup(wiring.Component):
    """Turns bundles into :func:`Job` s, one per cycle, in a pipeline that closes its gaps while it waits.

    Bundles that reach no neuron of the region vanish.

    Members
    -------
    core : CoreDescriptor
        Constant while bundles are under way.
    i : stream of "spike" payloads
        From the network.
    edge_address, edge_en, edge : memory port
        Reads the edge descriptor: ``edge`` follows ``edge_address`` by one cycle and holds while ``edge_en`` is low.
    o : stream of Job
        To the accumulator.
    busy : bit
        A bundle is in the pipeline.
    accepted, spikes_mask : bit, mask
        One cycle per bundle that an edge takes, with its mask.
    rejected : bit
        One cycle per bundle that no enabled edge takes.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self._spike = payload_layouts(config)["spike"]
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "i": In(stream.Signature(self._spike)),
            "edge_address": Out(edge_bits(config)),
            "edge_en": Out(1),
            "edge": In(EdgeDescriptor(config)),
            "o": Out(stream.Signature(Job(config))),
            "busy": Out(1),
            "accepted": Out(1),
            "spikes_mask": Out(config.lanes),
            "rejected": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        wb, nb, side = weight_bits(config), neuron_bits(config), bits_for(config.map_side)
        core, edge = self.core, self.edge

        # Stages: 1 edge read, 2 offsets, 3 windows, 4 products, 5 sums (the job). A stage moves if the next one does.
        valid = [Signal(name=f"valid_{n}") for n in range(6)]  # valid[0] is the input
        ready = [Signal(name=f"ready_{n}") for n in range(6)]  # ready[n]: stage n may load
        go = [Signal(name=f"go_{n}") for n in range(6)]  # stage n loads something
        keep = [Signal(name=f"keep_{n}", init=1) for n in range(6)]  # what leaves stage n continues to n + 1
        m.d.comb += [valid[0].eq(self.i.valid), self.i.ready.eq(ready[1])]
        for n in range(1, 6):
            after = self.o.ready if n == 5 else ready[n + 1]
            m.d.comb += [ready[n].eq(~valid[n] | after), go[n].eq(valid[n - 1] & ready[n] & keep[n - 1])]
            with m.If(ready[n]):
                m.d.sync += valid[n].eq(valid[n - 1] & keep[n - 1])
        m.d.comb += self.busy.eq(Cat(valid[1:]).any())

        # 1: the edge descriptor is being read.
        spike = Signal(self._spike)
        exists = Signal()
        m.d.comb += [self.edge_address.eq(self.i.payload.edge), self.edge_en.eq(ready[1])]
        with m.If(go[1]):
            m.d.sync += [spike.eq(self.i.payload), exists.eq(self.i.payload.edge < config.edges)]

        # 2: acceptance, offsets relative to the region.
        uy, ux = (Signal(signed(len(edge.y_offset) + 1), name=f"u{a}") for a in "yx")
        edge2, mask2, g2 = Signal(EdgeDescriptor(config)), Signal(config.lanes), Signal(bits_for(config.map_groups - 1))
        g = Signal(signed(bits_for(config.map_groups) + 1))
        m.d.comb += [
            g.eq(spike.group - edge.group0),
            keep[1].eq(core.enable & edge.enable & exists & (g >= 0) & (g < edge.groups)),
            self.accepted.eq(valid[1] & ready[2] & keep[1]),
            self.rejected.eq(valid[1] & ready[2] & ~keep[1]),
            self.spikes_mask.eq(spike.mask),
        ]
        with m.If(go[2]):
            m.d.sync += [
                uy.eq(spike.y + edge.y_offset), ux.eq(spike.x + edge.x_offset),
                edge2.eq(edge), mask2.eq(spike.mask), g2.eq(g),
            ]  # fmt: skip

        # 3: first kernel offset and how many.
        window_y, first_y, row_y, count_y, hit_y = _window(
            config, uy, core.height, edge2.kernel_h, edge2.stride_log2, "y"
        )
        window_x, first_x, row_x, count_x, hit_x = _window(
            config, ux, core.width, edge2.kernel_w, edge2.stride_log2, "x"
        )
        m.d.comb += [*window_y, *window_x, keep[2].eq(hit_y & hit_x & mask2.any() & (core.groups != 0))]
        edge3, mask3, g3 = Signal.like(edge2), Signal.like(mask2), Signal.like(g2)
        ky, kx, row, column, rows, columns = (
            Signal(side, name=n) for n in ("ky", "kx", "row", "column", "rows", "cols")
        )
        with m.If(go[3]):
            m.d.sync += [
                ky.eq(first_y), kx.eq(first_x), row.eq(row_y), column.eq(row_x), rows.eq(count_y), columns.eq(count_x),
                edge3.eq(edge2), mask3.eq(mask2), g3.eq(g2),
            ]  # fmt: skip

        # 4: products.
        neuron_row = Signal(nb)  # neuron words of one row of the region: constant while bundles are under way
        m.d.sync += neuron_row.eq(core.width * core.groups)
        by_g, by_ky, by_kx = (Signal(wb, name=f"by_{n}") for n in ("g", "ky", "kx"))
        by_row, by_column = Signal(nb), Signal(nb)
        job4 = Signal(Job(config))
        base4 = Signal(wb)
        row_shift = Mux(edge3.depthwise, 0, edge3.row_shift)
        with m.If(go[4]):
            m.d.sync += [
                by_g.eq(Mux(edge3.depthwise, g3, g3 * edge3.stride_g)),
                by_ky.eq(ky * edge3.stride_y), by_kx.eq(kx * core.groups),
                by_row.eq(row * neuron_row), by_column.eq(column * core.groups + Mux(edge3.depthwise, g3, 0)),
                base4.eq(edge3.weight_base),
                job4.rows.eq(rows), job4.columns.eq(columns),
                job4.groups.eq(Mux(edge3.depthwise, 1, core.groups)),
                job4.weight_row.eq(edge3.stride_y << edge3.stride_log2 << row_shift),
                job4.weight_column.eq(core.groups << edge3.stride_log2 << row_shift),
                job4.row_shift.eq(row_shift), job4.neuron_row.eq(neuron_row), job4.neuron_column.eq(core.groups),
                job4.mask.eq(mask3), job4.depthwise.eq(edge3.depthwise), job4.last.eq(g3 + 1 == core.groups),
                job4.signed.eq(edge3.signed), job4.shift.eq(edge3.shift),
            ]  # fmt: skip

        # 5: sums.
        job = Signal(Job(config))
        with m.If(go[5]):
            m.d.sync += [
                job.eq(job4),
                job.weight.eq(base4 + ((by_g + by_ky + by_kx) << job4.row_shift)),
                job.neuron.eq(by_row + by_column),
            ]
        m.d.comb += [self.o.valid.eq(valid[5]), self.o.payload.eq(job)]
        return m
