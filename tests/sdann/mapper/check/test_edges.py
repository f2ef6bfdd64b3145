"""Edge descriptors and the weights that they address."""

import numpy as np
import pytest

from hdl.program import Memory
from sdann.mapper import ImageError, ProgramImage, check_image

from .conftest import RICH, core_of, rich_program, with_field


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"enable": 0}, "not enabled"),
        ({"kernel_h": 0}, "kernel"),
        ({"kernel_h": 15}, "kernel"),
        ({"kernel_w": 2}, "stride_y is 3, not 2"),
        ({"stride_y": 4}, "stride_y is 4, not 3"),
        ({"stride_g": 8}, "stride_g is 8"),
        ({"row_shift": 3}, "row_shift 3"),
        ({"row_shift": 1}, "several groups"),
        ({"groups": 0}, "groups out of range"),
        ({"group0": 7}, "groups out of range"),
        ({"groups": 3}, "reads weight words up to"),
        ({"weight_base": 60}, "reads weight words up to"),
        ({"depthwise": 1, "group0": 5, "groups": 2}, "depthwise edge of other groups"),
    ],
)
def test_edges_out_of_place(image: ProgramImage, changes: dict[str, int], words: str) -> None:
    core = core_of(image, "sum")
    with pytest.raises(ImageError, match=words) as caught:
        check_image(with_field(image, core, Memory.EDGE, 0, changes))
    assert f"core {core} (sum) edge 0" in str(caught.value)


def test_edge_shift(rich: ProgramImage) -> None:
    program = rich_program(RICH.replace(max_edge_shift=5))
    image = program.image()
    with pytest.raises(ImageError, match="shift exceeds max_edge_shift 5"):
        check_image(with_field(image, core_of(image, "conv"), Memory.EDGE, 0, {"shift": 6}))


def test_inputs_and_layers(rich: ProgramImage) -> None:
    program = rich_program()
    program.core((2, 1), "input")
    core = program.core((2, 2), "input", rows=(0, 1))
    core.edge(np.ones((5, 1, 1, 1), dtype=np.int64))
    with pytest.raises(ImageError, match="hold the same neurons"):
        program.image()
    edge, weight = rich.memories[1, 1][Memory.EDGE][:0], rich.memories[1, 1][Memory.WEIGHT]
    for core_at, blob, words in (
        ((1, 0), edge, r"core \(1, 0\) \(sum\): no edges"),
        ((0, 1), rich.memories[1, 0][Memory.EDGE], r"core \(0, 1\) \(input\): an input tile has edges"),
    ):
        memories = {**rich.memories, core_at: {**rich.memories[core_at], Memory.EDGE: blob, Memory.WEIGHT: weight}}
        bad = ProgramImage(rich.manifest, memories)
        for memory in (Memory.EDGE, Memory.WEIGHT):
            if len(memories[core_at][memory]):
                bad = bad.with_word(core_at, memory, 0, bad.words(core_at, memory)[0])
        if not len(blob):
            bad = bad_checksum(bad, core_at)
        with pytest.raises(ImageError, match=words):
            check_image(bad)


def bad_checksum(image: ProgramImage, core: tuple[int, int]) -> ProgramImage:
    """``image`` with the checksums that its memories have."""
    from sdann.mapper.image import checksums

    cores = [
        c.model_copy(update={"checksums": checksums(image.memories[core])}) if (c.y, c.x) == core else c
        for c in image.manifest.cores
    ]
    return ProgramImage(image.manifest.model_copy(update={"cores": cores}), image.memories)


def test_currents_that_could_wrap(rich: ProgramImage) -> None:
    """One weight bit more, and one neuron's largest sum no longer fits."""
    weight = np.zeros((8, 4, 3, 3), dtype=np.int64)
    weight[5] = 127  # 36 * 127 = 4572
    for bits, fits in ((14, True), (13, False)):
        program = rich_program(RICH.replace(isum_bits=bits))
        core = program._cores[1, 0].words
        core._edges.clear()
        core._weights.clear()
        core.edge(weight, padding=1)
        if fits:
            program.image()
        else:
            with pytest.raises(ImageError, match=r"core \(1, 0\) \(sum\): I\(t\) could reach 4572, isum_bits 13 hold"):
                program.image()
            core._edges.clear()
            core._weights.clear()
            weight[5, 0] = 0
            weight[5, 1] = 0
            core.edge(weight, padding=1, fields={"shift": 1})
            with pytest.raises(ImageError, match=r"I\(t\) could reach 4572"):
                program.image()
