"""The chip at the end of a serial line: a host port over a byte channel, for a board or its simulation."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from hdl.board.serial import QUEUE_WORDS, FromHost, ToHost
from hdl.config import ChipConfig
from hdl.host import host_in_bits, host_out_bits
from sdann.errors import ChipError

__all__ = ["ByteChannel", "SerialPort", "open_serial"]


class ByteChannel(Protocol):
    """What :class:`SerialPort` needs of ``serial.Serial``."""

    timeout: float | None

    def read(self, size: int = 1) -> bytes:
        """Up to ``size`` bytes; fewer after ``timeout`` seconds."""

    def write(self, data: bytes) -> int | None:
        """Sends ``data``."""

    def reset_input_buffer(self) -> None:
        """Forgets what has arrived."""


def open_serial(name: str, baud: int) -> ByteChannel:
    """The serial port ``name``. Raises ChipError that says what is wrong with it."""
    import serial

    try:
        port: ByteChannel = serial.Serial(name, baudrate=baud, timeout=0.0)
    except (serial.SerialException, ValueError) as error:
        raise ChipError(f"serial port {name!r}: {error}; is the board connected, and may you open the port?") from None
    return port


class SerialPort:
    """Moves host words over a line that speaks :mod:`hdl.board.serial`.

    ``quiet``: seconds of silence after which an answer counts as missing.
    """

    def __init__(self, channel: ByteChannel, config: ChipConfig, *, quiet: float = 2.0) -> None:
        self._channel, self._quiet = channel, quiet
        self._in_bytes, self._out_bytes = host_in_bits(config) // 8, host_out_bits(config) // 8
        self._queued: deque[int] = deque()
        self._words: deque[int] = deque()
        self._under_way = 0  # words that the chip has not taken yet
        self._buffer = bytearray()

    def reset(self) -> None:
        """Resets the chip and forgets all that was under way. Raises ChipError when the board does not answer."""
        self._queued.clear()
        self._words.clear()
        self._buffer.clear()
        # A word may have been cut off: its missing bytes, then a reset for certain.
        self._channel.write(bytes([FromHost.RESET] * (self._in_bytes + 1)))
        self._channel.timeout = 0.2
        while self._channel.read(4096):
            pass
        self._channel.reset_input_buffer()
        self._channel.write(bytes([FromHost.RESET]))
        self._channel.timeout = self._quiet
        answer = self._channel.read(1)
        if answer != bytes([ToHost.RESET]):
            found = f"answered {answer.hex()}" if answer else "did not answer"
            raise ChipError(f"the board {found} to a reset; is it programmed, and is this its serial port?")
        self._under_way = 0

    def send(self, words: Iterable[int]) -> None:
        """Queues words; they go out as fast as the board takes them."""
        self._queued.extend(words)
        self._feed()

    async def receive(self, limit: int) -> int | None:
        """The next word from the chip, or None after ``quiet`` seconds without a byte. ``limit`` is not used."""
        last = time.monotonic()
        while not self._words:
            if self._poll(0.05):
                last = time.monotonic()
            elif time.monotonic() - last > self._quiet:
                return None
        return self._words.popleft()

    async def wait(self, cycles: int) -> None:
        """Lets a moment pass."""
        self._poll(0.001)

    def _feed(self) -> None:
        data = bytearray()
        while self._queued and self._under_way < QUEUE_WORDS:
            data.append(FromHost.WORD)
            data += self._queued.popleft().to_bytes(self._in_bytes, "little")
            self._under_way += 1
        if data:
            self._channel.write(bytes(data))

    def _poll(self, seconds: float) -> bool:
        self._channel.timeout = seconds
        data = self._channel.read(1)
        self._channel.timeout = 0
        data += self._channel.read(4096)
        self._buffer += data
        while self._buffer:
            kind = self._buffer[0]
            if kind == ToHost.TAKEN:
                self._under_way -= 1
                del self._buffer[:1]
            elif kind == ToHost.RESET:  # a late answer to one of several resets
                del self._buffer[:1]
            elif kind == ToHost.WORD:
                if len(self._buffer) <= self._out_bytes:
                    break
                self._words.append(int.from_bytes(self._buffer[1 : 1 + self._out_bytes], "little"))
                del self._buffer[: 1 + self._out_bytes]
            else:
                raise ChipError(f"the board sent byte {kind:#04x}, which begins nothing; reset it and start again")
        self._feed()
        return bool(data)
