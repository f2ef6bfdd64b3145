"""Float networks by name: the paper's, and small siblings that a small chip runs whole.

Plain torch modules with torchvision's parameter names. ``build("resnet18", width=16)`` makes one, untrained;
``network_spec(name)`` tells what it takes and gives, :func:`cost` what it computes, and :func:`seeded` makes one whose
layers are alive without training.
"""

from .cost import Cost, cost
from .registry import NETWORKS, TABLE2, build, network_spec
from .seeded import seeded
from .spec import NetworkSpec, Recipe

__all__ = ["NETWORKS", "TABLE2", "Cost", "NetworkSpec", "Recipe", "build", "cost", "network_spec", "seeded"]
