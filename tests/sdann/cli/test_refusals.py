"""Bad input: exit code 2, a message that helps, and nothing on standard output."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hdl.config import preset
from sdann.chip_file import save_chip
from sdann.network_file import read_tensors, save_network

from .conftest import tiny_network


@pytest.mark.parametrize(
    "command",
    [
        ["quantize", "missing"],
        ["map", "missing"],
        ["validate", "missing", "missing"],
        ["cosim", "missing", "missing"],
    ],
    ids=lambda command: command[0],
)
def test_missing_file(refused, command):
    message = refused(*command)
    assert "missing: no such file" in message and "`sdann " in message


def test_missing_image(refused, files):
    assert "`sdann map`" in refused("validate", files.network, "nowhere")


def test_another_kind_of_file(refused, files):
    assert "holds 'sdann-image', not 'sdann-network'" in refused("map", files.image)
    assert "holds 'sdann-image', not 'sdann-network'" in refused("cosim", files.image, files.image)
    assert "holds 'sdann-network', not 'sdann-image'" in refused("validate", files.network, files.network)
    assert "holds 'sdann-network', not 'sdann-float'" in refused("quantize", files.network)


def test_damaged_file(refused, tmp_path):
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(500))
    for command in (["map", "noise"], ["quantize", "noise"], ["cosim", "noise", "noise"]):
        assert "not a readable safetensors file" in refused(*command)


@pytest.mark.parametrize(("kind", "version", "reads"), [("network", 2, "1 and 2"), ("image", 3, "3")])
def test_another_version(refused, files, tmp_path, kind, version, reads):
    path = getattr(files, kind)
    metadata, _ = read_tensors(path, f"sdann-{kind}", version, "")
    save_file(load_file(path), tmp_path / "new", metadata=metadata | {"version": str(version + 1)})
    message = refused("map", "new") if kind == "network" else refused("validate", files.network, "new")
    assert f"version '{version + 1}'" in message and f"reads {reads}" in message


def test_layer_that_does_not_fit(refused, files):
    message = refused("map", files.network, "--preset", "test", "--set", "map_side=3")
    assert "'input' needs map_side 4, the chip has 3" in message


def test_too_many_cores(refused, files):
    assert "cores, the chip has 1" in refused(
        "map", files.network, "--preset", "test", "--set", "rows=1", "--set", "cols=2"
    )


def test_membrane_of_another_width(refused, files):
    assert "membrane_bits" in refused("map", files.network, "--preset", "test", "--set", "membrane_bits=20")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "huge"], "unknown preset 'huge'; known presets: test, demo"),
        (["--set", "rows"], "not of the form FIELD=INTEGER"),
        (["--set", "colour=3"], "unknown chip field 'colour'; known fields: rows, cols"),
        (["--set", "rows=0"], "rows must be between 1 and 64, not 0"),
        (["--set", "lanes=5"], "lanes must be a power of two"),
    ],
)
def test_chip_configurations(refused, files, arguments, message):
    assert message in refused("map", files.network, *arguments)
    assert message in refused("verilog", *arguments)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("conv1", "not of the form LAYER=ROWSxCHANNELS"),
        ("conv1=0x2", "not of the form LAYER=ROWSxCHANNELS"),
        ("nothing=1x1", "'nothing', which is not in the network"),
        ("input=99x1", "cannot be cut"),
    ],
)
def test_splits(refused, files, split, message):
    assert message in refused("map", files.network, "--preset", "test", "--split", split)


def test_image_of_another_network(refused, files):
    for command in ("validate", "cosim"):
        assert "mapped from another network" in refused(command, files.other, files.image)


def test_image_of_another_chip(refused, files, tmp_path):
    for arguments in (["--preset", "demo"], ["--preset", "test", "--set", "rows=3"], ["--set", "rows=3"]):
        message = refused("cosim", files.network, files.image, *arguments)
        assert "another chip configuration" in message and "rows 2 / " in message
    save_chip(preset("demo"), "module sdann_chip; endmodule", tmp_path / "demo.v")
    message = refused("cosim", files.network, files.image, "--verilog", "demo.v")
    assert "another chip configuration" in message and "0x" in message


def test_verilog_file_that_is_none(refused, files, tmp_path):
    (tmp_path / "other.v").write_text("module other; endmodule\n")
    assert "not a chip that `sdann verilog` wrote" in refused(
        "cosim", files.network, files.image, "--verilog", "other.v"
    )
    assert "no such file" in refused("cosim", files.network, files.image, "--verilog", "none.v")
    assert "does not read Verilog" in refused(
        "cosim", files.network, files.image, "--verilog", "other.v", "--simulator", "amaranth"
    )


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_missing_simulator(refused, files, monkeypatch, simulator):
    monkeypatch.setenv("PATH", "/nowhere")
    message = refused("cosim", files.network, files.image, "--simulator", simulator, "--samples", "1")
    assert "install it with: sudo apt-get install" in message


def test_unknown_simulator(refused, files):
    assert "'modelsim' is not one of" in refused("cosim", files.network, files.image, "--simulator", "modelsim")


def test_unknown_network(refused):
    assert "unknown network 'vgg'; known networks: digit-cnn" in refused("train", "vgg")


def test_quantizer_options(refused, float_file):
    assert "scaled integration needs eq. 10" in refused("quantize", float_file, "--scaled", "--bias", "sum")
    assert "'max' is not one of" in refused("quantize", float_file, "--observer", "max")
    assert "membrane_bits must be between" in refused("quantize", float_file, "--membrane-bits", "3")


def test_demo_options(refused):
    assert "there are 360 test images, not 361" in refused("demo", "--samples", "361")
    assert "unknown preset" in refused("demo", "--preset", "none")


def test_output_that_cannot_be_written(refused, files, tmp_path):
    (tmp_path / "taken").mkdir()
    assert "is a directory" in refused("map", files.network, "--preset", "test", "--out", "taken")
    (tmp_path / "file").write_text("")
    assert "file" in refused("map", files.network, "--preset", "test", "--out", "file/below")


def test_refused_output_leaves_the_old_file(sdann, files, tmp_path):
    (tmp_path / "image").write_text("old")
    assert sdann("map", files.network, "--preset", "test", "--set", "map_side=3", "--out", "image").exit_code == 2
    assert (tmp_path / "image").read_text() == "old"


def test_wide_weights_name_the_layer(refused, tmp_path):
    save_network(tiny_network(), tmp_path / "net")
    message = refused("map", "net", "--preset", "test", "--set", "weight_bits=2")
    assert "weights" in message and "weight_bits" in message
