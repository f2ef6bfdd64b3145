"""The memories of a core, and who has their ports."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..memory import Ram, RamTwoRead
from ..program import CoreDescriptor, ISums, Memory, Partials, memory_depths, memory_layouts

__all__ = ["Storage", "membrane_address_bits", "sub_bits"]


def sub_bits(config: ChipConfig) -> int:
    """Width of a sub-word's number in addresses (0 where a word is one)."""
    return (config.requant_subwords - 1).bit_length()


def membrane_address_bits(config: ChipConfig) -> int:
    """Width of an address of V: neuron word * requant_subwords + sub."""
    return bits_for(config.neuron_words - 1) + sub_bits(config)


class Storage(wiring.Component):
    """Every memory has one read port (``<memory>_address``, ``_en``, ``_read``: data follow by one cycle and hold while
    ``_en`` is low) and one write port (``<memory>_write_en``, ``_write_address``, ``_write``), except the core
    descriptor, a register (``core``). Activations have one write enable per ``requant_lanes`` lanes.

    V is stored by sub-words of ``requant_lanes`` neurons. What a read gives of parts that are written in the same cycle
    is unknown. With two ``weight_ports`` the weights have a second read port (``weight_b_address``, ``weight_b_read``),
    and a write of them takes the place of the first one's read.
    """

    MEMORIES = (
        Memory.EDGE, Memory.ROUTE, Memory.REQUANT, Memory.WEIGHT, Memory.ACT, Memory.ISUM, Memory.MEMBRANE,
    )  # fmt: skip
    CLEARED = (Memory.ACT, Memory.ISUM, Memory.MEMBRANE)

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        self._layouts = memory_layouts(config) | {Memory.ISUM: ISums(config), Memory.MEMBRANE: Partials(config)}
        depths = memory_depths(config) | {
            Memory.ACT: config.act_words, Memory.MEMBRANE: config.neuron_words * config.requant_subwords,
        }  # fmt: skip
        members = {
            "core": Out(CoreDescriptor(config)),
            "core_write_en": In(1),
            "core_write": In(CoreDescriptor(config)),
        }
        self._depths = {}
        for memory in self.MEMORIES:
            name = memory.name.lower()
            bits = bits_for(depths[memory] - 1)
            if memory is Memory.MEMBRANE:
                bits = membrane_address_bits(config)
            # CLEAR walks all addresses there are.
            self._depths[memory] = 1 << bits if memory in self.CLEARED else depths[memory]
            members |= {
                f"{name}_address": In(bits), f"{name}_en": In(1, init=1), f"{name}_read": Out(self._layouts[memory]),
                f"{name}_write_en": In(config.requant_subwords if memory is Memory.ACT else 1),
                f"{name}_write_address": In(bits), f"{name}_write": In(self._layouts[memory]),
            }  # fmt: skip
        if config.weight_ports == 2:
            members |= {
                "weight_b_address": In(bits_for(depths[Memory.WEIGHT] - 1)),
                "weight_b_read": Out(self._layouts[Memory.WEIGHT]),
            }
        super().__init__(members)

    def elaborate(self, platform) -> Module:
        m = Module()
        subwords = self.config.requant_subwords
        with m.If(self.core_write_en):
            m.d.sync += self.core.eq(self.core_write)
        for memory in self.MEMORIES:
            name = memory.name.lower()
            if memory is Memory.WEIGHT and self.config.weight_ports == 2:
                m.submodules[name] = two = RamTwoRead(shape=self._layouts[memory].size, depth=self._depths[memory])
                m.d.comb += [
                    two.w_en.eq(self.weight_write_en), two.w_data.eq(self.weight_write), two.a_en.eq(self.weight_en),
                    two.a_addr.eq(Mux(self.weight_write_en, self.weight_write_address, self.weight_address)),
                    self.weight_read.eq(two.a_data),
                    two.b_addr.eq(self.weight_b_address), self.weight_b_read.eq(two.b_data),
                ]  # fmt: skip
                continue
            parts = subwords if memory is Memory.ACT else 1
            ram = Ram(shape=self._layouts[memory].size, depth=self._depths[memory], parts=parts)
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
