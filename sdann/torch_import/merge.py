"""Clean-up of the imported layers: what can be one layer becomes one, and what nobody reads goes."""

from collections import Counter
from dataclasses import replace

import numpy as np

from ..float_model import FloatLayer, Grid
from ..graph import INPUT

__all__ = ["merged", "without_dead"]


def without_dead(layers: list[FloatLayer], output: str) -> list[FloatLayer]:
    """The layers that ``output`` depends on, so that it is the last one."""
    needed = {output}
    kept = []
    for layer in reversed(layers):
        if layer.name in needed:
            kept.append(layer)
            needed.update(edge.source for edge in layer.edges)
    return kept[::-1]


def _passes_on(layer: FloatLayer) -> bool:
    """True if the layer only clips or pools what one source makes."""
    edge, *others = layer.edges
    return not others and edge.kind == "identity" and edge.stride == 1 and not np.any(layer.bias)


def _can_take(before: FloatLayer, layer: FloatLayer) -> bool:
    """True if ``before`` can do what ``layer`` does: rounding to one grid commutes with clipping and with maxima."""
    grids = {grid for grid in (before.grid, layer.grid) if grid is not None}
    return before.pool is None and len(grids) < 2


def _grid(before: FloatLayer, layer: FloatLayer) -> Grid | None:
    return layer.grid or (before.grid and replace(before.grid, tensor=""))


def merged(layers: list[FloatLayer]) -> list[FloatLayer]:
    """``layers``, with a ReLU, a clip or a max pooling moved into the layer before it where nobody else reads that."""
    done: dict[str, FloatLayer] = {}
    names: dict[str, str] = {}
    uses = Counter(edge.source for layer in layers for edge in layer.edges)
    for layer in layers:
        read = layer.edges[0].source
        edges = tuple(replace(edge, source=names.get(edge.source, edge.source)) for edge in layer.edges)
        layer = replace(layer, edges=edges)
        source = edges[0].source
        if source == INPUT or uses[read] > 1 or not _passes_on(layer) or not _can_take(done[source], layer):
            done[layer.name] = layer
            continue
        before = done[source]
        clips = [clip for clip in (before.clip, layer.clip) if clip is not None]
        done[source] = replace(
            before, relu=before.relu or layer.relu, clip=min(clips, default=None), pool=layer.pool,
            grid=_grid(before, layer),
        )  # fmt: skip
        names[layer.name] = source
    return list(done.values())
