"""Chip, registers, layers and regions: what the manifest says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sdann.assembler import Program
from sdann.mapper import ImageError, ProgramImage, check_image
from sdann.mapper.manifest import Manifest

from .conftest import RICH, core_of, rich_program, with_manifest


def test_good_images_pass(image: ProgramImage, rich: ProgramImage) -> None:
    check_image(image)
    check_image(rich)
    for kind in ("wide", "raw"):
        check_image(rich_program(readout=kind).image())


REGION = {"y0": 0, "height": 99, "x0": 0, "width": 1, "channel0": 0, "channels": 1}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(fingerprint=1), "fingerprint"),
        (lambda m: m["chip"].update(lanes=3), "lanes must be a power of two"),
        (lambda m: m["chip"].update(colour=3), "unknown chip configuration field"),
        (lambda m: m["registers"].update(STEPS=9), "STEPS 9"),
        (lambda m: m["registers"].update(STAGES=4), "STAGES 4, layers reach 3"),
        (lambda m: m["registers"].update(READOUT_FLITS=1), "READOUT_FLITS is 1"),
        (lambda m: m["registers"].update(PARTS=1), "PARTS 1, the cores' last part is 2, chip 3"),
        (lambda m: m["cores"][0].update(layer="other"), r"core \(0, 1\) \(other\): unknown layer"),
        (lambda m: m["cores"][0].update(y=0, x=2), "two entries claim the same core"),
        (lambda m: m["layers"][1].update(name="input"), "two layers have the same name"),
        (lambda m: m["layers"].reverse(), "'out' is the first one, but in stage 3, not 0"),
        (lambda m: m["layers"][0].update(stage=1), "'input' is the first one, but in stage 1, not 0"),
        (lambda m: m["layers"][0].update(neurons=(5, 7, 6)), "'input': comes from the host in shape"),
        (lambda m: m["layers"][1].update(stage=0), "'conv': in stage 0, but only a later pass can get it"),
        (lambda m: m["layers"][0].update(name="photo"), "the first layer of the first pass must be the input"),
        (lambda m: m.update(pass_number=1), "pass 1 of 1: passes count from 0"),
        (lambda m: m["layers"][1].update(extent=m["layers"][1]["extent"] or REGION), "'conv': extent outside the map"),
        (
            lambda m: m["layers"][1].update(extent=dict(m["cores"][1]["pooled"])),
            "outputs outside what the program is to hold",
        ),
        (lambda m: m["layers"][3].update(stage=2), r"STAGES 3|read out in stage 2"),
        (lambda m: m["layers"][2].update(readout="act"), "'sum': only the last layer is read out"),
        (lambda m: m["layers"][3].update(readout="none"), "'out' is the last one, but has no read-out"),
        (lambda m: m["layers"][1].update(signed=True), "'conv': only the input and the last layer may be signed"),
        (lambda m: m["layers"][1].update(neurons=(6, 9, 6)), r"'conv': shape \(6, 9, 6\) exceeds map_side 8"),
        (lambda m: m["layers"][1].update(neurons=(36, 6, 6)), "'conv': 9 channel groups exceed map_groups 8"),
        (lambda m: m["layers"][1].update(neurons=(0, 6, 6)), "'conv': empty shape"),
        (lambda m: m["layers"][2].update(neurons=(8, 3, 4)), "'sum': not pooled, but its neurons have shape"),
        (lambda m: m["cores"][1]["pooled"].update(y0=2, height=1), r"\(0, 2\) and \(0, 3\) .* hold the same neurons"),
        (lambda m: m["cores"][1]["pooled"].update(height=1), "'conv': cores hold 36 of 54 neurons"),
        (lambda m: m["cores"][1].update(pooled=None), "outputs outside the map|some of its cores pool"),
        (lambda m: m["cores"][3]["region"].update(height=4), r"core \(1, 0\) .*: region outside the layer's neurons"),
        (lambda m: m["cores"][3]["region"].update(height=2), "'sum': cores hold 48 of 72 neurons"),
        (lambda m: m["cores"][3]["region"].update(channels=7), r"core \(1, 0\) \(sum\): region ends inside a channel"),
        (lambda m: m["cores"][3]["region"].update(channel0=2, channels=6), "region starts inside a channel group"),
        (lambda m: m["cores"][2]["pooled"].update(y0=3), r"core \(0, 3\) \(conv\): outputs outside the map"),
        (lambda m: m["cores"][4].update(pooled=m["cores"][4]["region"]), "a part has no activations"),
        (lambda m: m["cores"][2].update(stage=2), "stage is 2, its layer has 1"),
        (lambda m: m["cores"].pop(0), "cores with an entry and cores with memory words differ"),
        (lambda m: m["layers"].insert(1, dict(m["layers"][1], name="more")), "'more': no core holds it"),
    ],
)
def test_manifest_out_of_place(rich: ProgramImage, change: Callable[[dict[str, Any]], Any], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        check_image(with_manifest(rich, change))


def test_host_tile_and_overlap(image: ProgramImage) -> None:
    def onto(y: int, x: int) -> ProgramImage:
        fields = image.manifest.model_dump()
        memories = dict(image.memories)
        for core in fields["cores"]:
            if core["layer"] == "linear":
                memories[y, x] = memories.pop((core["y"], core["x"]))
                core.update(y=y, x=x)
        return ProgramImage(Manifest.model_validate(fields), memories)

    with pytest.raises(ImageError, match=r"core \(0, 0\) .*the host's"):
        check_image(onto(0, 0))
    with pytest.raises(ImageError, match="not a core of the 4x4 mesh"):
        check_image(onto(4, 0))
    with pytest.raises(ImageError, match="two entries claim the same core"):
        check_image(onto(*core_of(image, "sum")))


def test_read_out_larger_than_its_queue() -> None:
    program = Program(RICH)
    program.layer("input", (1, 4, 4)).layer("out", (1, 4, 4), readout="raw")
    program.core((0, 1), "input").route((0, 0, 2, 2))
    one = np.ones((1, 1, 1, 1), dtype=np.int64)
    program.core((0, 2), "out").edge(one).constants(one.ravel(), one.ravel(), one.ravel())
    flits = program.image(checked=False).manifest.registers.READOUT_FLITS
    with pytest.raises(ImageError, match=f"{flits} read-out flits exceed readout_depth 64"):
        program.image()
