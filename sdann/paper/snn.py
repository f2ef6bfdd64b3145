"""Figure 12: LIF networks trained with surrogate gradients, and their synaptic operations.

The network has the layers of the SDANN's, LIF neurons for ReLU, BatchNorm as there. snnTorch gives the neurons and the
surrogate gradient. Encodings of the input image, T steps each: "direct", the image itself enters the first layer in
each step as a current; "position", the bit-planes of the 8-bit image, most significant first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from ..errors import SdannError, ToolMissingError
from ..graph import INPUT
from .experiment import Progress, Result, Setup
from .subject import Subject

__all__ = ["Encoding", "LifNetwork", "count_sops", "encode", "fig12", "train_lif"]

Encoding = Literal["direct", "position"]
STEPS = 8
DECAY = 0.5
"""Of the membrane, per step (chosen; Fang et al. learn theirs)."""


def encode(images: torch.Tensor, encoding: Encoding, steps: int = STEPS) -> torch.Tensor:
    """Input of each step: [steps, N, C, H, W], for ``images`` in 0..1."""
    if encoding == "direct":
        return images[None].expand(steps, *images.shape)
    values = (images * (2**steps - 1)).round().to(torch.int64)
    return torch.stack([(values >> steps - 1 - t & 1).to(images.dtype) for t in range(steps)])


class LifNetwork(nn.Module):
    """``model``, a classifier in which every ReLU is a layer's last step, with LIF neurons in the ReLUs' places.

    Its output is the mean of the last layer's currents over the steps.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        try:
            import snntorch
            from snntorch import surrogate
        except ImportError:
            raise ToolMissingError("snnTorch is not installed; install it with: pip install 'sdann[snn]'") from None
        self.lif: list[Any] = []

        def neurons() -> nn.Module:
            lif: nn.Module = snntorch.Leaky(beta=DECAY, spike_grad=surrogate.atan(), init_hidden=True)
            self.lif.append(lif)
            return lif

        self.model = _replace(model, neurons)
        self.spikes: list[torch.Tensor] = []

    def forward(self, steps: torch.Tensor) -> torch.Tensor:
        """[T, N, C, H, W] -> [N, classes]."""
        for lif in self.lif:
            lif.reset_mem()
        return torch.stack([self.model(x) for x in steps]).mean(dim=0)


def _replace(module: nn.Module, make: Callable[[], nn.Module]) -> nn.Module:
    """``module`` with a new part in the place of each of its ReLUs."""
    for name, child in module.named_children():
        setattr(module, name, make() if isinstance(child, nn.ReLU) else _replace(child, make))
    return module


def train_lif(
    subject: Subject,
    encoding: Encoding,
    *,
    epochs: int,
    seed: int = 0,
    progress: Callable[[int], None] = lambda n: None,
) -> LifNetwork:
    """Trains the LIF form of ``subject`` with Adam (chosen: surrogate gradients train poorly with the paper's SGD)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = LifNetwork(subject.spec.build()).train()
        optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
        samples = subject.dataset.train
        for epoch in range(epochs):
            order = torch.randperm(len(samples)).numpy()
            for first in range(0, len(order) - 1, 64):
                images, labels = samples.batch(order[first : first + 64])
                optimizer.zero_grad()
                outputs = network(encode(torch.from_numpy(images), encoding))
                loss = nn.functional.cross_entropy(outputs, torch.from_numpy(np.asarray(labels)))
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            progress(epoch + 1)
    return network.eval()


@dataclass(frozen=True, kw_only=True)
class LifScore:
    """``sops``: per sample, by layer of the model's modules that spikes reach, the first and the last left out."""

    accuracy: float
    sops: dict[str, float]


def count_sops(network: LifNetwork, subject: Subject, encoding: Encoding) -> LifScore:
    """Accuracy on the test part, and SOPs: each spike times the synapses that it crosses, padding not counted.

    A layer's fan-out is counted by a convolution of its input spikes with ones, exactly as a weight of each synapse.
    """
    images, labels = subject.part("test")
    counted: dict[str, float] = {}
    handles = []
    weighted = [(n, m) for n, m in network.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def count(module: nn.Module, inputs: Any, output: Any) -> None:
            spikes = (inputs[0] != 0).to(torch.float64)
            if isinstance(module, nn.Conv2d):
                ones = torch.ones(module.out_channels, *module.weight.shape[1:], dtype=torch.float64)
                reached = nn.functional.conv2d(
                    spikes, ones, None, module.stride, module.padding, module.dilation, module.groups
                )  # fmt: skip
                counted[name] = counted.get(name, 0.0) + float(reached.sum())
            else:
                assert isinstance(module, nn.Linear)
                counted[name] = counted.get(name, 0.0) + float(spikes.sum()) * module.out_features

        return count

    for name, module in weighted[1:-1]:  # input and output layers are left out, as in the paper
        handles.append(module.register_forward_hook(hook(name.removeprefix("model."))))
    right = 0
    with torch.no_grad():
        for first in range(0, len(images), 60):
            outputs = network(encode(torch.from_numpy(images[first : first + 60]), encoding))
            right += int((outputs.argmax(dim=1).numpy() == np.asarray(labels[first : first + 60])).sum())
    for handle in handles:
        handle.remove()
    return LifScore(accuracy=right / len(images), sops={n: c / len(images) for n, c in counted.items()})


def _advance(progress: Progress, base: int, total: int, done: int) -> None:
    progress(base + done, total)


def fig12(setup: Setup, progress: Progress) -> Result:
    """SOPs and accuracy of the SDANN against LIF networks with direct and position encoding."""
    subject = setup.first
    if subject.spec.grid is not None:
        raise SdannError(f"this figure needs a classifier, and {subject.name} is a detector: use digit-cnn")
    epochs = 6 if setup.quick else 30
    encodings: tuple[Encoding, ...] = ("direct", "position")
    total = epochs * len(encodings) + 1
    own = subject.measure_network(subject.network)
    layers = [
        layer for layer in subject.network.layers[:-1] if all(edge.source != INPUT for edge in layer.edges)
    ]  # fmt: skip
    sdann = {layer.name: own.sops[layer.name] for layer in layers}
    progress(1, total)
    series: dict[str, dict[str, float]] = {"SDANN": sdann}
    rows: list[dict[str, Any]] = [
        {"network": subject.name, "encoding": "SDANN", "accuracy": own.score, "SOPs": sum(sdann.values())}
    ]
    for number, encoding in enumerate(encodings):
        advance = partial(_advance, progress, 1 + number * epochs, total)
        lif = train_lif(subject, encoding, epochs=epochs, seed=setup.seed, progress=advance)
        score = count_sops(lif, subject, encoding)
        series[f"LIF, {encoding}"] = score.sops
        rows.append({
            "network": subject.name, "encoding": f"LIF, {encoding}", "accuracy": score.accuracy,
            "SOPs": sum(score.sops.values()),
        })  # fmt: skip
    return Result(
        columns=tuple(rows[0]), rows=rows, data={"series": series, "network": subject.name},
        notes=(
            f"T = {STEPS} for all; SOPs per test sample without the layers of the input and the output",
            "LIF: the mean of pooled spikes counts as one spike where it is not zero; pooling has no synapses there",
            f"LIF: snnTorch, decay {DECAY}, arctangent surrogate, Adam, {epochs} epochs (chosen here)",
        ),
    )  # fmt: skip
