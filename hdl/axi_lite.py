"""AXI4-Lite slave for the host tile's registers (ARM IHI 0022, AXI4-Lite)."""

from typing import TYPE_CHECKING

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import ChipConfig
from .host import REGISTER_BITS, Register
from .host_tile import RegisterBus
from .registers import ADDRESS_BITS, BYTES, register_map

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = ["AxiLite", "RegisterPort", "Response"]


class Response(enum.Enum, shape=2):  # type: ignore[call-arg]
    """BRESP and RRESP."""

    OKAY = 0
    SLVERR = 2  # the register is there, and cannot be accessed like this
    DECERR = 3  # there is no such register


class AxiLite(wiring.Signature):
    """The channels' signals, as the slave sees them: names as in the specification, without a prefix."""

    def __init__(self) -> None:
        super().__init__({
            "awaddr": In(ADDRESS_BITS), "awprot": In(3), "awvalid": In(1), "awready": Out(1),
            "wdata": In(REGISTER_BITS), "wstrb": In(BYTES), "wvalid": In(1), "wready": Out(1),
            "bresp": Out(Response), "bvalid": Out(1), "bready": In(1),
            "araddr": In(ADDRESS_BITS), "arprot": In(3), "arvalid": In(1), "arready": Out(1),
            "rdata": Out(REGISTER_BITS), "rresp": Out(Response), "rvalid": Out(1), "rready": In(1),
        })  # fmt: skip


class RegisterPort(wiring.Component):
    """Carries out AXI4-Lite accesses on the register bus.

    Address and data of a write may come in any order; one write and one read are held while their responses wait. Every
    ready and valid is a register's. An access takes the bus for one cycle and leaves the next one free. A write must
    set all byte strobes, or none (which does nothing).

    Members
    -------
    axi : AxiLite
    bus : RegisterBus
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({"axi": Out(AxiLite()), "bus": Out(RegisterBus())})

    def elaborate(self, platform) -> Module:
        m = Module()
        axi, bus = self.axi, self.bus
        entries = register_map(self.config).values()

        # One register stage per request channel.
        aw_held, w_held, ar_held = Signal(), Signal(), Signal()
        aw, ar = Signal(ADDRESS_BITS - 2), Signal(ADDRESS_BITS - 2)
        data, strobes = Signal(REGISTER_BITS), Signal(BYTES)
        m.d.comb += [axi.awready.eq(~aw_held), axi.wready.eq(~w_held), axi.arready.eq(~ar_held)]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [aw_held.eq(1), aw.eq(axi.awaddr[2:])]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [w_held.eq(1), data.eq(axi.wdata), strobes.eq(axi.wstrb)]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [ar_held.eq(1), ar.eq(axi.araddr[2:])]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)

        # The access: writes and reads take turns where both wait.
        rest, write_last = Signal(), Signal()
        can_write, can_read, write = Signal(), Signal(), Signal()
        number = Signal(ADDRESS_BITS - 2)
        known, allowed = Signal(), Signal()
        m.d.comb += [
            can_write.eq(aw_held & w_held & ~axi.bvalid),
            can_read.eq(ar_held & ~axi.rvalid),
            write.eq(can_write & ~(can_read & write_last)),
            number.eq(ar),
        ]
        with m.If(write):
            m.d.comb += number.eq(aw)
        with m.Switch(number):
            for entry in entries:
                with m.Case(entry.register.value):
                    m.d.comb += known.eq(1)
                    m.d.comb += allowed.eq((write & entry.access.writable) | (~write & entry.access.readable))
        go = Signal()
        whole, nothing = strobes.all(), strobes == 0
        response = Signal(Response)
        m.d.comb += [
            go.eq((can_write | can_read) & ~rest),
            bus.valid.eq(go & known & allowed & (~write | whole)),
            bus.write.eq(write), bus.value.eq(data), response.eq(Response.SLVERR),
        ]  # fmt: skip
        with m.Switch(number):
            for register in Register:
                with m.Case(register.value):
                    m.d.comb += bus.register.eq(register)
        with m.If(~known):
            m.d.comb += response.eq(Response.DECERR)
        with m.Elif(allowed & (~write | whole | nothing)):
            m.d.comb += response.eq(Response.OKAY)
        m.d.sync += rest.eq(go)
        with m.If(go):
            m.d.sync += write_last.eq(write)
            with m.If(write):
                m.d.sync += [aw_held.eq(0), w_held.eq(0), axi.bvalid.eq(1), axi.bresp.eq(response)]
            with m.Else():
                m.d.sync += [ar_held.eq(0), axi.rvalid.eq(1), axi.rresp.eq(response), axi.rdata.eq(0)]
                with m.If(bus.valid):
                    m.d.sync += axi.rdata.eq(bus.answer)
        return m
