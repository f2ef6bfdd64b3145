"""The image checker refuses what the chip could misunderstand, field by field."""

from collections.abc import Callable
from typing import Any

import pytest

from hdl.config import preset
from hdl.program import Memory, memory_layouts
from sdann.graph import QuantizedNetwork
from sdann.mapper import ImageError, ProgramImage, check_image, map_network
from sdann.mapper.image import Coordinate
from sdann.mapper.manifest import Manifest
from sdann.mapper.packing import pack, unpack

CONFIG = preset("test").replace(rows=4, cols=4)


@pytest.fixture(scope="module")
def image(residual: QuantizedNetwork) -> ProgramImage:
    return map_network(residual, CONFIG, {"sum": (3, 2), "input": (2, 1)})


def core_of(image: ProgramImage, layer: str, index: int = 0) -> Coordinate:
    entry = image.cores_of(layer)[index]
    return entry.y, entry.x


def with_field(
    image: ProgramImage, core: Coordinate, memory: Memory, address: int, change: Callable[[Any], Any]
) -> ProgramImage:
    layout = memory_layouts(CONFIG)[memory]
    fields = unpack(layout, image.words(core, memory)[address])
    change(fields)
    return image.with_word(core, memory, address, pack(layout, fields))


def with_manifest(image: ProgramImage, change: Callable[[dict[str, Any]], Any]) -> ProgramImage:
    fields = image.manifest.model_dump()
    change(fields)
    return ProgramImage(Manifest.model_validate(fields), image.memories)


def test_a_good_image_passes(image: ProgramImage) -> None:
    check_image(image)


@pytest.mark.parametrize(
    ("layer", "memory", "changes", "words"),
    [
        ("sum", Memory.CORE, {"enable": 0}, "enable is 0"),
        ("sum", Memory.CORE, {"stage": 2}, "stage is 2, the manifest says 1"),
        ("sum", Memory.CORE, {"words": 30}, "words is 30"),
        ("sum", Memory.CORE, {"height": 2}, "height is 2"),
        ("sum", Memory.CORE, {"width": 5}, "width is 5"),
        ("sum", Memory.CORE, {"y0": 1}, "y0 is 1"),
        ("sum", Memory.CORE, {"last_lanes": 3}, "last_lanes is 3"),
        ("sum", Memory.CORE, {"readout": 1}, "readout is 1"),
        ("sum", Memory.CORE, {"routes": 0}, "routes is 0"),
        ("sum", Memory.CORE, {"lo": 1}, "clamp 1..255"),
        ("sum", Memory.CORE, {"lo": -1}, "clamp -1..255"),
        ("linear", Memory.CORE, {"hi": 255}, "clamp -128..255"),
        ("linear", Memory.CORE, {"rot": 1}, "RoT or DRLO on signed"),
        ("sum", Memory.CORE, {"drlo": 9}, "rot or drlo out of range"),
        ("sum", Memory.EDGE, {"enable": 0}, "not enabled"),
        ("sum", Memory.EDGE, {"kernel_h": 0}, "kernel"),
        ("sum", Memory.EDGE, {"kernel_h": 15}, "kernel"),
        ("sum", Memory.EDGE, {"kernel_w": 2}, "stride_y is 3, not 2"),
        ("sum", Memory.EDGE, {"stride_y": 4}, "stride_y is 4, not 3"),
        ("sum", Memory.EDGE, {"stride_g": 8}, "stride_g is 8"),
        ("sum", Memory.EDGE, {"row_shift": 3}, "row_shift 3"),
        ("sum", Memory.EDGE, {"row_shift": 1}, "several groups"),
        ("sum", Memory.EDGE, {"groups": 0}, "groups out of range"),
        ("sum", Memory.EDGE, {"groups": 3}, "reads weight words up to"),
        ("sum", Memory.EDGE, {"weight_base": 60}, "reads weight words up to"),
        ("sum", Memory.EDGE, {"depthwise": 1}, "depthwise edge of other groups"),
        ("input", Memory.ROUTE, {"y0": 7}, "y0 7 is above y1"),
        ("input", Memory.ROUTE, {"group0": 3}, "group0 3 is above group1"),
        ("sum", Memory.ROUTE, {"edge": 1}, "has no edge 1"),
    ],
)
def test_words_out_of_place(
    image: ProgramImage, layer: str, memory: Memory, changes: dict[str, int], words: str
) -> None:
    bad = with_field(image, core_of(image, layer), memory, 0, lambda fields: fields.update(changes))
    with pytest.raises(ImageError, match=words):
        check_image(bad)


@pytest.mark.parametrize(
    ("rectangle", "words"),
    [
        ({"y0": 3, "y1": 1}, "inverted"),
        ({"x0": 2, "x1": 1}, "inverted"),
        ({"y0": 0, "y1": 0, "x0": 0, "x1": 0}, r"goes to tile \(0, 0\), which holds no program"),
        ({"y0": 0, "y1": 3, "x0": 1, "x1": 3}, "which holds no program|goes from stage"),
    ],
)
def test_rectangles(image: ProgramImage, rectangle: dict[str, int], words: str) -> None:
    bad = with_field(image, core_of(image, "input"), Memory.ROUTE, 0, lambda f: f["dst"].update(rectangle))
    with pytest.raises(ImageError, match=words):
        check_image(bad)


