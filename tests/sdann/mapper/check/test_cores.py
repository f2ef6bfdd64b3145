"""One core: memories, descriptor, constants."""

from dataclasses import replace

import pytest

from hdl.program import Memory, memory_layouts
from sdann.errors import DoesNotFitError
from sdann.mapper import ImageError, ProgramImage, check_image

from .conftest import RICH, core_of, rich_program, with_field, with_manifest


@pytest.mark.parametrize(
    ("layer", "changes", "words"),
    [
        ("sum", {"enable": 0}, "enable is 0, the manifest says 1"),
        ("sum", {"stage": 1}, "stage is 1, the manifest says 2"),
        ("sum", {"words": 30}, "words is 30"),
        ("sum", {"height": 2}, "height is 2"),
        ("sum", {"width": 5}, "width is 5"),
        ("sum", {"groups": 1}, "groups is 1"),
        ("conv", {"y0": 1}, "y0 is 1"),
        ("conv", {"x0": 1}, "x0 is 1"),
        ("conv", {"group0": 1}, "group0 is 1"),
        ("sum", {"last_lanes": 3}, "last_lanes is 3"),
        ("sum", {"readout": 1}, "readout is 1, the manifest says 0"),
        ("out", {"readout": 3}, "readout is 3, the manifest says 1"),
        ("sum", {"routes": 0}, "routes is 0, the manifest says 1"),
        ("conv", {"pool": 0}, "pool is 0, the manifest says 1"),
        ("sum", {"pool": 1}, "pool is 1, the manifest says 0"),
        ("sum", {"part": 1}, "part is 1, the manifest says 0"),
        ("conv", {"out_width": 4}, "out_width is 4, the manifest says 3"),
        ("conv", {"out_words": 11}, "out_words is 11, the manifest says 12"),
        ("input", {"ages": 0}, "ages 0 need more slots"),
        ("input", {"slots": 2}, "ages 2 need more slots than 2"),
        ("input", {"ages": 3}, "ages 3 need more slots than 3"),
        ("input", {"slots": 5}, "slots 5 exceed the chip's 4"),
        ("sum", {"lo": 1}, "clamp 1..255 not in 0..255"),
        ("sum", {"lo": -1}, "clamp -1..255"),
        ("sum", {"hi": 256}, "clamp 0..256"),
        ("out", {"hi": 255}, r"clamp -128..255 not in -128..127"),
        ("out", {"rot": 1}, r"RoT, truncation or DRLO \(rot 1, drlo 0\) on signed values"),
        ("out", {"drlo": 1}, "on signed values"),
        ("sum", {"drlo": 9}, "drlo 9 out of range"),
        ("sum", {"truncate": 1}, r"truncate without a number of bits"),
        ("sum", {"shift1": 31, "scaled": 1, "mult1": 0}, "scaled integration with mult1 0"),
        ("sum", {"scaled": 1, "mult1": 5, "bias_in_sum": 1}, "scaled integration with bias_in_sum"),
    ],
)
def test_descriptor_out_of_place(rich: ProgramImage, layer: str, changes: dict[str, int], words: str) -> None:
    core = core_of(rich, layer)
    bad = with_field(rich, core, Memory.CORE, 0, changes)
    with pytest.raises(ImageError, match=words) as caught:
        check_image(bad)
    assert str(core) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"act_regions": 2}, r"\(input\): slots of 216 words in all exceed act_words 192"),
        ({"neuron_words": 70}, r"\(input\): 72 words exceed neuron_words 70"),
        ({"group_words": 1}, r"\(input\): 2 groups exceed group_words 1|groups is"),
        ({"parts": 2}, "part is 2, the chip's field holds 0..1"),
        ({"stages": 2}, "STAGES 3, layers reach 3, chip 2"),
        ({"isum_bits": 9}, r"I\(t\) could reach \d+, isum_bits 9 hold 255"),
    ],
)
def test_limits_of_the_chip(change: dict[str, int], words: str) -> None:
    with pytest.raises((ImageError, DoesNotFitError), match=words):
        rich_program(RICH.replace(**change)).image()


def test_clamp_of_each_read_out() -> None:
    for kind, changes, words in (
        ("wide", {"hi": 1 << 15}, r"clamp -32768..32768 not in -32768..32767"),
        ("wide", {"lo": -(1 << 15) - 1}, "not in -32768..32767"),
        ("wide", {"rot": 1}, "on signed values"),
        ("raw", {"drlo": 2}, "on signed values"),
        ("raw", {"lo": 1, "hi": 1}, "clamp 1..1"),
    ):
        image = rich_program(readout=kind).image()
        with pytest.raises(ImageError, match=words):
            check_image(with_field(image, (2, 0), Memory.CORE, 0, changes))


def test_activations_of_fewer_steps() -> None:
    """Bits above T would never be emitted."""
    program = rich_program()
    program.steps = 4
    with pytest.raises(ImageError, match=r"clamp 0..255 not in 0..15"):
        program.image()


def test_constants(rich: ProgramImage) -> None:
    core = core_of(rich, "conv")
    for lane, changes, words in (
        (1, {"1.shift": 0}, r"channel 3: requantization shift 0 not in 1\.\.31"),
        (3, {"0.bias": 1}, r"channel 6 does not exist, but has mult 0, bias 1: it could spike"),
        (3, {"1.mult": 1}, r"channel 7 does not exist, but has mult 1"),
    ):
        with pytest.raises(ImageError, match=words):
            check_image(with_field(rich, core, Memory.REQUANT, lane, changes))
    blob = rich.memories[core][Memory.REQUANT]
    for target, words in ((core, "1 words of constants, not 4"), ((1, 1), "1 words of constants, not 0")):
        memories = {**rich.memories, target: {**rich.memories[target], Memory.REQUANT: blob[:1]}}
        bad = ProgramImage(rich.manifest, memories)
        with pytest.raises(ImageError, match=words):
            check_image(bad.with_word(target, Memory.REQUANT, 0, rich.words(core, Memory.REQUANT)[0]))


def test_too_many_words_and_spare_bits(rich: ProgramImage) -> None:
    core = core_of(rich, "sum")
    blob = rich.memories[core][Memory.WEIGHT]
    for memory, changed, words in (
        (Memory.WEIGHT, blob.repeat(9, axis=0), r"WEIGHT has 648 words, the chip has 512"),
        (Memory.WEIGHT, blob[:, :-1], "words of 3 bytes, not 4"),
        (Memory.CORE, rich.memories[core][Memory.CORE].repeat(2, axis=0), "CORE has 2 words, the chip has 1"),
        (Memory.CORE, rich.memories[core][Memory.CORE][:0], "CORE must be one word|checksum differs"),
    ):
        bad = ProgramImage(rich.manifest, {**rich.memories, core: {**rich.memories[core], memory: changed}})
        with pytest.raises(ImageError, match=words):
            check_image(bad)
    size = memory_layouts(rich.config)[Memory.CORE].size
    assert size % 8, "there must be a spare bit for this test"
    spare = rich.words(core, Memory.CORE)[0] | 1 << size
    with pytest.raises(ImageError, match="bits set beyond the word"):
        check_image(rich.with_word(core, Memory.CORE, 0, spare))
    lacking = {m: b for m, b in rich.memories[core].items() if m is not Memory.ROUTE}
    with pytest.raises(ImageError, match="memories .*CORE"):
        check_image(replace(rich, memories={**rich.memories, core: lacking}))
    with pytest.raises(ImageError, match="CORE: checksum differs"):
        check_image(with_manifest(rich, lambda m: m["cores"][0]["checksums"].update(CORE=1)))
