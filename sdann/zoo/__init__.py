"""Float networks by name: the paper's, and small siblings that a small chip runs whole.

Plain torch modules with torchvision's parameter names. ``build("resnet18", width=16)`` makes one, untrained;
``network_spec(name)`` tells what it takes and gives, and :func:`cost` what it computes.
"""

from .cost import Cost, cost
from .registry import NETWORKS, build, network_spec
from .spec import NetworkSpec, Recipe

__all__ = ["NETWORKS", "Cost", "NetworkSpec", "Recipe", "build", "cost", "network_spec"]
