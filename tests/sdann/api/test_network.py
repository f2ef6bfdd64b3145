"""A network by Python: the same numbers as the models give, every stage compared, and a fault that is named."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import sdann
from hdl.program import Memory
from sdann import golden, stem
from sdann.errors import DoesNotFitError, FileFormatError, UnsupportedError
from sdann.mapper import ProgramImage
from sdann.quantization import dequantize_output, quantize_input

from .conftest import BUILD_DIR

MODELS = ["golden", "onnxruntime", "stem", "tiles"]


def test_importing_takes_no_torch():
    code = (
        "import sys, sdann; assert 'quantize' in dir(sdann); sdann.ChipConfig, sdann.__version__; "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        sdann.quantise  # noqa: B018


def test_outputs_are_the_goldens_and_near_the_floats(network, model, images):
    result = golden.run(network.graph, quantize_input(network.graph, images))
    found = network.run(images)
    assert (found == dequantize_output(network.graph, result.activations["4"])).all()
    wanted = model(torch.from_numpy(images).float()).detach().numpy()
    assert np.abs(found[:, :, 0, 0] - wanted).max() < 0.02 * np.abs(wanted).max() + 0.01


def test_spiking_is_the_reference_step_by_step(network):
    found, wanted = network.spiking(), stem.run(network.graph, network.x)
    assert found.samples == 4 and list(found.activations) == ["input", "0", "4"]
    for mine, theirs in (
        (found.spikes, wanted.spikes), (found.currents, wanted.currents), (found.membranes, wanted.membranes),
        (found.activations, wanted.activations),
    ):  # fmt: skip
        assert mine.keys() == theirs.keys()
        for name, values in mine.items():
            assert values.dtype == theirs[name].dtype and (values == theirs[name]).all()
    assert (found.sops, found.saturations) == (wanted.sops, wanted.saturations)
    assert {name: int(n.sum()) for name, n in found.spike_counts.items()} == wanted.spike_counts
    one = network.spiking(np.ones((1, 1, 6, 6)), record=())
    assert one.samples == 1 and not one.spikes and not one.currents
    assert not (one.activations["0"] == found.activations["0"][:1]).all()


def test_every_stage_and_the_rtl(network, images):
    found = network.verify(images[:2], [0, 1], build_dir=BUILD_DIR)
    assert [stage.name for stage in found.stages] == [*MODELS, "rtl"] and found.failures == []
    neurons = 4 * 9 + 5
    assert [(stage.compared, stage.mismatches) for stage in found.stages] == [(2 * neurons, 0)] * 5
    assert found.stages[-1].accuracy is not None
    assert repr(found).startswith(f"Verification(agrees: {10 * neurons} activations compared, 0 differ;")
    assert "<td>rtl</td>" in found._repr_html_()


def flawed(image: ProgramImage) -> ProgramImage:
    core = image.cores_of("4")[0]
    word = image.words((core.y, core.x), Memory.WEIGHT)[0]
    return image.with_word((core.y, core.x), Memory.WEIGHT, 0, word ^ 0x40)


def test_report(network, images, tmp_path):
    page = tmp_path / "page.html"
    found = network.report(page, images[:2], [0, 1], simulation="tiles")
    assert found.failures == [] and [stage.mismatches for stage in found.stages] == [0] * 4
    assert str(found.stages[0].sops) in page.read_text().replace(",", "")
    programs = [flawed(image) for image in network.map().images()]
    with pytest.raises(sdann.MismatchError, match="layer '4'"):
        network.report(page, program=programs, simulation="tiles")
    assert network.report(page, program=programs, simulation="tiles", check=False).failures
    with pytest.raises(DoesNotFitError, match="takes 2 passes"):
        network.report(page, program=programs * 2, simulation="tiles")


def test_a_difference_is_raised_and_named(network):
    programs = [flawed(image) for image in network.map().images()]
    with pytest.raises(sdann.MismatchError, match="layer '4': 3 of 20 activations differ"):
        network.verify(program=programs, simulation="tiles")
    found = network.verify(program=programs, simulation="tiles", check=False)
    assert found.failures and [stage.mismatches > 0 for stage in found.stages] == [False, False, False, True]
    assert repr(found).startswith("Verification(DISAGREES: ")


def test_map(network, tmp_path):
    program = network.map()
    assert (program.passes, program.chip.name) == (1, "test") and 0 < program.cores <= 5
    split = network.map(splits={"0": (3, 1)})
    assert next(row for row in split.fit[0].layers if row.layer == "0").cores == 3
    several = network.map("demo", cores=2)
    assert several.passes > 1 and several.cores <= 2
    assert [path.name for path in several.save(tmp_path / "deep" / "image.bin")][:2] == ["image-0.bin", "image-1.bin"]
    assert program.save(tmp_path / "image.bin") == [tmp_path / "image.bin"]
    assert network.verify(program=several, simulation="tiles").passes == several.passes
    assert network.map(measured=False, tune=True).passes == 1


def test_save_and_load(network, images, tmp_path):
    path = network.save(tmp_path / "deep" / "net.safetensors")
    loaded = sdann.load(path)
    assert (loaded.run(images) == network.run(images)).all()
    assert loaded.choices is None and loaded.chip.name == "darwin" and len(loaded.x) == 4
    assert (sdann.load(path, seed=1).x != loaded.x).any() and sdann.load(path, chip="test").chip.rows == 2
    with pytest.raises(FileFormatError, match="nothing: no such file"):
        sdann.load(tmp_path / "nothing")


def test_reprs(network, model, images):
    assert repr(network) == "Network('sequential', input 1 x 6 x 6, 2 layers, 216 weights of 8 bits, T = 8)"
    for thing in (network, network.map(), network.spiking()):
        html = thing._repr_html_()
        assert html.startswith("<table>") and "sequential" in html and len(repr(thing)) < 120
        rows = html.count("<tr>")
        assert rows >= 3 and html.count("</tr>") == rows
    hostile = replace(network, graph=replace(network.graph, name="<b>"))
    assert "<b>" not in hostile._repr_html_() and "&lt;b&gt;" in hostile._repr_html_()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n: n.run(np.ones((2, 3, 6, 6))), sdann.SdannError, r"\[2, 3, 6, 6\]; the network takes \[N, 1, 6, 6\]"),
        (lambda n: n.spiking(np.ones((2, 6, 6, 1))), sdann.SdannError, "the network takes"),
        (lambda n: n.map("nope"), sdann.ConfigError, "known presets"),
        (lambda n: n.map("ecp5_85k"), UnsupportedError, "membrane_bits 32, the chip has 24: quantize it for this chip"),
        (lambda n: n.map(splits={"conv": (1, 1)}), DoesNotFitError, "'conv', which is not in the network"),
        (lambda n: n.verify(labels=[1], simulation="tiles"), sdann.SdannError, "one integer per image"),
        (lambda n: n.verify(simulation="modelsim"), sdann.SdannError, "no simulation 'modelsim'; there are verilator"),
    ],
)
def test_refusals(network, call, error, message):
    with pytest.raises(error, match=message):
        call(network)