def test_route_must_reach_the_next_stage(image: ProgramImage) -> None:
    y, x = core_of(image, "linear")
    own = {"y0": y, "y1": y, "x0": x, "x1": x}
    bad = with_field(image, core_of(image, "input"), Memory.ROUTE, 0, lambda f: f["dst"].update(own))
    with pytest.raises(ImageError, match=r"goes from stage 0 to core .* of stage 2"):
        check_image(bad)


def test_rectangle_outside_a_mesh_that_is_no_power_of_two(residual: QuantizedNetwork) -> None:
    image = map_network(residual, CONFIG.replace(cols=3))
    layout = memory_layouts(image.config)[Memory.ROUTE]
    core = core_of(image, "input")
    fields = unpack(layout, image.words(core, Memory.ROUTE)[0])
    fields["dst"]["x1"] = 3
    with pytest.raises(ImageError, match="outside the mesh"):
        check_image(image.with_word(core, Memory.ROUTE, 0, pack(layout, fields)))


def test_requantization_shift(image: ProgramImage) -> None:
    bad = with_field(image, core_of(image, "sum"), Memory.REQUANT, 0, lambda lanes: lanes[1].update(shift=0))
    with pytest.raises(ImageError, match="requantization shift 0"):
        check_image(bad)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(fingerprint=1), "fingerprint"),
        (lambda m: m["chip"].update(lanes=3), "lanes must be a power of two"),
        (lambda m: m["chip"].update(colour=3), "unknown chip configuration field"),
        (lambda m: m["registers"].update(STEPS=9), "STEPS 9"),
        (lambda m: m["registers"].update(STAGES=3), "STAGES 3"),
        (lambda m: m["registers"].update(READOUT_FLITS=1), "READOUT_FLITS is 1"),
        (lambda m: m["cores"][0].update(layer="other"), "cores do not fill its rectangle"),
        (lambda m: m["cores"][0].update(y=m["cores"][1]["y"], x=m["cores"][1]["x"]), "do not fill its rectangle"),
        (lambda m: m["layers"][1].update(y=0, x=0), "do not fill its rectangle"),
        (lambda m: m["layers"][1].update(name="input"), "two layers have the same name"),
        (lambda m: m["layers"].reverse(), "first layer must be the input"),
        (lambda m: m["cores"][2]["region"].update(y0=1), "hold the same neurons"),
        (lambda m: m["cores"][2]["region"].update(height=4), "outside layer"),
        (lambda m: m["cores"][2].update(stage=2), "stage 2, its layer has 1"),
        (lambda m: m["cores"][0]["checksums"].update(CORE=1), "CORE: checksum differs"),
    ],
)
def test_manifest_out_of_place(image: ProgramImage, change: Callable[[dict[str, Any]], Any], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        check_image(with_manifest(image, change))


def test_host_tile_and_overlap(image: ProgramImage) -> None:
    """Whole layers moved, so that their rectangles stay whole."""

    def onto(y: int, x: int) -> ProgramImage:
        fields = image.manifest.model_dump()
        linear, memories = fields["layers"][-1], dict(image.memories)
        old = linear["y"], linear["x"]
        linear.update(y=y, x=x)
        for core in fields["cores"]:
            if core["layer"] == "linear":
                core.update(y=y, x=x)
        memories[y, x] = memories.pop(old)
        return ProgramImage(Manifest.model_validate(fields), memories)

    with pytest.raises(ImageError, match=r"core \(0, 0\) .*the host's"):
        check_image(onto(0, 0))
    with pytest.raises(ImageError, match="not a core of the 4x4 mesh"):
        check_image(onto(4, 0))
    with pytest.raises(ImageError, match="two entries claim the same core"):
        check_image(onto(*core_of(image, "sum")))


def test_too_many_words_and_spare_bits(image: ProgramImage) -> None:
    core = core_of(image, "sum")
    blob = image.memories[core][Memory.WEIGHT]
    for memory, changed, words in (
        (Memory.WEIGHT, blob.repeat(9, axis=0), "WEIGHT has 567 words|WEIGHT has .* words, the chip has 128"),
        (Memory.WEIGHT, blob[:, :-1], "words of 3 bytes, not 4"),
        (Memory.REQUANT, image.memories[core][Memory.REQUANT][:1], "1 words of constants"),
    ):
        memories = {**image.memories, core: {**image.memories[core], memory: changed}}
        bad = ProgramImage(image.manifest, memories)
        if memory is Memory.REQUANT:
            word = image.words(core, memory)[0]
            bad = bad.with_word(core, memory, 0, word)
        with pytest.raises(ImageError, match=words):
            check_image(bad)
    spare = image.words(core, Memory.CORE)[0] | 1 << memory_layouts(CONFIG)[Memory.CORE].size
    with pytest.raises(ImageError, match="bits set beyond the word"):
        check_image(image.with_word(core, Memory.CORE, 0, spare))
