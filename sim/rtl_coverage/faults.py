"""What a chip must refuse, count or drop: for the coverage of the logic that only faults reach."""

import random
from collections.abc import Iterator
from functools import partial
from itertools import islice

from hdl.core.check import CHECKED
from hdl.host import Register
from hdl.program import WRITABLE, Memory, chunks_of, memory_depths, memory_layouts
from sdann.errors import MismatchError
from sdann.graph import INPUT
from sdann.mapper import ProgramImage

from ..compiled.chip import CompiledChip, run_compiled
from ..driver import ChipDriver, ChipError, ChipTimeoutError
from ..program import HostWords, checksum, program_words, word_faults

__all__ = ["bad_words", "break_chip", "faults"]

Core = tuple[int, int]
TRIES = 200


def bad_words(image: ProgramImage, rng: random.Random) -> Iterator[tuple[Core, Memory, int, int]]:
    """(core, memory, address, word) that a core refuses: one of each memory that it checks, at every address.

    None of a memory whose fields hold no more than they may.
    """
    core = next(core for core, entry in image.cores.items() if entry.layer != INPUT)
    depths = memory_depths(image.config)
    for memory in CHECKED:
        size = memory_layouts(image.config)[memory].size
        for address in range(depths[memory]):
            words = [(1 << size) - 1, *(rng.getrandbits(size) for _ in range(TRIES))]
            bad = (word for word in words if word_faults(image.config, memory, word))
            yield from ((core, memory, address, word) for word in islice(bad, 1))


def faults(image: ProgramImage, seed: int) -> Iterator[tuple[str, list[int]]]:
    """What is wrong, and the host words that make it so when they come after the program.

    Words out of range in every memory that is checked, chunks out of order or missing, and writes to what cannot be
    written.
    """
    make = HostWords(image.config)
    for core, memory, address, word in bad_words(image, random.Random(seed)):
        yield f"{memory.name} word {address} out of range", make.write(core, memory, address, word)
    core = next(core for core, entry in image.cores.items() if entry.layer != INPUT)
    for memory in Memory:
        if memory not in WRITABLE:
            yield f"a write to {memory.name}", make.write(core, memory, 0, 0)
        elif chunks_of(image.config, memory) > 1:
            chunks = make.write(core, memory, 0, 0)
            yield f"chunks of {memory.name} in the wrong order", chunks[::-1]
            yield f"an unfinished word of {memory.name}", [chunks[0], *make.write(core, memory, 1, 0)]


def break_chip(chip: CompiledChip, image: ProgramImage, seed: int) -> int:
    """Loads and starts ``image`` with each of :func:`faults`; returns how many there were.

    Raises :class:`sdann.errors.MismatchError` for one with which the chip starts, or gives no answer.
    """
    tried = list(faults(image, seed))
    for what, words in tried:
        try:
            run_compiled(chip, image, partial(_start, more=words))
        except ChipTimeoutError as error:
            raise MismatchError(f"the chip does not answer after a program with {what}: {error}") from None
        except ChipError:
            chip.reset()
        else:
            raise MismatchError(f"the chip took a program with {what}")
    return len(tried)


async def _start(driver: ChipDriver, more: list[int]) -> None:
    """A program with words behind it, all of them declared: only the core that they go to can object."""
    driver.answer_limit, driver.step_limit = 4000, 200
    await driver.load()
    words = [*program_words(driver.image), *more]
    driver.port.send(more)
    driver.set(Register.PROGRAM_FLITS, len(words))
    driver.set(Register.PROGRAM_CHECKSUM, checksum(driver.config, words))
    await driver.start()
