"""Counting on feature maps: spans of rows, columns and channels, groups of lanes, and what neurons read of a source."""

from sdann.graph import Edge, Pool, Shape

__all__ = [
    "Span", "groups_of", "needed_span", "pooled_neurons", "pooled_shape", "row_shift_of", "split_evenly",
    "weight_words_of",
]  # fmt: skip

Span = tuple[int, int]
"""First and count."""


def groups_of(channels: int, lanes: int) -> int:
    """Groups of ``lanes`` channels that hold ``channels``."""
    return -(-channels // lanes)


def row_shift_of(channels: int, lanes: int) -> int:
    """log2 of the weight rows kept per source group: all lanes, or the next power of two where fewer channels exist."""
    return (min(channels, lanes) - 1).bit_length()


def weight_words_of(edge: Edge, channels: int, groups: int, lanes: int) -> int:
    """Weight words of ``edge``, ``channels`` of its source taken, in a core that holds ``groups`` output groups."""
    kernel = int(edge.weight.shape[2] * edge.weight.shape[3])
    if edge.kind == "depthwise":
        return kernel * groups
    return (groups_of(channels, lanes) * kernel * groups) << row_shift_of(channels, lanes)


def needed_span(first: int, last: int, edge: Edge, axis: int, size: int) -> tuple[int, int]:
    """First and last source row (``axis`` 0) or column (1) that outputs ``first .. last`` read; empty if first > last.

    ``size`` is the source map's extent: padding does not count.
    """
    kernel = int(edge.weight.shape[2 + axis])
    return max(0, first * edge.stride - edge.padding), min(size - 1, last * edge.stride - edge.padding + kernel - 1)


def pooled_shape(shape: Shape, pool: Pool) -> Shape:
    """Shape of the activations that ``pool`` makes of neurons of ``shape``."""
    rows, columns = ((side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in shape[1:])
    return shape[0], rows, columns


def pooled_neurons(span: Span, side: int, pool: Pool | None) -> Span:
    """The neurons, of ``side`` in all along an axis, that the windows of activations ``span`` (first, count) read."""
    if pool is None:
        return span
    first = max(0, span[0] * pool.stride - pool.padding)
    last = min(side, (span[0] + span[1] - 1) * pool.stride - pool.padding + pool.kernel)
    return first, max(1, last - first)


def split_evenly(first: int, count: int, parts: int) -> list[Span]:
    """``parts`` nearly equal spans of ``first .. first + count - 1``, the larger ones first."""
    base, extra = divmod(count, parts)
    counts = [base + (i < extra) for i in range(parts)]
    return [(first + sum(counts[:i]), size) for i, size in enumerate(counts)]
