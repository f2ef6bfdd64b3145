import numpy as np
import pytest
import torch
from torch import nn

from sdann.errors import SdannError
from sdann.paper import experiment
from sdann.paper.snn import LifNetwork, count_sops, encode


def test_encodings() -> None:
    images = torch.tensor([0.0, 1.0, 83 / 255]).reshape(3, 1, 1, 1)
    assert torch.equal(encode(images, "direct", 4), images[None].expand(4, 3, 1, 1, 1))
    planes = encode(images, "position", 8).reshape(8, 3)
    weights = 2.0 ** torch.arange(7, -1, -1)
    assert torch.equal(weights @ planes, torch.tensor([0.0, 255.0, 83.0]))


class _Always(nn.Module):
    """A neuron that always fires."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(x)

    def reset_mem(self) -> None:
        pass


def test_sops_are_counted_synapse_by_synapse(subject) -> None:
    """With neurons that fire in every step, SOPs are T times the synapses, padding left out."""
    network = LifNetwork(subject.spec.build())

    def replace(module: nn.Module) -> None:
        for name, child in module.named_children():
            if any(child is lif for lif in network.lif):
                setattr(module, name, _Always())
            else:
                replace(child)

    replace(network.model)
    network.lif = []
    score = count_sops(network.eval(), subject, "direct")
    modules = dict(network.model.named_modules())
    for name, sops in score.sops.items():
        module = modules[name]
        if isinstance(module, nn.Linear):
            expected = module.in_features * module.out_features
        else:
            side = 8 if module.in_channels == 16 else None
            if side is None:
                continue
            ones = np.ones((side + 2, side + 2))
            ones[0] = ones[-1] = ones[:, 0] = ones[:, -1] = 0
            reached = sum(ones[y : y + 3, x : x + 3].sum() for y in range(side) for x in range(side))
            expected = int(reached) * module.in_channels * module.out_channels
        assert sops == pytest.approx(8 * expected), name
    assert len(score.sops) >= 2


def test_lif_networks_learn_and_figure_12_is_drawn(setup) -> None:
    result = experiment("fig12").run(setup, lambda done, total: None)
    sdann, direct, position = result.rows
    assert direct["accuracy"] > 0.9 and position["accuracy"] > 0.8
    for row in result.rows:
        assert row["SOPs"] == pytest.approx(sum(result.data["series"][row["encoding"]].values())) and row["SOPs"] > 0
    assert sdann["encoding"] == "SDANN"
    assert experiment("fig12").plot(result).startswith(b"\x89PNG")


def test_detectors_are_refused(setup) -> None:
    from dataclasses import replace

    from sdann.zoo import network_spec

    detector = replace(setup.subjects[0], spec=network_spec("digit-yolo"))
    with pytest.raises(SdannError, match="needs a classifier"):
        experiment("fig12").run(replace(setup, subjects=(detector,)), lambda done, total: None)
