"""Figure 13: what detectors find, in float, quantized, and quantized with 16-bit scaled integration."""

from dataclasses import replace
from typing import Any

from .. import reference
from ..detection import decode
from ..errors import SdannError
from ..quantization import dequantize_output, quantize_input
from .conversion import MEMBRANE_BITS
from .experiment import Progress, Result, Setup

__all__ = ["fig13"]

SHOWN = 0.3
"""Least score of a box that is drawn."""


def fig13(setup: Setup, progress: Progress) -> Result:
    """Boxes in a few test scenes."""
    import torch

    subject = setup.first
    grid = subject.spec.grid
    if grid is None:
        raise SdannError(f"this figure needs a detector, and {subject.name} is a classifier: use digit-yolo")
    images, truth = subject.part("test")
    images, truth = images[:4], list(truth[:4])
    with torch.no_grad():
        outputs: dict[str, Any] = {"float": subject.model(torch.from_numpy(images)).numpy()}
    scaled, _ = subject.quantize(replace(subject.options, membrane_bits=MEMBRANE_BITS, scaled=True))
    for name, network in (("quantized", subject.network), ("SDANN, 16 bits scaled", scaled)):
        found = reference.run(network, quantize_input(network, images)).activations[network.layers[-1].name]
        outputs[name] = dequantize_output(network, found)
    rows: list[dict[str, Any]] = []
    drawn: dict[str, Any] = {}
    for name, values in outputs.items():
        detections = decode(values, grid, threshold=SHOWN)
        drawn[name] = [
            [
                [*map(float, box), int(label), float(score)]
                for box, label, score in zip(d.corners, d.labels, d.scores, strict=True)
            ]
            for d in detections
        ]  # fmt: skip
        rows += [
            {"image": number, "network": name, "boxes": len(d.labels), "true boxes": len(truth[number].labels)}
            for number, d in enumerate(detections)
        ]
    progress(1, 1)
    data = {
        "images": images[:, 0].tolist(), "drawn": drawn, "classes": list(subject.dataset.classes),
        "truth": [[[*map(float, b), int(c)] for b, c in zip(t.corners, t.labels, strict=True)] for t in truth],
    }  # fmt: skip
    return Result(columns=tuple(rows[0]), rows=rows, data=data)
