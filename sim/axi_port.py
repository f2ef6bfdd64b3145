"""The host's end of a chip behind AXI, driven by cocotbext-axi's bus models.

Words that access registers become AXI4-Lite accesses, all others beats of packets: a program, or a sample, ends with
TLAST.
"""

import random
from collections import deque
from collections.abc import Generator, Iterable
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from hdl.config import ChipConfig
from hdl.host import Control, HostIn, HostOp, HostOut, HostTag, Register, host_in_bits, host_out_bits
from hdl.pack import fields, pack, unpack
from hdl.registers import BYTES

__all__ = ["AxiPort"]

LOADED_POLLS = 10_000


def _pauses(stall: float, seed: int) -> Generator[bool, None, None]:
    rng = random.Random(seed)
    while True:
        yield rng.random() < stall


class AxiPort:
    """A :class:`sim.host_port.WordPort`. ``stall``: probability of a pause, per cycle and on each channel.

    Register accesses overtake words that wait in the stream; only START waits until all program words have arrived, as
    LOADED_FLITS tells. ``packets``: words of each packet from the chip.
    """

    def __init__(self, dut: Any, config: ChipConfig, *, stall: float = 0.0, seed: int = 0) -> None:
        self._clk, self._rst = dut.clk, dut.rst
        self._layout, self._answer = HostIn(config), HostOut(config)
        self._fields, self._answer_fields = fields(self._layout), fields(self._answer)
        lanes = len(dut.s_axis_tdata) // 8
        self._in_bytes = -(-host_in_bits(config) // 8 // lanes) * lanes
        self._out_bytes = -(-host_out_bits(config) // 8 // lanes) * lanes
        assert len(dut.m_axis_tdata) == lanes * 8
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
        writes, reads = self.registers.write_if, self.registers.read_if
        channels = [
            writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel, self.source,
            self.sink,
        ]  # fmt: skip
        for number, channel in enumerate(channels if stall else ()):
            channel.set_pause_generator(_pauses(stall, seed * 100 + number))
        for model in (writes, reads, self.source, self.sink):
            model.log.setLevel("WARNING")  # they tell of every access
        self._todo: deque[int] = deque()
        self._in: deque[int] = deque()
        self._packet: list[int] = []
        self._moved = 0
        self._program_flits = 0
        self.packets: list[int] = []

    async def reset(self) -> None:
        """Starts the clock and resets the chip."""
        self._rst.value = 1
        Clock(self._clk, 2, unit="step").start()
        for _ in range(4):
            await RisingEdge(self._clk)
        self._rst.value = 0
        await RisingEdge(self._clk)
        cocotb.start_soon(self._send())
        cocotb.start_soon(self._take())

    # -- what a driver calls --------------------------------------------------------------------

    def send(self, words: Iterable[int]) -> None:
        """Queues host words."""
        self._todo.extend(words)

    async def receive(self, limit: int) -> int | None:
        """The next word from the chip, or None when nothing moved for ``limit`` cycles."""
        idle, moved = 0, self._progress()
        while not self._in and idle < limit:
            await RisingEdge(self._clk)
            idle = idle + 1 if moved == self._progress() else 0
            moved = self._progress()
        return self._in.popleft() if self._in else None

    async def wait(self, cycles: int) -> None:
        """Lets clock cycles pass."""
        for _ in range(cycles):
            await RisingEdge(self._clk)

    def empty(self) -> bool:
        """Nothing is queued in any model."""
        return not self._todo and not self._in and self.source.empty() and self.sink.empty() and self.registers.idle()

    async def read(self, register: Register) -> int:
        """A register's value, by AXI4-Lite."""
        return int(await self.registers.read_dword(register.value * BYTES))

    async def write(self, register: Register, value: int) -> None:
        """Writes a register by AXI4-Lite."""
        response = await self.registers.write(register.value * BYTES, value.to_bytes(BYTES, "little"))
        assert response.resp == AxiResp.OKAY, f"{register.name}: {response.resp.name}"

    # -- words to and from the buses ------------------------------------------------------------

    def _progress(self) -> tuple[int, int]:
        return self._moved, self.source.count()

    async def _send(self) -> None:
        while True:
            if not self._todo:
                self._end_packet()
                await RisingEdge(self._clk)
                continue
            word = self._todo.popleft()
            values = unpack(self._layout, word, self._fields)
            op = values["op"]
            if op in (HostOp.SET.value, HostOp.GET.value):
                self._end_packet()
                register = Register(values["payload.register.address"])
                if op == HostOp.SET.value:
                    await self._set(register, values["payload.register.value"])
                else:
                    self._answer_get(register, await self.read(register))
                self._moved += 1
            elif op == HostOp.SAMPLE_END.value and self._packet:
                self._end_packet()  # TLAST says it
            else:
                self._packet.append(word)

    def _end_packet(self) -> None:
        if self._packet:
            data = b"".join(word.to_bytes(self._in_bytes, "little") for word in self._packet)
            self.source.send_nowait(AxiStreamFrame(tdata=data))
            self._packet = []

    async def _set(self, register: Register, value: int) -> None:
        if register is Register.PROGRAM_FLITS:
            self._program_flits = value
        if register is Register.CONTROL and value & Control.START.value:
            for _ in range(LOADED_POLLS):
                if self.source.empty() and await self.read(Register.LOADED_FLITS) == self._program_flits:
                    break
        await self.write(register, value)

    def _answer_get(self, register: Register, value: int) -> None:
        self._in.append(
            pack(
                self._answer,
                {
                    "tag": HostTag.REGISTER, "payload.register.address": register, "payload.register.value": value,
                },
                self._answer_fields,
            )
        )  # fmt: skip

    async def _take(self) -> None:
        while True:
            frame = await self.sink.recv()
            data = bytes(frame.tdata)
            assert len(data) % self._out_bytes == 0, "a packet holds whole words"
            words = [
                int.from_bytes(data[at : at + self._out_bytes], "little") for at in range(0, len(data), self._out_bytes)
            ]
            self.packets.append(len(words))
            self._in.extend(words)
            self._moved += 1
