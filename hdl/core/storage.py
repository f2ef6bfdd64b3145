"""The memories of a core, and who has their ports."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..memory import Ram, RamTwoRead
from ..program import CoreDescriptor, Memory, memory_depths, memory_layouts

__all__ = ["Storage"]


class Storage(wiring.Component):
    """Every memory has one read port (``<memory>_address``, ``_en``, ``_read``: data follow by one cycle and hold while
    ``_en`` is low) and one write port (``<memory>_write_en``, ``_write_address``, ``_write``), except the core
    descriptor, a register (``core``). Memories that passes write have one enable per ``requant_lanes`` lanes.

    Activations: the address's top bit is the slot. What a read gives of parts that are written in the same cycle is
    unknown. With two ``weight_ports`` the weights have a second read port (``weight_b_address``, ``weight_b_read``),
    and a write of them takes the place of the first one's read.
    """

    MEMORIES = (
        Memory.EDGE, Memory.ROUTE, Memory.REQUANT, Memory.WEIGHT, Memory.ACT, Memory.ISUM, Memory.MEMBRANE,
    )  # fmt: skip
    BY_PARTS = (Memory.ACT, Memory.ISUM, Memory.MEMBRANE)

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        layouts, depths = memory_layouts(config), memory_depths(config)
        members = {
            "core": Out(CoreDescriptor(config)),
            "core_write_en": In(1),
            "core_write": In(CoreDescriptor(config)),
        }
        self._depths = {}
        for memory in self.MEMORIES:
            name = memory.name.lower()
            bits = bits_for(depths[memory] - 1) + (memory is Memory.ACT)
            # Activation slots begin at powers of two, and CLEAR walks the neurons' memories in both slots' step.
            self._depths[memory] = 1 << bits if memory in self.BY_PARTS else depths[memory]
            members |= {
                f"{name}_address": In(bits), f"{name}_en": In(1, init=1), f"{name}_read": Out(layouts[memory]),
                f"{name}_write_en": In(config.requant_subwords if memory in self.BY_PARTS else 1),
                f"{name}_write_address": In(bits), f"{name}_write": In(layouts[memory]),
            }  # fmt: skip
        if config.weight_ports == 2:
            members |= {
                "weight_b_address": In(bits_for(depths[Memory.WEIGHT] - 1)),
                "weight_b_read": Out(layouts[Memory.WEIGHT]),
            }
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        layouts = memory_layouts(self.config)
        with m.If(self.core_write_en):
            m.d.sync += self.core.eq(self.core_write)
        for memory in self.MEMORIES:
            name = memory.name.lower()
            if memory is Memory.WEIGHT and self.config.weight_ports == 2:
                m.submodules[name] = two = RamTwoRead(shape=layouts[memory].size, depth=self._depths[memory])
                m.d.comb += [
                    two.w_en.eq(self.weight_write_en), two.w_data.eq(self.weight_write), two.a_en.eq(self.weight_en),
                    two.a_addr.eq(Mux(self.weight_write_en, self.weight_write_address, self.weight_address)),
                    self.weight_read.eq(two.a_data),
                    two.b_addr.eq(self.weight_b_address), self.weight_b_read.eq(two.b_data),
                ]  # fmt: skip
                continue
            parts = self.config.requant_subwords if memory in self.BY_PARTS else 1
            ram = Ram(shape=layouts[memory].size, depth=self._depths[memory], parts=parts)
            m.submodules[name] = ram
            m.d.comb += [
                ram.w_data.eq(getattr(self, f"{name}_write")),
                ram.w_addr.eq(getattr(self, f"{name}_write_address")),
                ram.w_en.eq(getattr(self, f"{name}_write_en")),
                ram.r_addr.eq(getattr(self, f"{name}_address")),
                ram.r_en.eq(getattr(self, f"{name}_en")),
                getattr(self, f"{name}_read").eq(ram.r_data),
            ]  # fmt: skip
        return m
