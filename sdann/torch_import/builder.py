"""The layers as they are found: names, and when a sum becomes a layer."""

from dataclasses import replace

import numpy as np

from ..errors import UnsupportedError
from ..float_model import FloatEdge, FloatLayer, Grid, edge_shape
from ..graph import INPUT, Pool, Shape
from .op import Op
from .values import Activation, Affine, Part, identity_edge

__all__ = ["Builder"]


class Builder:
    """Collects layers in topological order, for inputs of ``input_shape``. ``known``: activations by their source."""

    def __init__(self, input_shape: Shape) -> None:
        self.layers: list[FloatLayer] = []
        self.known = {INPUT: Activation(INPUT, input_shape, False)}
        self.input_grid: Grid | None = None
        self._rounded: list[tuple[Affine, Grid, Part]] = []
        self._names = {INPUT}
        self._done: dict[tuple[int, bool, float | None], tuple[Affine, Activation]] = {}
        self._taken: dict[int, tuple[Affine, Op]] = {}

    def _unique(self, name: str) -> str:
        number, found = 1, name
        while found in self._names:
            number += 1
            found = f"{name}#{number}"
        self._names.add(found)
        return found

    def affine(
        self, name: str, edges: tuple[FloatEdge, ...], bias: np.ndarray, sources: tuple[Activation, ...]
    ) -> Affine:
        """A sum over ``edges``, each of which reads the activation in ``sources`` at its place."""
        shapes = {edge_shape(edge, source.shape) for edge, source in zip(edges, sources, strict=True)}
        if len(shapes) != 1:
            raise UnsupportedError(f"layer {name!r}: it adds maps of different shapes, {sorted(shapes)}")
        shape = shapes.pop()
        if min(shape) < 1:
            raise UnsupportedError(
                f"layer {name!r}: its kernel does not fit a map of shape {sources[0].shape}; pad or shrink it"
            )
        mixed = any(edge.weight.min() < 0 for edge in edges) or bool(bias.min() < 0)
        nonnegative = not mixed and all(source.nonnegative for source in sources)
        return Affine(name, edges, bias, shape, mixed, nonnegative)

    def take(self, part: Affine, op: Op) -> Affine:
        """``part``, for use by ``op``; raises UnsupportedError where another operation uses it and it needs a ReLU."""
        _, before = self._taken.setdefault(id(part), (part, op))
        if part.mixed and before is not op:
            raise UnsupportedError(
                f"layer {part.name!r} is used twice before its ReLU, by {before.name!r} and by {op.name!r}, and would "
                f"need signed activations; put nn.ReLU() directly after it"
            )
        return part

    def layer(self, part: Affine, op: Op, *, relu: bool, clip: float | None = None) -> Activation:
        """The activations of ``part`` as a layer (the same one when asked again)."""
        key = (id(part), relu, clip)
        if key not in self._done:
            self.take(part, op)
            layer = FloatLayer(
                name=self._unique(part.name), edges=part.edges, bias=part.bias, relu=relu, clip=clip, pool=part.pool,
                grid=part.grid,
            )  # fmt: skip
            self.layers.append(layer)
            shape = _pooled(part.shape, part.pool)
            self.known[layer.name] = Activation(layer.name, shape, relu or part.nonnegative)
            self._done[key] = part, self.known[layer.name]
        return self._done[key][1]

    def grid(self, source: str) -> Grid | None:
        """The grid of a layer's activations, or of the input's."""
        if source == INPUT:
            return self.input_grid
        return next(layer.grid for layer in self.layers if layer.name == source)

    def set_grid(self, source: str, grid: Grid) -> None:
        """Let the activations of ``source`` have ``grid``; the input's are never negative where the grid is not."""
        if source == INPUT:
            self.input_grid = grid
            self.known[INPUT] = replace(self.known[INPUT], nonnegative=grid.lo >= 0)
        else:
            self.layers = [replace(layer, grid=grid) if layer.name == source else layer for layer in self.layers]

    def on_grid(self, part: Affine, grid: Grid, op: Op) -> Part:
        """``part`` rounded to ``grid`` (the same one when asked again): a layer, or a sum that waits for its ReLU."""
        for known, before, made in self._rounded:
            if known is part and before == grid:
                return made
        found: Part
        if grid.lo < 0 and not part.nonnegative:
            found = replace(part, grid=grid)
        else:  # clipping at 0 is ReLU: a zero point at the least integer does it
            on_grid = replace(self.take(part, op), grid=replace(grid, lo=0))
            found = self.layer(on_grid, op, relu=not part.nonnegative)
        self._rounded.append((part, grid, found))
        return found

    def activation(self, part: Part, op: Op) -> Activation:
        """``part`` as something that an edge can read; raises UnsupportedError for a sum that may be negative."""
        if isinstance(part, Activation):
            return part
        if part.mixed or part.pool is not None:
            raise UnsupportedError(
                f"layer {part.name!r} is not followed by ReLU where {op.name!r} uses it; only the last layer "
                f"may lack it: add nn.ReLU()"
            )
        return self.layer(part, op, relu=False)

    def rectified(self, part: Part, op: Op, clip: float | None) -> Activation:
        """ReLU of ``part``, clipped at ``clip``."""
        if isinstance(part, Activation):
            if part.nonnegative and clip is None:
                return part
            part = self.affine(op.name, (identity_edge(part),), np.zeros(part.shape[0]), (part,))
        return self.layer(part, op, relu=True, clip=clip)

    def pooled(self, part: Part, pool: Pool, op: Op) -> Part:
        """Max pooling of ``part``: of activations at once, of a sum as soon as its ReLU comes."""
        if isinstance(part, Affine) and part.mixed:
            if part.pool is not None:
                raise UnsupportedError(
                    f"layer {op.name!r} pools {part.name!r} a second time before its ReLU; put nn.ReLU() before it"
                )
            _check_pool(part.shape, pool, op.name)
            return replace(self.take(part, op), pool=pool)
        source = self.activation(part, op)
        _check_pool(source.shape, pool, op.name)
        part = self.affine(op.name, (identity_edge(source),), np.zeros(source.shape[0]), (source,))
        return self.layer(replace(part, pool=pool), op, relu=False)


def _pooled(shape: Shape, pool: Pool | None) -> Shape:
    if pool is None:
        return shape
    rows, cols = ((side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in shape[1:])
    return shape[0], rows, cols


def _check_pool(shape: Shape, pool: Pool, name: str) -> None:
    if min(_pooled(shape, pool)) < 1:
        raise UnsupportedError(f"layer {name!r}: its window does not fit a map of shape {shape}; pad or shrink it")
