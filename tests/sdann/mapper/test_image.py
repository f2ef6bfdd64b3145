"""The image: its file, its view of samples and neurons, and the demo network's map."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hdl.config import preset
from hdl.program import Memory
from sdann.errors import DoesNotFitError, FileFormatError, SdannError, UnsupportedError
from sdann.graph import QuantizedNetwork
from sdann.mapper import ProgramImage, load_image, map_network, map_table, mesh_text, network_hash
from sdann.mapper.image import FORMAT
from sdann.mapper.samples import readout_flits

DEMO = preset("demo")


@pytest.fixture(scope="module")
def image(digits: QuantizedNetwork) -> ProgramImage:
    return map_network(digits, DEMO, {"conv2": (2, 2)})


def test_demo_fits_fourteen_cores(image: ProgramImage) -> None:
    use = {row.layer: row for row in map_table(image, dict.fromkeys(image.cores, 2))}
    assert sum(len(row.cores) for row in use.values()) == len(image.cores) == 14
    assert (use["conv2"].row_tiles, use["conv2"].channel_tiles) == (2, 2)  # split over rows and over channels
    assert use["conv2"].weight_words == (288, 512)
    assert use["conv2"].neuron_words == (64, 64)
    assert use["conv3"].sops == 8
    grid = mesh_text(image)
    assert grid[0][0] == "host"
    assert sum(cell == "conv3" for row in grid for cell in row) == 4
    registers = image.manifest.registers
    assert (8, 5, readout_flits(image)) == (registers.STEPS, registers.STAGES, registers.READOUT_FLITS)
    assert image.output_layer.scale == 0.25


def test_same_arguments_same_image(digits: QuantizedNetwork, image: ProgramImage) -> None:
    again = map_network(digits, DEMO, {"conv2": (2, 2)})
    assert again.manifest == image.manifest  # checksums included
    first = digits.layers[0]
    other = replace(digits, layers=(replace(first, bias=first.bias + 1), *digits.layers[1:]))
    assert network_hash(other) != network_hash(digits) == image.manifest.network_hash


def test_file_round_trip(image: ProgramImage, tmp_path: Path) -> None:
    image.save(tmp_path / "a.sdann")
    loaded = load_image(tmp_path / "a.sdann")
    assert loaded.manifest == image.manifest
    assert loaded.config == image.config
    for core, memories in image.memories.items():
        for memory, blob in memories.items():
            assert loaded.words(core, memory) == image.words(core, memory)
            assert (loaded.memories[core][memory] == blob).all()


def test_damaged_files_are_refused(image: ProgramImage, tmp_path: Path) -> None:
    path = tmp_path / "a.sdann"
    with pytest.raises(FileFormatError, match="no such file"):
        load_image(path)
    path.write_bytes(b"not an image")
    with pytest.raises(FileFormatError, match="safetensors"):
        load_image(path)
    image.save(path)
    tensors = load_file(path)
    text = image.manifest.model_dump_json()
    good = {"format": FORMAT, "version": "3", "manifest": text}
    key = next(name for name in tensors if name.endswith("/WEIGHT") and len(tensors[name]))
    flipped = tensors[key].copy()
    flipped[3, 0] ^= 1
    for change, metadata, words in (
        ({}, good | {"version": "1"}, "version '1' .* reads 3; write one with `sdann map` or `sdann assemble`"),
        ({}, good | {"format": "sdann-network"}, "'sdann-network', not 'sdann-image'"),
        ({}, good | {"manifest": text[:-5]}, "damaged manifest"),
        ({}, good | {"manifest": text.replace('"STEPS":8', '"STEPS":"8"')}, "registers.STEPS"),
        ({}, good | {"manifest": text.replace('"STEPS":8', '"STEPS":8,"MORE":1')}, "registers.MORE"),
        ({key: flipped}, good, "WEIGHT: checksum differs"),
        ({key: tensors[key].astype(np.int64)}, good, "must be a uint8 table"),
        ({"1,1/NOTHING": flipped}, good, "'1,1/NOTHING' is not a memory"),
        ({"1,1/COUNTER": flipped}, good, "memories"),
        ({"0,0/CORE": flipped}, good, "cores with an entry and cores with memory words differ"),
    ):
        save_file({**tensors, **change}, path, metadata=metadata)
        with pytest.raises(FileFormatError, match=words) as caught:
            load_image(path)
        assert str(path) in str(caught.value)


def test_samples_and_neurons(residual: QuantizedNetwork) -> None:
    image = map_network(residual, preset("test").replace(rows=4, cols=4), {"input": (2, 2)})
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, residual.input_shape)
    writes = image.encode_sample(x)
    assert set(writes) == {(c.y, c.x) for c in image.cores_of("input")}
    assert all([a for a, _ in words] == list(range(len(words))) for words in writes.values())
    words = {core: [word for _, word in pairs] for core, pairs in writes.items()}
    assert (image.assemble("input", words) == x).all()
    for neuron in np.ndindex(*x.shape):
        core, address, lane = image.locate("input", neuron)  # type: ignore[arg-type]
        assert (words[core][address] >> (8 * lane)) & 255 == x[neuron] & 255
    with pytest.raises(KeyError):
        image.locate("input", (6, 0, 0))
    with pytest.raises(SdannError, match=r"takes -128\.\.127"):
        image.encode_sample(x + 200)
    with pytest.raises(SdannError, match="shape"):
        image.encode_sample(x[:, :-1])
    with pytest.raises(SdannError, match="delivered 0 words"):
        image.assemble("input", {})


def test_with_word_leaves_the_original(image: ProgramImage) -> None:
    core = (image.cores_of("conv1")[0].y, image.cores_of("conv1")[0].x)
    before = image.words(core, Memory.WEIGHT)
    other = image.with_word(core, Memory.WEIGHT, 5, before[5] ^ 1)
    assert image.words(core, Memory.WEIGHT) == before
    assert [i for i, w in enumerate(other.words(core, Memory.WEIGHT)) if w != before[i]] == [5]


def test_chip_and_network_must_agree(digits: QuantizedNetwork) -> None:
    with pytest.raises(UnsupportedError, match="membrane_bits 32, the chip has 24"):
        map_network(digits, DEMO.replace(membrane_bits=24))
    with pytest.raises(DoesNotFitError, match=r"time_steps 8, the chip has 2\.\.4"):
        map_network(digits, DEMO.replace(time_steps=4))
    with pytest.raises(DoesNotFitError, match="stages 5, the chip has 4"):
        map_network(digits, DEMO.replace(stages=4))
    with pytest.raises(DoesNotFitError, match="needs 14 cores, the chip has 11"):
        map_network(digits, DEMO.replace(rows=3))
    with pytest.raises(DoesNotFitError, match="'conv9', which is not in the network"):
        map_network(digits, DEMO, {"conv9": (1, 1)})
    with pytest.raises(DoesNotFitError, match="'conv1' needs readout_depth 512, the chip has 64 flits per sample"):
        map_network(replace(digits, layers=digits.layers[:1]), DEMO)
