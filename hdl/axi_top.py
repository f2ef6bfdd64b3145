"""The chip behind AXI: ``sdann_axi``, with AXI4-Lite registers and AXI4-Stream words."""

from collections.abc import Callable

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from .axi_lite import AxiLite, RegisterPort
from .axi_stream import WordsIn, WordsOut
from .chip import Chip, assemble
from .config import ChipConfig
from .host import RunState

__all__ = ["AXI_MODULE", "AxiChip", "axi_verilog"]

AXI_MODULE = "sdann_axi"


class AxiChip(wiring.Component):
    """The whole mesh with AXI ports.

    Parameters
    ----------
    config : ChipConfig
    data_bytes : int or None
        Width of both TDATA in bytes, a power of two; None: a word in one beat.

    Members
    -------
    s_axil_* : AXI4-Lite slave, the registers (:class:`hdl.axi_lite.AxiLite`)
    s_axis_* : AXI4-Stream slave, words from the host
    m_axis_* : AXI4-Stream master, words to the host
    state : RunState
        For a status pin or an interrupt.
    """

    def __init__(self, config: ChipConfig, *, data_bytes: int | None = None) -> None:
        self.config = config
        self._in, self._out = WordsIn(config, data_bytes=data_bytes), WordsOut(config, data_bytes=data_bytes)
        self._bundles = {
            "s_axil_": AxiLite(),
            "s_axis_": self._in.signature.members["axis"].signature,
            "m_axis_": self._out.signature.members["axis"].signature,
        }
        # Flat, so that the ports have the names that AXI tools look for.
        members = {
            f"{prefix}{name}": member
            for prefix, signature in self._bundles.items()
            for name, member in signature.members.items()
        }
        super().__init__(members | {"state": Out(RunState)})

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.chip = chip = Chip(self.config, ports=True)
        # RESET forgets words that wait here, as it forgets the one that waits in the bridge.
        m.submodules.words_in = ResetInserter(chip.reset)(self._in)
        m.submodules.words_out = self._out
        m.submodules.registers = registers = RegisterPort(self.config)
        connect(m, registers.bus, chip.bus)
        connect(m, self._in.o, chip.i)
        connect(m, chip.o, self._out.i)
        m.d.comb += [self._out.i_last.eq(chip.o_last), self.state.eq(chip.state)]
        for prefix, inner in (("s_axil_", registers.axi), ("s_axis_", self._in.axis), ("m_axis_", self._out.axis)):
            for name, member in self._bundles[prefix].members.items():
                outer, own = getattr(self, f"{prefix}{name}"), getattr(inner, name)
                m.d.comb += own.eq(outer) if member.flow == In else outer.eq(own)
        return m


def axi_verilog(
    config: ChipConfig, *, data_bytes: int | None = None, progress: Callable[[str], None] | None = None
) -> str:
    """The chip with AXI ports as one Verilog text, with ``sdann_axi`` on top; see :func:`hdl.chip.chip_verilog`."""
    return assemble(config, {AXI_MODULE: lambda: AxiChip(config, data_bytes=data_bytes)}, progress)
