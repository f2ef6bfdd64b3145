"""Digit networks of three exporters as ONNX, and how their integers agree with ours: docs/onnx.md quotes the table.

    python scripts/onnx_digits.py FOLDER [--brevitas]

Trains a small network with a skip, max and average pooling on scikit-learn's digits; writes it as torch exports it
(float.onnx) and as onnxruntime quantizes that (qdq*.onnx), images.npy and labels.npy; prints the table as Markdown.
With --brevitas it first writes brevitas.onnx (QCDQ), which needs that package; the tests have a copy.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from sdann.datasets import Digits, load_digits
from sdann.evaluate import accuracy, integer_accuracy
from sdann.float_model import is_quantized
from sdann.onnx_import import from_onnx, load_graph
from sdann.onnx_import.judge import compare, run_model
from sdann.quantization import QuantizeOptions, quantize

BREVITAS = Path(__file__).resolve().parents[1] / "tests" / "sdann" / "onnx_import" / "brevitas.onnx"

QDQ: dict[str, dict[str, Any]] = {
    "qdq": {},
    "qdq_per_channel": {"per_channel": True, "activation_type": "QUInt8"},
    "qdq_symmetric": {"activation_type": "QInt8", "extra_options": {"ActivationSymmetric": True}},
}
"""Ways to call quantize_static: its defaults (int8, zero points anywhere), and others in use."""


class DigitNet(nn.Module):
    """Convolutions, a skip, both kinds of pooling, a linear layer: [N, 1, 8, 8] -> [N, 10]."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.linear = nn.Linear(8 * width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = torch.relu(self.norm1(self.conv1(x)))
        x = torch.relu(self.norm2(self.conv2(x)) + x)
        x = functional.max_pool2d(x, 2)
        x = functional.avg_pool2d(torch.relu(self.conv3(x)), 2)
        return self.linear(x.flatten(1))


def train(net: nn.Module, digits: Digits, *, epochs: int = 10, rate: float = 0.005) -> nn.Module:
    """Trains ``net`` in some seconds."""
    x, y = torch.from_numpy(digits.train_images), torch.from_numpy(digits.train_labels)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(x)), 64):
            optimizer.zero_grad()
            functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimizer.step()
    return net.eval()


def export_float(net: nn.Module, path: Path) -> None:
    """As torch writes it, for any number of images."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without onnxscript is deprecated
        torch.onnx.export(
            net, (torch.zeros(2, 1, 8, 8),), path, dynamo=False, input_names=["image"], output_names=["logits"],
            dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        )  # fmt: skip


def export_qdq(float_path: Path, path: Path, images: np.ndarray, **options: Any) -> None:
    """As onnxruntime quantizes it, calibrated with ``images``."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.batches: Iterator[dict[str, np.ndarray]] = iter([{"image": images}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.batches, None)

    kind = QuantType[options.pop("activation_type", "QInt8")]
    prepared = path.with_suffix(".prepared")
    quant_pre_process(float_path, prepared)
    quantize_static(prepared, path, Images(), quant_format=QuantFormat.QDQ, activation_type=kind, **options)
    prepared.unlink()


def export_brevitas(path: Path, digits: Digits) -> None:
    """A network trained with brevitas 0.13.4, as QCDQ: 8-bit activations (5 bits once), 8-bit weights (4 bits once)."""
    import brevitas.nn as qnn
    from brevitas.export import export_onnx_qcdq
    from brevitas.quant import Int8WeightPerChannelFloat, Int32Bias, Uint8ActPerTensorFloat

    torch.manual_seed(0)
    net = nn.Sequential(
        qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat, return_quant_tensor=True),
        qnn.QuantConv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8),
        qnn.QuantReLU(return_quant_tensor=True),
        qnn.QuantConv2d(8, 8, 3, padding=1, bias=False, weight_quant=Int8WeightPerChannelFloat), nn.BatchNorm2d(8),
        qnn.QuantReLU(bit_width=5, return_quant_tensor=True), nn.MaxPool2d(2),
        qnn.QuantConv2d(8, 16, 3, padding=1, weight_bit_width=4, bias_quant=Int32Bias),
        qnn.QuantReLU(return_quant_tensor=False), nn.AvgPool2d(2),
        qnn.QuantIdentity(act_quant=Uint8ActPerTensorFloat, return_quant_tensor=True),
        nn.Flatten(), qnn.QuantLinear(64, 10, bias=True, bias_quant=Int32Bias),
    )  # fmt: skip
    train(net, digits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_onnx_qcdq(net, args=torch.zeros(1, 1, 8, 8), export_path=str(path), dynamo=False)


def export_all(folder: Path) -> list[Path]:
    """Writes float.onnx and the qdq*.onnx of it, and the digits as images.npy and labels.npy; returns the models."""
    digits = load_digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = train(DigitNet(), digits)
    models = [folder / "float.onnx", *(folder / f"{name}.onnx" for name in QDQ)]
    export_float(net, models[0])
    for path, options in zip(models[1:], QDQ.values(), strict=True):
        export_qdq(models[0], path, digits.train_images[:256], **options)
    parts = ("train", "validation", "test")
    np.save(folder / "images.npy", np.concatenate([getattr(digits, f"{part}_images") for part in parts]))
    np.save(folder / "labels.npy", np.concatenate([getattr(digits, f"{part}_labels") for part in parts]))
    return models


def rows(path: Path, digits: Digits) -> Iterator[str]:
    """Lines of the table for one model."""
    graph = load_graph(path)
    model = from_onnx(graph)
    network, _ = quantize(model, digits.train_images[:256], QuantizeOptions(out_bits=9))
    theirs = accuracy(run_model(graph, digits.test_images)[0], digits.test_labels)
    ours = integer_accuracy(network, digits.test_images, digits.test_labels)
    yield f"| **{path.stem}** | {theirs:.2%} / {ours:.2%} | | | |"
    if not is_quantized(model):
        return
    fused, plain = (compare(graph, model, network, digits.test_images, optimized=fast) for fast in (True, False))
    for a, b in zip(fused, plain, strict=True):
        alone = ["-" if row.alone is None else f"{row.alone:,} ({row.most_alone})" for row in (a, b)]
        yield f"| {a.layer} | {a.compared:,} | {alone[0]} | {alone[1]} | {a.network:,} ({a.most}) |"


def main() -> None:
    """Writes the models and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--brevitas", action="store_true", help="write FOLDER/brevitas.onnx")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    brevitas = BREVITAS
    if arguments.brevitas:
        brevitas = arguments.folder / "brevitas.onnx"
        export_brevitas(brevitas, load_digits())
    print("| model, layer | compared | alone, fused | alone, as written | in the network |")
    print("|---|---|---|---|---|")
    for path in (*export_all(arguments.folder), brevitas):
        print("\n".join(rows(path, load_digits())))


if __name__ == "__main__":
    main()
