"""sdann.quantize: what is taken, what the chip decides, and what is refused in the project's own words."""

from typing import get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

import sdann
from hdl.config import preset
from sdann.api import Options
from sdann.errors import DoesNotFitError, UnsupportedError
from sdann.finetune import FinetuneOptions
from sdann.mapper import network_hash
from sdann.quantization import QuantizeOptions, quantize
from sdann.torch_import import from_torch


def same(a, b) -> bool:
    """Whether two integer networks are equal in every number."""
    return network_hash(a) == network_hash(b) and a.scales == b.scales


def test_it_is_the_quantizer_with_the_chips_widths(model, images):
    chip = preset("ecp5_85k")
    made = sdann.quantize(model, images, chip=chip, name="n", time_steps=4, per_channel=True)
    options = QuantizeOptions(
        time_steps=4, per_channel=True, bias_bits=chip.bias_bits, mult_bits=chip.mult_bits, max_shift=chip.max_shift,
        max_edge_shift=3, isum_bits=18, membrane_bits=24,
    )  # fmt: skip
    graph, report = quantize(from_torch(model, (1, 6, 6), name="n"), images, options)
    assert same(made.graph, graph) and made.choices == report and made.chip == chip
    other = sdann.quantize(model, images, chip=chip, name="n", time_steps=4)
    assert not same(made.graph, other.graph)


def test_what_a_model_and_images_may_be(model, images, network):
    tensor = torch.from_numpy(images)
    program = torch.export.export(model.eval(), (torch.zeros(2, 1, 6, 6),))
    for module, calibration in ((model, tensor), (model, images.tolist()), (program, images)):
        made = sdann.quantize(module, calibration, chip="test", name="sequential")
        assert same(made.graph, network.graph)
    vector = sdann.quantize(nn.Sequential(nn.Linear(7, 3)), images.reshape(12, 36)[:, :7], chip="test")
    assert vector.graph.input_shape == (7, 1, 1) and vector.name == "sequential"


def test_sparsity_and_fine_tuning(model, images, network):
    labels = np.arange(12) % 5
    sparse = sdann.quantize(model, images, chip="test", rot={"0": 2}, drlo={"0": 3})
    assert (sparse.graph.layers[0].rot, sparse.graph.layers[0].drlo) == (2, 3)
    tuned = sdann.quantize(model, images, chip="test", labels=labels, finetuning=FinetuneOptions(epochs=1))
    assert not same(tuned.graph, network.graph)
    assert tuned.labels is not None and tuned.labels.tolist() == [0, 1, 2, 3]


def test_options_are_the_quantizers_that_the_chip_does_not_decide():
    known = get_type_hints(QuantizeOptions) | {"weight_bits": int | None}  # None: the chip's
    options = get_type_hints(Options)
    assert {name: known[name] for name in options} == options
    decided = {"membrane_bits", "bias_bits", "mult_bits", "max_shift", "max_edge_shift", "isum_bits"}
    assert set(known) - set(options) == decided


class Gelu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(36, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.b(nn.functional.gelu(self.a(x.flatten(1))))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": "net.pt"}, sdann.SdannError, "must be a torch.nn.Module .* not str"),
        ({"model": Gelu()}, UnsupportedError, "gelu.*ReLU"),
        ({"calibration": [[1.0, "a"]]}, sdann.SdannError, "calibration images must be one array of real numbers"),
        ({"calibration": [[1.0], [1.0, 2.0]]}, sdann.SdannError, "calibration images must be one array"),
        ({"calibration": np.zeros(4)}, sdann.SdannError, r"of shape \[N, ...\], not \[4\]"),
        ({"calibration": np.zeros((0, 1, 6, 6))}, sdann.SdannError, r"not \[0, 1, 6, 6\]"),
        ({"calibration": np.full((2, 1, 6, 6), np.nan)}, sdann.SdannError, "must be finite"),
        ({"calibration": np.zeros((2, 1, 6, 6))}, sdann.SdannError, "all zero"),
        ({"calibration": np.ones((2, 3, 6, 6))}, sdann.SdannError, "layer '0' fails on an input of shape"),
        ({"chip": "nope"}, sdann.ConfigError, "unknown preset 'nope'; known presets: test"),
        ({"chip": 3}, sdann.SdannError, "ChipConfig or a preset's name, not int"),
        ({"labels": [0.5] * 12}, sdann.SdannError, r"one integer per image, \[12\]"),
        ({"labels": [1]}, sdann.SdannError, r"of shape \[1\]"),
        ({"finetuning": FinetuneOptions()}, sdann.SdannError, "needs labels"),
        ({"bits": 3}, sdann.SdannError, "no option 'bits'; the options are time_steps"),
        ({"observer": "mean"}, sdann.SdannError, "observer = 'mean': .*'percentile'"),
        ({"time_steps": "8"}, sdann.SdannError, "time_steps = '8'"),
        ({"time_steps": 40}, sdann.SdannError, r"2\.\.16, not 40"),
        ({"weight_bits": 9}, sdann.SdannError, "9 bits per weight"),
        ({"rot": {"conv9": 1}}, sdann.SdannError, "RoT for 'conv9'"),
        ({"chip": preset("test").replace(isum_bits=8)}, DoesNotFitError, "layer '0'"),
    ],
)
def test_refusals(model, images, change, error, message):
    arguments = {"model": model, "calibration": images, "chip": "test"} | change
    with pytest.raises(error, match=f"(?s){message}"):
        sdann.quantize(**arguments)
