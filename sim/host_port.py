"""The host's end of the chip's two word streams, without the simulator: queues, random stalls, time-outs."""

import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Protocol

__all__ = ["HostPort", "WordPort"]


class WordPort(Protocol):
    """What a driver needs of whatever moves its host words."""

    def send(self, words: Iterable[int]) -> None:
        """Queues words for the chip, in order."""

    async def receive(self, limit: int) -> int | None:
        """The next word from the chip, or None when nothing moved in either direction for ``limit`` cycles."""

    async def wait(self, cycles: int) -> None:
        """Lets clock cycles pass; words move meanwhile."""


class HostPort(ABC):
    """Moves host words, one clock cycle at a time. A subclass carries out the cycles in its simulator.

    ``stall``: probability with which the host, in a cycle, offers no word, and takes none.
    """

    def __init__(self, *, stall: float = 0.0, seed: int = 0) -> None:
        self._stall, self._random = stall, random.Random(seed)
        self._out: deque[int] = deque()
        self._in: deque[int] = deque()
        self._offered = False
        self._moved = 0  # words that went in or out

    @abstractmethod
    async def cycle(self, offered: int | None, taking: bool) -> tuple[bool, int | None]:
        """One clock cycle in which the word ``offered`` (if any) stands at the chip's input.

        Returns whether the chip took it, and the word that the chip offered at its output if the host is ``taking``.
        """

    def send(self, words: Iterable[int]) -> None:
        """Queues words for the chip. They go out in order, as fast as the chip takes them."""
        self._out.extend(words)

    async def receive(self, limit: int) -> int | None:
        """The next word from the chip, or None when nothing moved in either direction for ``limit`` cycles."""
        idle = 0
        while not self._in and idle < limit:
            moved = self._moved
            await self._tick()
            idle = idle + 1 if moved == self._moved else 0
        return self._in.popleft() if self._in else None

    async def wait(self, cycles: int) -> None:
        """Lets clock cycles pass; words move meanwhile."""
        for _ in range(cycles):
            await self._tick()

    async def _tick(self) -> None:
        # An offered word stays offered until it is taken, as the stream protocol demands.
        self._offered = bool(self._out) and (self._offered or not self._stalls())
        accepted, word = await self.cycle(self._out[0] if self._offered else None, not self._stalls())
        if accepted:
            self._out.popleft()
            self._offered = False
            self._moved += 1
        if word is not None:
            self._in.append(word)
            self._moved += 1

    def _stalls(self) -> bool:
        return self._stall > 0 and self._random.random() < self._stall
