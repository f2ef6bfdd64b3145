"""How well a float network does on a part of a data set."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ..datasets import Samples
from ..detection import decode
from ..zoo import NetworkSpec

__all__ = ["Score", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """``value``, 0..1, of ``measure``: "accuracy", or "mAP@0.5" in VOC2007's definition; ``coco``: in COCO's."""

    measure: str
    value: float
    samples: int
    coco: float | None = None

    @property
    def data(self) -> dict[str, Any]:
        """As a JSON object."""
        own = {"measure": self.measure, "value": self.value, "samples": self.samples}
        return own if self.coco is None else own | {"coco": self.coco}


def evaluate(model: nn.Module, spec: NetworkSpec, samples: Samples, *, batch: int = 100) -> Score:
    """Scores ``model``, the network ``spec``, on all of ``samples``; leaves its mode as it was."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    outputs, targets = [], []
    with torch.no_grad():
        for first in range(0, len(samples), batch):
            images, target = samples.batch(np.arange(first, min(first + batch, len(samples))))
            outputs.append(model(torch.from_numpy(images).to(device)).cpu().numpy())
            targets.extend(target)
    model.train(training)
    found = np.concatenate(outputs)
    if spec.grid is None:
        right = float((found.argmax(axis=1) == np.asarray(targets)).mean())
        return Score(measure="accuracy", value=right, samples=len(samples))
    from ..detection.mean_ap import mean_average_precision  # it takes matplotlib with it

    result = mean_average_precision(targets, decode(found, spec.grid), spec.classes)
    return Score(measure="mAP@0.5", value=result.voc2007, samples=len(samples), coco=result.coco)
