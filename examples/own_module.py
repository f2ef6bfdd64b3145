"""Your own torch module, from floats to the chip's RTL: `python examples/own_module.py [SIMULATION]`.

It trains a small residual network on scikit-learn's 8 x 8 digits for a moment, quantizes it, looks at its spikes, maps
it and compares every neuron of every model. SIMULATION: what runs the RTL, see `sdann verify --help` (default: tiles,
which is the tile model and no RTL; "compiled" compiles the chip first, which takes a minute).
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import sdann


class Net(nn.Module):
    """Any module that torch can export will do; docs/bring-your-network.md lists the operations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Digits [N, 1, 8, 8] to classes [N, 10]."""
        x = functional.relu(self.first(x))
        x = functional.max_pool2d(functional.relu(self.second(x) + x), 2)
        return self.last(x.flatten(1))


torch.manual_seed(0)
digits = load_digits()
images = torch.from_numpy(digits.images[:, None] / 16).float()
labels = torch.from_numpy(digits.target)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), 0.01)
for chosen in torch.randperm(1438).split(64) * 2:
    optimizer.zero_grad()
    functional.cross_entropy(net(images[chosen]), labels[chosen]).backward()
    optimizer.step()

network = sdann.quantize(net, images[:256], labels=labels[:256], chip="demo")
print(network)
guessed = torch.from_numpy(network.run(images[1438:])).flatten(1).argmax(1)
print(f"right on test images: {(guessed == labels[1438:]).float().mean():.1%}")
print(network.spiking())
program = network.map()
print(program)
print(network.verify(program=program, simulation=sys.argv[1] if len(sys.argv) > 1 else "tiles"))
