"""What a chip must refuse, count or drop: for the coverage of the logic that only faults reach."""

import random
from collections.abc import Callable, Iterator

from hdl.core.check import CHECKED
from hdl.flit import FlitKind
from hdl.host import HostOp
from hdl.program import WRITABLE, Memory, chunks_of, memory_depths, memory_layouts
from sdann.errors import MismatchError
from sdann.graph import INPUT
from sdann.mapper import ProgramImage

from ..compiled.chip import CompiledChip, run_compiled
from ..driver import ChipDriver, ChipError
from ..program import word_faults

__all__ = ["break_chip", "bad_words"]

Core = tuple[int, int]


def bad_words(image: ProgramImage, rng: random.Random) -> Iterator[tuple[Core, Memory, int, int]]:
    """(core, memory, address, word) that a core refuses: one of each memory that it checks, at every address."""
    core = next(core for core, entry in image.cores.items() if entry.layer != INPUT)
    depths = memory_depths(image.config)
    for memory in CHECKED:
        size = memory_layouts(image.config)[memory].size
        for address in range(depths[memory]):
            word = (1 << size) - 1
            while not word_faults(image.config, memory, word):
                word = rng.getrandbits(size)
            yield core, memory, address, word


def break_chip(chip: CompiledChip, image: ProgramImage, seed: int) -> int:
    """Loads and starts ``image`` with each of some faults, and then without; returns the number of faults.

    Faults are words out of range in every memory that is checked, chunks out of order, writes to what cannot be
    written, and truncated programs. Raises :class:`sdann.errors.MismatchError` for one that the chip accepts.
    """
    rng = random.Random(seed)
    faults: list[tuple[str, Callable[[ChipDriver], list[int]]]] = []

    def words(core: Core, memory: Memory, address: int, word: int) -> Callable[[ChipDriver], list[int]]:
        return lambda driver: driver.words.write(core, memory, address, word)

    for core, memory, address, word in bad_words(image, rng):
        faults.append((f"{memory.name} word {address} out of range", words(core, memory, address, word)))
    for memory in Memory:
        if memory not in WRITABLE:
            faults.append((f"a write to {memory.name}", words(core, memory, 0, 0)))
        elif chunks_of(image.config, memory) > 1:
            faults.append((
                f"chunks of {memory.name} in the wrong order",
                lambda driver, memory=memory: driver.words.write(core, memory, 0, 0)[::-1],
            ))  # fmt: skip
            faults.append((
                f"an unfinished word of {memory.name}",
                lambda driver, memory=memory: [
                    *driver.words.write(core, memory, 0, 0)[:1], *driver.words.write(core, memory, 1, 0)
                ],
            ))  # fmt: skip
    for kind in FlitKind:
        faults.append((
            f"a flit of kind {kind.name} while a program is loaded",
            lambda driver, kind=kind: [driver.words.memory_flit(HostOp.FLIT, core, kind, Memory.COUNTER, 7)],
        ))  # fmt: skip
    for what, make in faults:
        try:
            run_compiled(chip, image, lambda driver, make=make: _refused(driver, make(driver)))
        except ChipError:
            continue
        finally:
            chip.reset()
        raise MismatchError(f"the chip took a program with {what}")
    return len(faults)


async def _refused(driver: ChipDriver, more: list[int]) -> None:
    """A program with words behind it that it does not declare."""
    driver.answer_limit = 4000
    await driver.load()
    driver.port.send(more)
    await driver.start()
