"""One network on chips of several sizes: `python examples/larger_chip.py`.

A chip is a `ChipConfig`; the presets are starting points. More cores share the work, so a sample takes fewer cycles,
until passes and barriers weigh more than the synapses do. The cycles are the cycle model's, which the RTL keeps.
"""

import torch
from torch import nn

import sdann
from sdann import reference
from sdann.mapping_cost import pass_cost

torch.manual_seed(0)
module = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(256, 10),
)  # fmt: skip
small = sdann.preset("demo")
network = sdann.quantize(module, torch.rand(16, 1, 8, 8), chip=small, name="example")

print(f"{'chip':>8} {'cores used':>10} {'passes':>6} {'cycles a sample':>15}")
for side in (3, 4, 6):
    chip = small.replace(name=f"{side} x {side}", rows=side, cols=side)
    program = network.map(chip)
    activations = reference.run(network.graph, network.x).activations
    cycles = sum(
        pass_cost(program.mapped, number, activations, 2).report.per_sample for number in range(program.passes)
    )
    print(f"{chip.name:>8} {program.cores:>10} {program.passes:>6} {cycles:>15,.0f}")
    program.save(f"build/examples/larger_chip/{side}x{side}.safetensors")
