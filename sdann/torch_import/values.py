"""What a tensor of the exported program stands for while it is imported.

A tensor is a row of parts along its channels (several after a concatenation), each either a layer's activations or a
sum that is not a layer yet, because ReLU, another addend or a BatchNorm may follow.
"""

from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from ..float_model import FloatArray, FloatEdge, Grid
from ..graph import Pool, Shape

__all__ = ["Activation", "Affine", "Part", "Storage", "Value", "identity_edge", "scaled"]


@dataclass(frozen=True, eq=False)
class Activation:
    """Activations of the layer (or input) ``source``. ``nonnegative``: they are so for every input."""

    source: str
    shape: Shape
    nonnegative: bool


@dataclass(frozen=True, eq=False)
class Affine:
    """A sum over edges and a bias [C]. ``name``: of the layer it will be.

    ``mixed``: it may be negative even where its sources are not. ``nonnegative``: it never is. ``pool``: max pooling
    that waits for its ReLU; ``shape`` is before it. ``grid``: to which the model has rounded the sum, without a ReLU;
    it counts where the sum becomes a layer, not where more is added to it.
    """

    name: str
    edges: tuple[FloatEdge, ...]
    bias: FloatArray
    shape: Shape
    mixed: bool
    nonnegative: bool
    pool: Pool | None = None
    grid: Grid | None = None


Part = Activation | Affine


class Storage:
    """The memory that a tensor and its views share. ``version`` counts the in-place operations on it."""

    def __init__(self) -> None:
        self.version = 0


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor. ``view``: its shape without the batch; its elements are those of the parts, each in C, H, W order.

    ``host``: operations that the host will have to do on it.
    """

    parts: tuple[Part, ...]
    view: tuple[int, ...]
    storage: Storage = field(default_factory=Storage)
    version: int = 0
    host: tuple[str, ...] = ()

    @property
    def is_map(self) -> bool:
        """True if its axes are channels, rows and columns, as convolutions take them."""
        return len(self.view) == 3 and all(shape[1:] == self.view[1:] for shape in self.shapes)

    @property
    def is_vector(self) -> bool:
        """True if its parts have one row and column, and only one of its axes is longer than 1."""
        flat = all(shape[1:] == (1, 1) for shape in self.shapes)
        return flat and sum(side > 1 for side in self.view) <= 1

    @property
    def shapes(self) -> list[Shape]:
        """(channels, height, width) of its parts, after pooling."""
        return [_shape(part) for part in self.parts]

    @property
    def splits(self) -> list[int]:
        """Channels of its parts."""
        return [shape[0] for shape in self.shapes]

    @property
    def size(self) -> int:
        """Elements per sample."""
        return prod(self.view)

    def with_parts(self, parts: tuple[Part, ...]) -> "Value":
        """The result of an operation that keeps channels: its parts, viewed as a map, or flat as this value was."""
        shapes = [_shape(part) for part in parts]
        channels = sum(shape[0] for shape in shapes)
        if self.is_map:
            return Value(parts, (channels, *shapes[0][1:]))
        return Value(parts, self.view)


def _shape(part: Part) -> Shape:
    if isinstance(part, Activation) or part.pool is None:
        return part.shape
    pool = part.pool
    rows, cols = ((side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in part.shape[1:])
    return part.shape[0], rows, cols


def identity_edge(part: Activation) -> FloatEdge:
    """The edge that passes ``part`` on."""
    return FloatEdge(source=part.source, kind="identity", weight=np.ones((part.shape[0], 1, 1, 1)))


def scaled(part: Part, gain: FloatArray, offset: FloatArray, name: str) -> Affine:
    """``gain`` * part + ``offset``, each [C]. ``name``: of the layer, where ``part`` is not a sum with a name."""
    if isinstance(part, Activation):
        part = Affine(name, (identity_edge(part),), np.zeros(part.shape[0]), part.shape, False, part.nonnegative)
    edges = part.edges
    positive = bool(np.all(gain >= 0) and np.all(offset >= 0))
    if np.any(gain != 1):
        edges = tuple(
            replace(
                edge, kind="depthwise" if edge.kind in ("avgpool", "identity") else edge.kind,
                weight=edge.weight * gain[:, None, None, None],
                step=None if edge.step is None else edge.step * np.abs(gain),
            )
            for edge in edges
        )  # fmt: skip
    return replace(
        part, edges=edges, bias=part.bias * gain + offset, mixed=part.mixed or not positive,
        nonnegative=part.nonnegative and positive, grid=None,
    )  # fmt: skip
