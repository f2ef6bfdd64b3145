"""Partial sums: who sends to whom, in which phase."""

from typing import Any

import pytest

from hdl.program import Memory
from sdann.mapper import ImageError, ProgramImage, check_image
from sdann.mapper.words import Part

from .conftest import RICH, rich_program, with_field, with_manifest


def part(image: ProgramImage, core: tuple[int, int], phase: int, **changes: int) -> ProgramImage:
    """``image`` with another phase (in manifest and descriptor) and descriptor fields."""

    def change(m: dict[str, Any]) -> None:
        for entry in m["cores"]:
            if (entry["y"], entry["x"]) == core:
                entry["part"] = phase
        m["registers"]["PARTS"] = max(entry["part"] for entry in m["cores"])

    return with_field(with_manifest(image, change), core, Memory.CORE, 0, {"part": phase} | changes)


def test_a_chain_of_parts_passes(rich: ProgramImage) -> None:
    """The first part sends to the second, which sends both."""
    check_image(part(rich, (1, 1), 1, part_y=1, part_x=2))


@pytest.mark.parametrize(
    ("core", "phase", "changes", "words"),
    [
        ((1, 1), 2, {}, r"core \(1, [12]\) .*: core \(1, [12]\) sends to \(1, 0\) in the same part 2"),
        ((1, 1), 2, {"part_x": 2}, r"core \(1, 1\) .*: sends in part 2 to core \(1, 2\), which itself sends in part 2"),
        ((1, 1), 3, {"part_x": 2}, r"sends in part 3 to core \(1, 2\), which itself sends in part 2"),
        ((1, 1), 1, {"part_x": 1}, r"sends in part 1 to core \(1, 1\), which itself sends in part 1"),
        ((1, 1), 1, {"part_y": 2, "part_x": 3}, r"part_y, part_x: tile \(2, 3\) holds no program"),
        ((1, 1), 1, {"part_y": 0, "part_x": 0}, r"tile \(0, 0\) holds no program"),
        ((1, 1), 1, {"part_y": 2}, r"core \(2, 0\) is of layer 'out'|tile \(2, 0\)|holds no"),
        ((1, 1), 1, {"scaled": 1, "mult1": 3}, r"scaled, mult1 or shift1 differ from those of core \(1, 0\)"),
        ((1, 1), 1, {"shift1": 3}, "scaled, mult1 or shift1 differ"),
    ],
)
def test_parts_out_of_place(
    rich: ProgramImage, core: tuple[int, int], phase: int, changes: dict[str, int], words: str
) -> None:
    with pytest.raises(ImageError, match=words):
        check_image(part(rich, core, phase, **changes))


def test_target_without_a_part(rich: ProgramImage) -> None:
    with pytest.raises(ImageError, match=r"core \(1, 0\) \(sum\): part_y, part_x without a part"):
        check_image(with_field(rich, (1, 0), Memory.CORE, 0, {"part_x": 1}))


def test_part_of_the_input_and_of_other_neurons(rich: ProgramImage) -> None:
    program = rich_program()
    program.core((2, 1), "input", part=Part(1, (0, 1)))
    with pytest.raises(ImageError, match=r"core \(2, 1\) \(input\): part 1 of what the host sends"):
        program.image()
    program = rich_program()
    program.core((2, 1), "sum", channels=(0, 4), part=Part(3, (1, 0))).edge(
        rich_program().core((2, 2), "sum").region.size * program_ones(4, 4)
    )
    with pytest.raises(ImageError, match=r"core \(2, 1\) \(sum\): part_y, part_x: core \(1, 0\) has other neurons"):
        program.image()


def program_ones(*shape: int) -> Any:
    import numpy as np

    return np.ones((*shape, 1, 1), dtype=np.int64)


def test_a_part_emits_nothing() -> None:
    program = rich_program()
    program.core((2, 1), "sum", part=Part(3, (1, 0))).edge(program_ones(8, 4)).route((2, 2, 0, 0))
    with pytest.raises(ImageError, match=r"core \(2, 1\) \(sum\): part 3 has routes 1, but no activations"):
        program.image()


def test_too_many_parts() -> None:
    """A tree of four cores on a chip whose membranes have room for three; no phase number says so."""
    program = rich_program(RICH.replace(parts=3))
    program.core((2, 1), "sum", part=Part(1, (1, 2))).edge(program_ones(8, 4))
    with pytest.raises(ImageError, match=r"core \(1, 0\) \(sum\): adds up 4 parts, the chip's membrane words hold 3"):
        program.image()
