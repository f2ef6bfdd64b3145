"""What a core can tell of a bad program: words out of the chip's ranges, and flits that make no word.

The ranges are in :func:`limits`, for the RTL here and for the driver, which names the field when the chip refuses.
"""

from typing import Any

from amaranth.hdl import Module, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig
from ..flit import payload_layouts
from ..program import (
    MAX_POOL_KERNEL,
    WRITABLE,
    Memory,
    address_bits,
    chunk_bits,
    chunks_of,
    memory_layouts,
)

__all__ = ["CHECKED", "ProgramCheck", "limits"]

CHECKED = (Memory.CORE, Memory.EDGE, Memory.ROUTE, Memory.REQUANT)
"""Memories whose words are checked."""


def limits(config: ChipConfig, memory: Memory) -> dict[str, tuple[int, int]]:
    """Lowest and highest value of the fields of a word of ``memory`` (a Requant: of each of its elements).

    CORE and EDGE: where the word is enabled. A pooling core also needs ``pool_kernel`` of at least 1, every core
    ``slots * out_words <= act_words``, ``lo <= hi`` and ``x0 + out_width <= map_side``, a core and an edge ``group0 +
    groups <= map_groups``, and a route phases below ``2^phase_log2``.
    """
    c, side, groups = config, config.map_side, config.map_groups
    if memory is Memory.CORE:
        return {
            "stage": (0, c.stages), "height": (1, side), "width": (1, side), "groups": (1, c.group_words),
            "words": (1, c.neuron_words), "y0": (0, side - 1), "x0": (0, side - 1), "group0": (0, groups - 1),
            "last_lanes": (1, c.lanes), "shift1": (0, c.max_shift), "rot": (0, c.time_steps - 1),
            "drlo": (0, c.time_steps), "pool_kernel": (0, MAX_POOL_KERNEL), "out_width": (0, side),
            "out_words": (0, c.act_words // 2), "slots": (0, c.slots), "ages": (0, c.slots - 1),
            "part": (0, c.parts - 1), "part_y": (0, c.rows - 1), "part_x": (0, c.cols - 1), "routes": (0, c.routes),
        }  # fmt: skip
    if memory is Memory.EDGE:
        return {
            "shift": (0, c.max_edge_shift), "kernel_h": (1, side), "kernel_w": (1, side), "group0": (0, groups - 1),
            "groups": (1, groups), "row_shift": (0, (c.lanes - 1).bit_length()),
            "weight_base": (0, c.weight_words - 1),
        }  # fmt: skip
    if memory is Memory.ROUTE:
        return {
            "y0": (0, side - 1), "y1": (0, side - 1), "x0": (0, side - 1), "x1": (0, side - 1),
            "group0": (0, groups - 1), "group1": (0, groups - 1), "edge": (0, c.edges - 1), "age": (0, c.slots - 2),
        }  # fmt: skip
    if memory is Memory.REQUANT:
        return {"shift": (0, c.max_shift)}
    return {}


def _outside(view: data.View, ranges: dict[str, tuple[int, int]]) -> list[Any]:
    """A bit per limit that a field of its width can leave."""
    found: list[Any] = []
    for name, (low, high) in ranges.items():
        shape = Shape.cast(view.shape()[name].shape)
        if low > 0:
            found.append(view[name] < low)
        if high < (1 << shape.width) - 1:
            found.append(view[name] > high)
    return found


class ProgramCheck(wiring.Component):
    """Watches a core's loader.

    A bad CORE, EDGE or ROUTE word is a fault until a good one takes its place; a bad REQUANT word, a rejected flit and
    chunks out of order are faults until the next program begins.

    Members
    -------
    chunk, chunk_valid, rejected : "memory" payload, bits
        A WRITE flit at the loader, and whether the loader rejects it.
    en, mem, address : as the loader's
        A word that is written.
    words : one member per memory of :data:`CHECKED`
        That word as one of each.
    clear : bit
        CLEAR: words that were begun are forgotten.
    load : bit
        LOAD: faults are forgotten as well.
    fault : bit
        Three cycles after the flit.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "chunk": In(payload_layouts(config)["memory"]),
            "chunk_valid": In(1),
            "rejected": In(1),
            "en": In(1),
            "mem": In(Memory),
            "address": In(address_bits(config)),
            "words": In(data.StructLayout({
                memory.name.lower(): memory_layouts(config)[memory].size for memory in CHECKED
            })),
            "clear": In(1),
            "load": In(1),
            "fault": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        bad = {
            Memory.CORE: self._core(), Memory.EDGE: self._edge(), Memory.ROUTE: self._route(),
            Memory.REQUANT: self._requant(),
        }  # fmt: skip

        # Two stages: what is wrong with the word, and where to note it.
        noted, where, mem = Signal(), Signal.like(self.address), Signal(Memory)
        wrong = Signal(len(CHECKED))
        m.d.sync += [noted.eq(self.en), where.eq(self.address), mem.eq(self.mem)]
        for index, memory in enumerate(CHECKED):
            m.d.sync += wrong[index].eq(Value.cast(bad[memory]))
        depths = {Memory.CORE: 1, Memory.EDGE: config.edges, Memory.ROUTE: config.routes, Memory.REQUANT: 1}
        faults = {memory: Signal(depths[memory], name=f"fault_{memory.name.lower()}") for memory in CHECKED}
        for index, memory in enumerate(CHECKED):
            with m.If(noted & (mem == memory)):
                if memory is Memory.REQUANT:
                    m.d.sync += faults[memory].eq(faults[memory] | wrong[index])
                else:
                    for place in range(depths[memory]):
                        with m.If(where == place):
                            m.d.sync += faults[memory][place].eq(wrong[index])

        # Chunks of a word come one after the other, from the first to the last.
        chunk = self.chunk
        due, begun = Signal(chunk_bits(config)), Signal()
        open_mem, open_address = Signal(Memory), Signal(address_bits(config))
        final, disorder, transport = Signal(), Signal(), Signal()
        with m.Switch(chunk.mem):
            for memory in WRITABLE:
                with m.Case(memory):
                    m.d.comb += final.eq(chunk.chunk == chunks_of(config, memory) - 1)
        m.d.comb += disorder.eq(
            (chunk.chunk != due)
            | (chunk.last != final)
            | (begun & ((chunk.mem != open_mem) | (chunk.addr != open_address)))
        )
        with m.If(self.chunk_valid):
            m.d.sync += [open_mem.eq(chunk.mem), open_address.eq(chunk.addr), begun.eq(~chunk.last)]
            m.d.sync += due.eq(chunk.chunk + 1)
            with m.If(chunk.last):
                m.d.sync += due.eq(0)
            with m.If(disorder | self.rejected):
                m.d.sync += transport.eq(1)
        with m.If(self.clear | self.load):
            m.d.sync += [due.eq(0), begun.eq(0)]
        with m.If(self.load):
            m.d.sync += [transport.eq(0), noted.eq(0), *(fault.eq(0) for fault in faults.values())]
        m.d.sync += self.fault.eq(transport | _any(fault.any() for fault in faults.values()))
        return m

    def _view(self, memory: Memory) -> Any:
        return data.View(memory_layouts(self.config)[memory], self.words[memory.name.lower()])

    def _core(self) -> Value:
        config = self.config
        core = self._view(Memory.CORE)
        found = _outside(core, limits(config, Memory.CORE))
        found += [core.pool & (core.pool_kernel == 0), core.lo > core.hi]
        found += [core.group0 + core.groups > config.map_groups, core.x0 + core.out_width > config.map_side]
        found += [
            (core.slots == slots) & (core.out_words > config.act_words // slots)
            for slots in range(3, config.slots + 1)
        ]  # fmt: skip
        return core.enable & _any(found)

    def _edge(self) -> Value:
        config = self.config
        edge = self._view(Memory.EDGE)
        found = _outside(edge, limits(config, Memory.EDGE))
        found.append(edge.group0 + edge.groups > config.map_groups)
        return edge.enable & _any(found)

    def _route(self) -> Value:
        config = self.config
        route = self._view(Memory.ROUTE)
        found = _outside(route, limits(config, Memory.ROUTE))
        for phase in (route.phase_y, route.phase_x):
            found.append((phase >> route.phase_log2) != 0)
        return _any(found)

    def _requant(self) -> Value:
        config = self.config
        elements = self._view(Memory.REQUANT)
        found: list[Any] = []
        for index in range(config.requant_lanes):
            found += _outside(elements[index], limits(config, Memory.REQUANT))
        return _any(found)


def _any(bits: Any) -> Value:
    """Or of all ``bits``; 0 where there is none."""
    result = Value.cast(0)
    for bit in bits:
        result = result | bit
    return result.any()
