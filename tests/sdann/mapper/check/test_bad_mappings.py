"""Mappings made wrong by hand: each is refused by the image checker, before anything runs."""

from typing import Any

import numpy as np
import pytest

from hdl.config import preset
from hdl.pack import pack, unpack
from hdl.program import Memory, memory_layouts
from sdann.assembler import Place, place_network
from sdann.errors import SdannError
from sdann.graph import Edge, Layer, QuantizedNetwork
from sdann.mapper import ImageError, ProgramImage, check_image

CHIP = preset("test").replace(slots=4, act_regions=4)
CUT = {"rows": (0, 3)}, {"rows": (3, 3)}


def network() -> QuantizedNetwork:
    ones = np.ones(4, dtype=np.int64)

    def conv(name: str, source: str, channels: int) -> Layer:
        weight = np.arange(4 * channels * 9).reshape(4, channels, 3, 3) % 7 - 2
        return Layer(
            name=name, shape=(4, 6, 6), edges=(Edge(source=source, kind="conv", weight=weight, padding=1),),
            mult=9000 * ones, shift=20 * ones, bias=0 * ones, bias_mode="scaled", lo=0, hi=255,
        )  # fmt: skip

    return QuantizedNetwork(
        name="two", input_shape=(2, 6, 6), input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
        layers=(conv("a", "input", 2), conv("b", "a", 4)),
    )  # fmt: skip


def mapped(a: tuple[dict[str, Any], ...] = CUT, b: tuple[dict[str, Any], ...] = CUT, **more: Any) -> ProgramImage:
    places = {
        "input": [Place(tile=(0, 1), rows=(0, 6), columns=(0, 5)), Place(tile=(0, 2), rows=(0, 6), columns=(5, 1))],
        "a": [Place(tile=(1, number), **where) for number, where in enumerate(a)],
        "b": [Place(tile=(2, number), **where) for number, where in enumerate(b)],
    }
    return place_network(network(), CHIP.replace(rows=3, cols=3, routes=8, readout_depth=256), places, **more)


def with_route(image: ProgramImage, core: tuple[int, int], **changes: int) -> ProgramImage:
    """The first route of a core, changed."""
    layout = memory_layouts(image.config)[Memory.ROUTE]
    fields = unpack(layout, image.words(core, Memory.ROUTE)[0]) | changes
    return image.with_word(core, Memory.ROUTE, 0, pack(layout, fields, complete=True))


def test_the_mapping_itself_passes() -> None:
    check_image(mapped())


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (({"rows": (0, 4)}, {"rows": (3, 3)}), r"cores \(1, 0\) and \(1, 1\) \(a\) hold the same neurons"),
        (({"rows": (0, 3)}, {"rows": (3, 4)}), r"core \(1, 1\) \(a\): region outside the layer's neurons"),
        (({"rows": (0, 3)}, {"rows": (3, 2)}), r"'a': cores hold 120 of 144 neurons"),
    ],
    ids=["overlap", "out of range", "gap"],
)
def test_regions(cut: tuple[dict[str, Any], ...], words: str) -> None:
    with pytest.raises(ImageError, match=words):
        mapped(cut)


def test_missing_halo() -> None:
    """The row of a's upper core that b's lower core reads too does not go there."""
    image = mapped()
    routes = [unpack(memory_layouts(image.config)[Memory.ROUTE], word) for word in image.words((1, 0), Memory.ROUTE)]
    assert any(route["dst.x1"] > route["dst.x0"] for route in routes)
    layout = memory_layouts(image.config)[Memory.ROUTE]
    for number, route in enumerate(routes):
        if route["dst.x1"] > route["dst.x0"]:
            image = image.with_word((1, 0), Memory.ROUTE, number, pack(layout, route | {"dst.x1": route["dst.x0"]}))
    with pytest.raises(
        ImageError, match=r"core \(2, 1\) \(b\) edge 0: gets spikes of 'a' at \(y, x\) = \(2, 0\).* 0 times"
    ):
        check_image(image)


def test_wrong_delay() -> None:
    """What was there one window before goes to the next stage."""
    image = mapped()
    core = unpack(memory_layouts(image.config)[Memory.CORE], image.words((1, 0), Memory.CORE)[0])
    older = pack(memory_layouts(image.config)[Memory.CORE], core | {"ages": 2, "slots": 3}, complete=True)
    image = with_route(image.with_word((1, 0), Memory.CORE, 0, older), (1, 0), age=1)
    with pytest.raises(ImageError, match=r"goes from stage 1 with age 1 to core \(2, \d\) of stage 2, not 3"):
        check_image(image)


def test_two_layers_on_one_core() -> None:
    """In the manifest, and where one core's memory would hold the weights of both."""
    image = mapped()
    entries = [
        entry.model_copy(update={"y": 1, "x": 0}) if (entry.y, entry.x) == (2, 0) else entry
        for entry in image.manifest.cores
    ]
    memories = {tile: words for tile, words in image.memories.items() if tile != (2, 0)}
    with pytest.raises(ImageError, match="two entries claim the same core"):
        check_image(ProgramImage(image.manifest.model_copy(update={"cores": entries}), memories))
    places = {"input": [Place(tile=(0, 1))], "a": [Place(tile=(1, 0))], "b": [Place(tile=(1, 0))]}
    with pytest.raises(SdannError, match=r"core \(1, 0\) \(b\): the tile holds a core of 'a' already"):
        place_network(network(), CHIP.replace(neuron_words=64, readout_depth=256), places)


def test_route_into_another_layers_weights() -> None:
    """Spikes of a that reach a core of the same layer would be added with b's weights, or none."""
    image = with_route(mapped(), (1, 0), **{"dst.y0": 1, "dst.y1": 1, "dst.x0": 1, "dst.x1": 1})
    with pytest.raises(ImageError, match=r"goes from stage 1 with age 0 to core \(1, 1\) of stage 1, not 2"):
        check_image(image)
