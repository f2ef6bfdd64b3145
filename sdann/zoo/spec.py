"""What is known about a network of the zoo before it is built."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import nn

from ..detection.grid import Grid
from ..errors import SdannError
from ..graph import Shape

__all__ = ["SCALED_DIGITS", "NetworkSpec", "Recipe"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained unless told otherwise: SGD with momentum, see :mod:`sdann.training`.

    ``rate``: the initial learning rate; the paper's is 0.1 for classification and 0.001 for detection. ``warmup``:
    steps in which the rate rises to it. ``decay``: weight decay (lost in the paper's text, so chosen here).
    """

    epochs: int
    batch: int
    rate: float = 0.1
    momentum: float = 0.9
    decay: float = 5e-4
    warmup: int = 0


SCALED_DIGITS = Recipe(epochs=2, batch=16, rate=0.02)
"""For most networks on ``digits32``: 1,200 easy images want small steps, and few of them."""


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A named network.

    ``input_shape``: (channels, height, width). ``classes``: classes of things to tell apart. ``width``: channels of
    the first convolution; those of all other hidden layers are in proportion. ``source``: where the layers come
    from. ``data``: the data set it is made for, with ``recipe``; ``scaled_digits``: its recipe on those.
    ``make(classes, width)`` builds it. ``grid``: of a detector's output, [N, grid.channels, grid.side, grid.side]; a
    classifier's is [N, classes].
    """

    name: str
    input_shape: Shape
    classes: int
    width: int
    source: str
    data: str
    recipe: Recipe
    make: Callable[[int, int], nn.Module] = field(repr=False)
    scaled_digits: Recipe = SCALED_DIGITS
    grid: Grid | None = None

    @property
    def task(self) -> Literal["classification", "detection"]:
        """What it does."""
        return "classification" if self.grid is None else "detection"

    @property
    def options(self) -> dict[str, int]:
        """The options that make this form of it: ``network_spec(name, **options)`` gives this spec again."""
        return {"classes": self.classes, "width": self.width}

    def recipe_on(self, data: str) -> Recipe:
        """How to train it on the data set called ``data``."""
        return self.scaled_digits if data == "digits32" else self.recipe

    def with_options(self, **options: int) -> "NetworkSpec":
        """The same network with other ``classes`` or another ``width``; raises SdannError for anything else."""
        for key, value in options.items():
            if key not in self.options:
                raise SdannError(f"{self.name}: unknown option {key!r}; known options: {', '.join(self.options)}")
            if type(value) is not int or value < 1:
                raise SdannError(f"{self.name}: {key} must be a positive integer, not {value!r}")
        spec = replace(self, **options)  # type: ignore[arg-type]
        return spec if spec.grid is None else replace(spec, grid=replace(spec.grid, classes=spec.classes))

    def build(self) -> nn.Module:
        """The network, untrained, in training mode. Its parameters are drawn from torch's generator."""
        return self.make(self.classes, self.width)
