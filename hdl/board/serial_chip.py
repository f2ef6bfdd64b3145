"""A chip behind a serial line: everything of a board's design but its clock."""

from amaranth.hdl import ClockDomain, DomainRenamer, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..assembly import add_part
from ..chip import CHIP_MODULE, Chip, chip_signature
from ..config import ChipConfig
from ..host import RunState
from .serial import SerialBridge
from .uart import UartReceiver, UartTransmitter

__all__ = ["SERIAL_MODULE", "SerialChip"]

SERIAL_MODULE = "sdann_serial"


class SerialChip(wiring.Component):
    """UART, bridge and chip.

    Parameters
    ----------
    config : ChipConfig
    divisor : int
        Clock cycles per bit of the serial line.

    Members
    -------
    clk, rst : clock and synchronous reset. Explicit, because the chip has a reset of its own on the same clock.
    rx, tx : wires
    state : RunState
        The chip's, for LEDs.
    overrun : bit
        See :class:`hdl.board.serial.SerialBridge`.
    """

    def __init__(self, config: ChipConfig, *, divisor: int) -> None:
        self.config, self.divisor = config, divisor
        super().__init__({
            "clk": In(1), "rst": In(1), "rx": In(1, init=1), "tx": Out(1, init=1), "state": Out(RunState),
            "overrun": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.receiver = receiver = UartReceiver(divisor=self.divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(divisor=self.divisor)
        m.submodules.bridge = bridge = SerialBridge(self.config)
        reset = Signal(init=1)  # registered: it reaches every part of the chip
        m.domains.sync = sync = ClockDomain()
        m.domains.chip = own = ClockDomain()
        sync.clk, sync.rst, own.clk, own.rst = self.clk, self.rst, self.clk, reset
        m.d.sync += reset.eq(bridge.reset)
        inner = Module()
        chip = add_part(inner, "chip", lambda: Chip(self.config), chip_signature(self.config), CHIP_MODULE, platform)
        m.submodules.chip = DomainRenamer("chip")(inner)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        m.d.comb += [self.state.eq(chip.state), self.overrun.eq(bridge.overrun)]
        connect(m, receiver.o, bridge.i)
        connect(m, bridge.o, transmitter.i)
        connect(m, bridge.words, chip.i)
        connect(m, chip.o, bridge.answers)
        return m
