"""Routes: where they lead, and that every edge gets every spike once."""

import pytest

from hdl.pack import pack, unpack
from hdl.program import Memory, memory_layouts
from sdann.graph import QuantizedNetwork
from sdann.mapper import ImageError, ProgramImage, check_image, map_network

from .conftest import CONFIG, core_of, with_field


@pytest.mark.parametrize(
    ("core", "number", "changes", "words"),
    [
        ((0, 1), 0, {"y0": 7, "y1": 6}, r"y0 7 is above y1 6"),
        ((0, 1), 0, {"x0": 5, "x1": 4}, r"x0 5 is above x1 4"),
        ((0, 1), 0, {"group0": 3, "group1": 2}, "group0 3 is above group1"),
        ((0, 1), 0, {"dst.y0": 2, "dst.y1": 1}, "inverted or outside the mesh"),
        ((0, 1), 0, {"dst.y1": 3}, "inverted or outside the mesh"),
        ((0, 1), 0, {"dst.x0": 0}, r"goes to tile \(0, 0\), which holds no program"),
        ((0, 1), 0, {"dst.y0": 2, "dst.y1": 2}, r"goes to tile \(2, 2\), which holds no program"),
        ((0, 1), 0, {"edge": 1}, r"core \(0, 2\) has no edge 1"),
        ((0, 1), 0, {"age": 1}, r"goes from stage 0 with age 1 to core \(0, 2\) of stage 1, not 2"),
        ((0, 1), 1, {"age": 0}, r"goes from stage 0 with age 0 to core \(1, 1\) of stage 2, not 1"),
        ((0, 1), 1, {"age": 2}, r"age 2, the core emits ages below 2"),
        ((0, 1), 1, {"phase_y": 2}, r"phase_y 2 is not below 2\^phase_log2 \(phase_log2 1\)"),
        ((0, 1), 1, {"phase_log2": 0, "phase_x": 1}, r"phase_x 1 is not below"),
        ((0, 1), 1, {"phase_x": 1}, r"edge 1: gets spikes of 'input' at \(y, x\) = \(0, 0\), group 0 0 times"),
        ((0, 1), 1, {"phase_log2": 2}, r"edge 1: gets spikes of 'input' at \(y, x\) = \(0, 2\), group 0 0 times"),
        ((0, 1), 0, {"y1": 4}, r"core \(0, 3\) \(conv\) edge 0: gets spikes of 'input' at \(y, x\) = \(5, 0\)"),
        ((0, 1), 0, {"x0": 1}, r"at \(y, x\) = \(0, 0\), group 0 0 times"),
        ((0, 1), 0, {"group0": 1}, r"at \(y, x\) = \(0, 0\), group 0 0 times"),
        ((0, 1), 0, {"dst.x1": 2}, r"core \(0, 3\) \(conv\) edge 0: no route feeds it"),
        ((0, 2), 0, {"group1": 7}, r"sends groups 0\.\.1 to core \(1, 0\), whose edge 0 takes 0\.\.0"),
        ((0, 2), 1, {"group0": 0, "group1": 0}, r"sends groups 0\.\.0 to core \(1, 2\), whose edge 0 takes 1\.\.1"),
        (
            (0, 1),
            1,
            {"edge": 0, "group1": 0},
            r"core \(1, 1\) \(sum\) edge 0: gets spikes of several layers: conv, input",
        ),
    ],
)
def test_routes_out_of_place(
    rich: ProgramImage, core: tuple[int, int], number: int, changes: dict[str, int], words: str
) -> None:
    bad = with_field(rich, core, Memory.ROUTE, number, changes)
    with pytest.raises(ImageError, match=words):
        check_image(bad)


def test_spikes_that_come_twice(rich: ProgramImage) -> None:
    """The second route repeats what the first one sends."""
    first = rich.words((0, 2), Memory.ROUTE)[0]
    bad = rich.with_word((0, 2), Memory.ROUTE, 2, first)
    with pytest.raises(ImageError, match=r"core \(1, 0\) \(sum\) edge 0: gets spikes of 'conv' at .* 2 times"):
        check_image(bad)


def test_sign_of_the_source(rich: ProgramImage, image: ProgramImage) -> None:
    with pytest.raises(ImageError, match=r"core \(0, 2\) \(conv\) edge 0: signed is 1, but 'input' is unsigned"):
        check_image(with_field(rich, (0, 2), Memory.EDGE, 0, {"signed": 1}))
    with pytest.raises(ImageError, match=r"\(sum\) edge 0: signed is 0, but 'input' is signed"):
        check_image(with_field(image, core_of(image, "sum"), Memory.EDGE, 0, {"signed": 0}))


def test_a_core_that_is_read_out_emits_nothing(rich: ProgramImage) -> None:
    memories = {**rich.memories, (2, 0): {**rich.memories[2, 0], Memory.ROUTE: rich.memories[1, 0][Memory.ROUTE]}}
    bad = ProgramImage(rich.manifest, memories)
    bad = bad.with_word((2, 0), Memory.ROUTE, 0, bad.words((2, 0), Memory.ROUTE)[0])
    with pytest.raises(ImageError, match=r"core \(2, 0\) \(out\) route 0: a core that is read out emits no spikes"):
        check_image(with_field(bad, (2, 0), Memory.CORE, 0, {"routes": 1}))


def test_rectangle_outside_a_mesh_that_is_no_power_of_two(residual: QuantizedNetwork) -> None:
    image = map_network(residual, CONFIG.replace(cols=3))
    layout = memory_layouts(image.config)[Memory.ROUTE]
    core = core_of(image, "input")
    fields = unpack(layout, image.words(core, Memory.ROUTE)[0])
    with pytest.raises(ImageError, match="outside the mesh"):
        check_image(image.with_word(core, Memory.ROUTE, 0, pack(layout, fields | {"dst.x1": 3})))
