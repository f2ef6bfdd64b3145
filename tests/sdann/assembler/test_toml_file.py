"""TOML files: the documented example runs and computes what it says; every bad file gets a message that helps."""

import re
from pathlib import Path

import numpy as np
import pytest

from hdl.program import Memory
from sdann.assembler import assemble_file
from sdann.errors import FileFormatError
from sdann.mapper import ImageError, load_image
from sdann.tile_model import TileModel

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "assembler.md"
EXAMPLE = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "program.toml"
    path.write_text(text)
    return path


def test_the_documented_example_runs(tmp_path):
    image = assemble_file(written(tmp_path, EXAMPLE))
    image.save(tmp_path / "image.safetensors")
    image = load_image(tmp_path / "image.safetensors")  # checks it again
    registers = image.manifest.registers
    assert (registers.STEPS, registers.STAGES, registers.PARTS) == (8, 2, 1)
    assert image.layer("conv").shape == (8, 2, 2)
    x = np.random.default_rng(0).integers(-128, 128, (5, 2, 4, 4))
    found = TileModel(image).run(x)

    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))).sum(axis=1)
    sums = 20 * sum(padded[:, dy : dy + 4, dx : dx + 4] for dy in range(3) for dx in range(3))
    conv = (sums[:, None] * 40000 + (np.arange(1, 9)[:, None, None] << 21) + (1 << 20)) >> 21
    conv = np.clip(conv, 0, 255).reshape(5, 8, 2, 2, 2, 2).max(axis=(3, 5))
    assert (found.activations["conv"] == conv).all() and len(np.unique(conv)) > 10
    last = np.array([
        [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 8], [7, 6]], [[5, 4], [3, 2]]],
        [[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [1, 0]], [[0, 0], [0, 1]]],
        [[[-1, -2], [-3, -4]], [[-5, -6], [-7, -8]], [[9, 8], [7, 6]], [[5, 4], [3, 2]]],
    ])  # fmt: skip
    v = 7 * conv[:, :4].sum(axis=(1, 2, 3))[:, None] + np.einsum("ncyx,ocyx->no", conv[:, 4:], last)
    v -= 6 * x.sum(axis=(1, 2, 3))[:, None]
    out = np.clip((v * 50000 + (1 << 17)) >> 18, -2048, 2047)
    assert (found.readout[:, :, 0, 0] == out).all() and np.abs(out).max() > 127


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[chip]", "[chip", r"not TOML: Expected '\]'"),
        ('preset = "test"', 'preset = "best"', r"chip, preset: unknown preset 'best'; known presets: test"),
        ("cols = 3", "colours = 3", "chip: unknown chip configuration field.*colours"),
        ("cols = 3", "cols = 1.5", r"chip, cols.*: Input should be a valid"),
        ("steps = 8", "steps = 9", r"STEPS 9 is not in 2\.\.8"),
        ("steps = 8", "registers = { STEP = 3 }", "program, registers, STEP: unknown; there are PARTS"),
        ("steps = 8", "registers = { PARTS = 3 }", "PARTS 3, the cores' last part is 1"),
        ("steps = 8", "registers = { READOUT_FLITS = 3 }", "READOUT_FLITS is 3, the cores send"),
        ("shape = [2, 4, 4] ", "shape = [2, 4] ", "layer 1, shape 3: is missing"),
        ('name = "conv"', 'name = "input"', "layer 2: layer 'input' is there already"),
        ('name = "conv"', 'nam = "conv"', "layer 2, name: is missing"),
        ("kernel = 2, stride = 2", "kernel = 2, stride = 3", "layer 2, pool, stride: Input should be 1, 2 or 4"),
        ("kernel = 2, stride = 2", "kernel = 5, stride = 2, padding = 1", r"conv\): pool_kernel 5 not in 1\.\.4"),
        ('readout = "wide"', 'readout = "loud"', "layer 3, readout: Input should be 'none', 'act', 'wide' or 'raw'"),
        ("tile = [0, 1] ", 'tile = [0, "1"] ', "core 1, tile 2: Input should be a valid integer"),
        ("tile = [0, 1] ", "tile = [0, 2] ", "core 2: .* the tile holds a core of 'input' already"),
        ("tile = [0, 2]", "tile = [5, 2]", r"core \(5, 2\) \(conv\): not a core of the 2x3 mesh"),
        ('layer = "conv"', 'layer = "cnv"', "core 2: .*: unknown layer 'cnv'; layers: input, conv, out"),
        ('layer = "conv"', 'layer = "conv"\nrows = [0, 0]', r"core 2: .*rows \(0, 0\) must be \(first, count\)"),
        ('layer = "conv"', 'layer = "conv"\ncolour = 3', "core 2, colour: unknown field"),
        ('layer = "conv"', 'layer = "conv"\nfields = { colour = 3 }', "there is no field colour; the fields are"),
        ('layer = "conv"', 'layer = "conv"\nfields = { ages = 9 }', r"conv\): ages is 9, the chip's field holds"),
        ('layer = "conv"', 'layer = "conv"\nchecksums = { CORE = 9 }', r"conv\): CORE: checksum differs"),
        ('layer = "conv"', 'layer = "conv"\nweights = [[1, 2]]', r"weight words of shape \(1, 2\), not \[n, 4\]"),
        ('layer = "conv"', 'layer = "conv"\nweights = [[1, 2], [3]]', "core 2: weights: rows of different lengths"),
        ("bias = [1, 2, 3, 4, 5, 6, 7, 8]", "bias = [1, 2]", "values of mult, shift, bias for 8 channels"),
        ("mult = 40000", "mult = 70000", r"constants of channels 0 \.\.: 0.mult is 70000, the chip's"),
        ("padding = 1", "paddin = 1", "core 2, edge 1, paddin: unknown field"),
        ("padding = 1", "stride = 3", r"core 2: .*edge 0: stride 3; the chip has 1, 2, 4 and 8"),
        ("padding = 1", "channel0 = 2", "channel0 2 is not a multiple of the 4 lanes"),
        ("padding = 1", 'kind = "depthwise"', r"a depthwise weight must be \[8, 1, K_h, K_w\]"),
        ("padding = 1", 'kind = "round"', "core 2, edge 1, kind: Input should be 'conv', 'depthwise' or 'linear'"),
        ("[8, 2, 3, 3], fill = 20", "[8, 2, 3], fill = 20", r"edge 0: weight of shape \(8, 2, 3\), not \[8, C_in"),
        ("[8, 2, 3, 3], fill = 20", "[8, 2, 3, 3]", "core 2: edge 1, weight: either values or fill"),
        ("[8, 2, 3, 3], fill = 20", "[8, 1], values = [1]", r"1 values for shape \[8, 1\], which has 8"),
        ("[[[1, 2], [3, 4]], [[5,", "[[[1, 2.5], [3, 4]], [[5,", "edge 1, weight: float64 values; integers are needed"),
        ("[[[1, 2], [3, 4]], [[5,", "[[[1], [3, 4]], [[5,", "edge 1, weight: rows of different lengths"),
        ("to = [0, 0, 2, 2]", "to = [0, 0, 2]", "core 1, route 1, to"),
        ("to = [0, 0, 2, 2]", "to = [0, 0, 2, 9]", r"route 0: dst.x1 is 9, the chip's field holds 0\.\.3"),
        ("fields = { group0 = 0, group1 = 0 }", "fields = { edge = 1 }", r"gets spikes of|sends groups|signed is"),
        ("age = 1 ", "age = 0 ", r"route 1: goes from stage 0 with age 0 to core \(1, 0\) of stage 2, not 1"),
        ("part = { phase = 1", "part = { face = 1", "core 4, part, phase: is missing"),
        ("fields = { signed = 1 } ", "", r"core \(0, 2\) \(conv\) edge 0: signed is 0, but 'input' is signed"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path, old, new, message):
    assert old in EXAMPLE
    path = written(tmp_path, EXAMPLE.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=message) as caught:
        assemble_file(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(FileFormatError, match=r"nothing.toml: no such file; docs/assembler.md"):
        assemble_file(tmp_path / "nothing.toml")
    (tmp_path / "noise.toml").write_bytes(bytes(range(255, 0, -1)))
    with pytest.raises(FileFormatError, match="noise.toml: not TOML"):
        assemble_file(tmp_path / "noise.toml")
    with pytest.raises(FileFormatError, match="core: is missing|layer: is missing"):
        assemble_file(written(tmp_path, "[chip]\nrows = 1\ncols = 2\n"))
    with pytest.raises(FileFormatError, match="chip configuration lacks: cols"):
        assemble_file(written(tmp_path, "layer = []\ncore = []\n[chip]\nrows = 1\n"))
    with pytest.raises(FileFormatError, match="a program needs an input and a layer"):
        assemble_file(written(tmp_path, 'layer = []\ncore = []\n[chip]\npreset = "test"\n'))


def test_wrong_on_purpose(tmp_path):
    path = written(tmp_path, EXAMPLE.replace("padding = 1", "fields = { weight_base = 100 }", 1).replace(
        "fields = { signed = 1 }       # its source is signed", ""
    ))  # fmt: skip
    with pytest.raises(ImageError, match=r"core \(0, 2\) \(conv\) edge 0: reads weight words up to"):
        assemble_file(path)
    image = assemble_file(path, checked=False)
    assert image.words((0, 2), Memory.EDGE)
