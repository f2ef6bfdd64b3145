"""ULX3S with an ECP5-85F: a chip behind the board's USB serial port (FT231X), clocked by a PLL.

LEDs 0..2 show the run state, LED 6 lost words (see :class:`hdl.board.serial.SerialBridge`), LED 7 the PLL's lock.
"""

from amaranth.hdl import ClockDomain, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..chip import chip_verilog
from ..config import ChipConfig
from ..host import RunState
from ..verilog import convert
from .pll import PLL_MODULE, pll_settings, pll_verilog
from .serial_chip import SERIAL_MODULE, SerialChip

__all__ = ["BAUD", "OSCILLATOR_MHZ", "ULX3S_MODULE", "Ulx3s", "clock_mhz", "constraints", "ulx3s_verilog"]

ULX3S_MODULE = "sdann_ulx3s"
OSCILLATOR_MHZ = 25.0
BAUD = 3_000_000
"""Bits per second of the serial line, the most that the FT231X does."""

PINS = {
    "clk_25mhz": "G2", "btn_power": "D6", "ftdi_rxd": "L4", "ftdi_txd": "M1",
    **{f"led[{n}]": site for n, site in enumerate(("B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3"))},
}  # fmt: skip
"""Package pins (CABGA381). ``ftdi_rxd`` is what the FT231X receives."""


CLOCK_NET = "clock"
"""The PLL's clock, in the top."""


def clock_mhz(wanted_mhz: float) -> float:
    """The PLL's clock for a wanted one: the nearest that is not above it."""
    return pll_settings(OSCILLATOR_MHZ, wanted_mhz).mhz


def constraints(aim_mhz: float) -> str:
    """Pins and clocks of the board, as an LPF file; the design is laid out for a clock of ``aim_mhz``."""
    lines = []
    for name, site in PINS.items():
        pull = "UP" if name in ("btn_power", "ftdi_txd") else "NONE"
        lines.append(f'LOCATE COMP "{name}" SITE "{site}";')
        lines.append(f'IOBUF PORT "{name}" PULLMODE={pull} IO_TYPE=LVCMOS33 DRIVE=4;')
    lines.append(f'FREQUENCY PORT "clk_25mhz" {OSCILLATOR_MHZ:g} MHZ;')
    lines.append(f'FREQUENCY NET "{CLOCK_NET}" {aim_mhz:g} MHZ;')  # overrides what follows from the PLL
    lines.append("SYSCONFIG CONFIG_IOVOLTAGE=3.3 COMPRESS_CONFIG=ON MCCLK_FREQ=62 SLAVE_SPI_PORT=DISABLE;")
    return "\n".join(lines) + "\n"


class Ulx3s(wiring.Component):
    """The board's top: PLL and reset around an instance of :class:`hdl.board.serial_chip.SerialChip`. Verilog only.

    Parameters
    ----------
    config : ChipConfig
    mhz : float
        Wanted clock; the PLL makes the nearest one that is not above it.

    Members
    -------
    as in :data:`PINS`; ``btn_power`` is low while pressed, and then resets everything.
    """

    def __init__(self, config: ChipConfig, *, mhz: float) -> None:
        self.config = config
        self.settings = pll_settings(OSCILLATOR_MHZ, mhz)
        self.divisor = round(self.settings.mhz * 1e6 / BAUD)
        super().__init__({
            "clk_25mhz": In(1), "btn_power": In(1), "ftdi_txd": In(1, init=1), "ftdi_rxd": Out(1), "led": Out(8),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        clock, locked = Signal(name=CLOCK_NET), Signal()
        m.submodules.pll = Instance(PLL_MODULE, i_i=self.clk_25mhz, o_o=clock, o_locked=locked)
        m.domains.sync = sync = ClockDomain(reset_less=True)
        sync.clk = clock
        # Two registers bring lock and button into the clock's domain; a few more make a clean, long reset.
        history = Signal(8)
        m.d.sync += history.eq((history << 1) | (locked & self.btn_power))
        reset = Signal(init=1)
        m.d.sync += reset.eq(~history[1:].all())
        state, overrun = Signal(RunState), Signal()
        m.submodules.serial = Instance(
            SERIAL_MODULE, i_clk=clock, i_rst=reset, i_rx=self.ftdi_txd, o_tx=self.ftdi_rxd, o_state=state.as_value(),
            o_overrun=overrun,
        )  # fmt: skip
        m.d.comb += [
            self.led[:3].eq(state), self.led[6].eq(overrun), self.led[7].eq(locked),
        ]  # fmt: skip
        return m


def ulx3s_verilog(config: ChipConfig, *, mhz: float) -> str:
    """The board's design as one Verilog text, top :data:`ULX3S_MODULE`."""
    top = Ulx3s(config, mhz=mhz)
    serial = convert(SerialChip(config, divisor=top.divisor), SERIAL_MODULE, closed=False)
    pll = pll_verilog(top.settings, input_mhz=OSCILLATOR_MHZ)
    return "\n".join([convert(top, ULX3S_MODULE, closed=False), pll, serial, chip_verilog(config)])
