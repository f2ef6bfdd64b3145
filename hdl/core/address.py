"""From a spike bundle to the kernel offsets and neurons that it reaches."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..flit import payload_layouts
from ..products import registered_product
from ..program import CoreDescriptor, EdgeDescriptor
from .mask import popcount
from .stalls import Stalls

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
    """Work of one bundle: ``rows + 1`` times ``columns + 1`` kernel offsets times ``groups + 1`` output groups times
    ``visits + 1`` visits, each of the next ``weight_ports`` bits of ``mask`` (one if ``single``, at the last visit).

    ``block``: number of the first block of weight words; a mask bit's word is ``base + (block << row_shift) + bit``.
    ``neuron``: the first neuron word. From one group to the next both go up by one; from the last group to the next
    kernel column's first one by ``block_column`` and ``neuron_column``, from the last column's last group to the
    next kernel row's first one by ``block_row`` and ``neuron_row`` (all modulo the memory's address range).
    ``mask`` is never zero. ``depthwise``: one visit per offset, mask = lane enables, ``reach`` of which are of
    existing neurons. ``shift``, ``signed``: as in :func:`hdl.program.EdgeDescriptor`.
    """
    wb, nb, side = weight_bits(config), neuron_bits(config), bits_for(config.map_side)
    edge = EdgeDescriptor(config)
    return data.StructLayout({
        "rows": side, "columns": side, "groups": bits_for(config.group_words - 1),
        "visits": bits_for(config.lanes // config.weight_ports - 1), "single": 1,
        "base": wb, "row_shift": edge["row_shift"].shape, "block": wb, "block_column": wb, "block_row": wb,
        "neuron": nb, "neuron_column": nb, "neuron_row": nb,
        "mask": config.lanes, "depthwise": 1, "reach": bits_for(config.lanes),
        "signed": 1, "shift": edge["shift"].shape,
    })  # fmt: skip


class _Axis:
    """One axis: which kernel offsets of a source position land in the region, and on which of its rows (or columns).

    In the cycle after ``place``: nothing yet. After ``begin``: ``first``, the first such offset; ``row``, where it
    lands; ``hit``, whether there is one; ``count``, how many more there are.
    """

    def __init__(self, m: Module, name: str, side: int, offset, top: Signal) -> None:
        """``offset``: shape of the edge's y_offset or x_offset. ``top``: the region's last row."""
        self._top = top
        self._u = Signal(signed(offset.width + 1), name=f"{name}_u")  # position, from the region's first row on
        self._span = Signal(side + 3, name=f"{name}_span")  # of the region, in source positions
        self._kernels = [Signal(side, name=f"{name}_kernel_{n}") for n in (2, 3)]
        self._strides = [Signal(2, name=f"{name}_stride_log2_{n}") for n in (2, 3)]
        self._offset = Signal(len(self._u) - 1, name=f"{name}_offset")  # may be far beyond the kernel
        self._sane = Signal(name=f"{name}_sane")
        self.row, self.count = Signal(side, name=f"{name}_row"), Signal(side, name=f"{name}_count")
        self.first, self.hit = self._offset[:side], Signal(name=f"{name}_hit")
        room, steps = Signal(signed(len(self._u) + 1), name=f"{name}_room"), Signal(side, name=f"{name}_steps")
        m.d.comb += [
            room.eq(self._kernels[1] + ~Cat(self._offset, 0).as_signed()),  # kernel - 1 - offset
            self.hit.eq(self._sane & (room >= 0)),
            steps.eq(room[:side] >> self._strides[1]),
            self.count.eq(Mux(self.row < steps, self.row, steps)),
        ]

    def place(self, m: Module, position, offset, kernel, stride_log2) -> None:
        m.d.sync += [
            self._u.eq(position + offset), self._span.eq(self._top << stride_log2),
            self._kernels[0].eq(kernel), self._strides[0].eq(stride_log2),
        ]  # fmt: skip

    def begin(self, m: Module) -> None:
        u, stride = self._u, self._strides[0]
        below = u - self._span  # offset at the last row
        inside = below < 0
        m.d.sync += [
            self._offset.eq(Mux(inside, u & ((1 << stride) - 1), below)), self._sane.eq(u >= 0),
            self.row.eq(Mux(inside, u >> stride, self._top)),
            self._kernels[1].eq(self._kernels[0]), self._strides[1].eq(stride),
        ]  # fmt: skip


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
    spikes : number
        Mask bits of a bundle that an edge took in the cycle before.
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
            "spikes": Out(bits_for(config.lanes)),
            "rejected": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        wb, nb, side = weight_bits(config), neuron_bits(config), bits_for(config.map_side)
        core, edge = self.core, self.edge

        # Stages: 1 edge read, 2 place, 3 first offsets, 4 products, 5 more products, 6 the job. A stage moves if the
        # next one does. It then loads even what is not valid: that is known later, and these registers are many.
        count = 6
        valid = [Signal(name=f"valid_{n}") for n in range(count + 1)]  # valid[0] is the input
        ready = [Signal(name=f"ready_{n}") for n in range(count + 1)]  # ready[n]: stage n may load
        keep = [Signal(name=f"keep_{n}", init=1) for n in range(count + 1)]  # what leaves stage n continues to n + 1
        m.submodules.stalls = stalls = Stalls(count)
        m.d.comb += [
            valid[0].eq(self.i.valid), self.i.ready.eq(ready[1]),
            stalls.next_ready.eq(self.o.ready), stalls.valid.eq(Cat(valid[1:])), Cat(ready[1:]).eq(stalls.ready),
        ]  # fmt: skip
        for n in range(1, count + 1):
            with m.If(ready[n]):
                m.d.sync += valid[n].eq(valid[n - 1] & keep[n - 1])
        m.d.comb += self.busy.eq(Cat(valid[1:]).any())

        # Constant while bundles are under way.
        height_top, width_top = Signal(side), Signal(side)
        group_top, neuron_row = Signal(bits_for(config.group_words - 1)), Signal(nb, name="neuron_row")
        m.d.sync += [
            height_top.eq(core.height - 1),
            width_top.eq(core.width - 1),
            group_top.eq(core.groups - 1),
        ]
        registered_product(m, platform, neuron_row, core.width, core.groups)

        # 1: the edge descriptor is being read.
        spike = Signal(self._spike)
        exists = Signal()
        m.d.comb += [self.edge_address.eq(self.i.payload.edge), self.edge_en.eq(ready[1])]
        with m.If(ready[1]):
            m.d.sync += [spike.eq(self.i.payload), exists.eq(self.i.payload.edge < config.edges)]

        # 2: acceptance, place relative to the region.
        carried = data.StructLayout({
            "edge": EdgeDescriptor(config), "mask": config.lanes, "g": bits_for(config.map_groups - 1),
        })  # fmt: skip
        bundle2, bundle3 = Signal(carried), Signal(carried)
        g = Signal(signed(bits_for(config.map_groups) + 1))
        taken = Signal()
        m.d.comb += [
            g.eq(spike.group - edge.group0),
            keep[1].eq(core.enable & edge.enable & exists & (g >= 0) & (g < edge.groups)),
            self.rejected.eq(valid[1] & ready[2] & ~keep[1]),
        ]
        y = _Axis(m, "y", side, edge.y_offset.shape(), height_top)
        x = _Axis(m, "x", side, edge.x_offset.shape(), width_top)
        m.d.sync += taken.eq(valid[1] & ready[2] & keep[1])
        with m.If(ready[2]):
            y.place(m, spike.y, edge.y_offset, edge.kernel_h, edge.stride_log2)
            x.place(m, spike.x, edge.x_offset, edge.kernel_w, edge.stride_log2)
            m.d.sync += [bundle2.edge.eq(edge), bundle2.mask.eq(spike.mask), bundle2.g.eq(g)]

        # 3: first kernel offsets and the neurons there. The mask is counted.
        bits = popcount(bundle2.mask)
        m.d.comb += [
            self.spikes.eq(Mux(taken, bits, 0)),
            keep[2].eq(bundle2.mask.any() & (core.height != 0) & (core.width != 0) & (core.groups != 0)),
        ]
        bits3 = Signal(bits_for(config.lanes))
        with m.If(ready[3]):
            y.begin(m)
            x.begin(m)
            m.d.sync += [bundle3.eq(bundle2), bits3.eq(bits)]

        # 4: how many offsets. Products.
        edge3, g3 = bundle3.edge, bundle3.g
        last = g3 == group_top
        by_g, by_ky, by_kx = (Signal(wb, name=f"by_{n}") for n in ("g", "ky", "kx"))
        by_row, by_column, own_group = (Signal(nb, name=n) for n in ("by_row", "by_column", "own_group"))
        stride_y, stride_x = Signal(wb), Signal(wb)  # blocks from an offset to the next one that is visited
        top = Signal.like(group_top)
        job4, job5, job = (Signal(Job(config), name=name) for name in ("job4", "job5", "job"))
        exist = Mux(edge3.depthwise & last, (1 << core.last_lanes) - 1, (1 << config.lanes) - 1)[: config.lanes]
        existing = Signal(config.lanes)  # mask bits of existing neurons
        single = bits3[0] | edge3.depthwise if config.weight_ports == 2 else 0
        m.d.comb += keep[3].eq(y.hit & x.hit)
        for found, a, b in (
            (by_g, g3, Mux(edge3.depthwise, 1, edge3.stride_g)), (by_ky, y.first, edge3.stride_y),
            (by_kx, x.first, core.groups), (by_row, y.row, neuron_row), (by_column, x.row, core.groups),
        ):  # fmt: skip
            registered_product(m, platform, found, a, b, enable=ready[4], line=1)
        with m.If(ready[4]):
            m.d.sync += [
                own_group.eq(Mux(edge3.depthwise, g3, 0)), top.eq(Mux(edge3.depthwise, 0, group_top)),
                stride_y.eq(edge3.stride_y << edge3.stride_log2), stride_x.eq(core.groups << edge3.stride_log2),
                job4.rows.eq(y.count), job4.columns.eq(x.count),
                job4.visits.eq(Mux(edge3.depthwise, 0, (bits3 - 1) >> (config.weight_ports - 1))),
                job4.single.eq(single),
                job4.base.eq(edge3.weight_base), job4.row_shift.eq(Mux(edge3.depthwise, 0, edge3.row_shift)),
                job4.mask.eq(bundle3.mask), job4.depthwise.eq(edge3.depthwise),
                existing.eq(bundle3.mask & exist),
                job4.signed.eq(edge3.signed), job4.shift.eq(edge3.shift),
            ]  # fmt: skip

        # 5: what the last column is from the first one, in blocks and neuron words.
        across, words_across = Signal(wb, name="across"), Signal(nb, name="words_across")
        down, words_down = Signal(wb), Signal(nb)
        registered_product(m, platform, across, job4.columns, stride_x, enable=ready[5], line=2)
        registered_product(m, platform, words_across, job4.columns, core.groups, enable=ready[5], line=2)
        with m.If(ready[5]):
            m.d.sync += [
                job5.eq(job4), job5.reach.eq(popcount(existing)), job5.groups.eq(top),
                job5.block.eq(by_g + by_ky + by_kx),
                job5.neuron.eq(by_row + by_column + own_group),
                job5.block_column.eq(stride_x - top), job5.neuron_column.eq(-(core.groups + top)),
                down.eq(stride_y - top), words_down.eq(neuron_row + top),
            ]  # fmt: skip

        # 6: the job.
        with m.If(ready[6]):
            m.d.sync += [
                job.eq(job5), job.block_row.eq(down - across), job.neuron_row.eq(words_across - words_down),
            ]  # fmt: skip
        m.d.comb += [self.o.valid.eq(valid[6]), self.o.payload.eq(job)]
        return m
